"use strict";
// The online stage: A_r(mu) a = f_r(mu) with |T y| / alpha(mu), or the posterior of processes.

function numbers(item) {
  const text = atob(item.base64), bytes = new Uint8Array(text.length);
  for (let k = 0; k < text.length; k++) bytes[k] = text.charCodeAt(k);
  const kinds = { f8: Float64Array, f4: Float32Array, u4: Uint32Array, u1: Uint8Array };
  return new kinds[item.type](bytes.buffer);
}

function opened(value) {
  if (Array.isArray(value)) return value.map(opened);
  if (value === null || typeof value !== "object") return value;
  if ("base64" in value) return numbers(value);
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, opened(item)]));
}

function monomials(mu, coefficients, powers) {
  return Array.from(coefficients, (value, q) => {
    for (let j = 0; j < mu.length; j++) {
      const power = powers[q * mu.length + j];
      if (power !== 0) value *= Math.pow(mu[j], power);
    }
    return value;
  });
}

function weightedSum(weights, terms, size) {
  const sum = new Float64Array(size);
  for (let q = 0; q < weights.length; q++)
    for (let i = 0; i < size; i++) sum[i] += weights[q] * terms[q * size + i];
  return sum;
}

function solve(A, b) {
  const n = b.length;
  for (let k = 0; k < n; k++) {
    let pivot = k;
    for (let i = k + 1; i < n; i++)
      if (Math.abs(A[i * n + k]) > Math.abs(A[pivot * n + k])) pivot = i;
    if (!(Math.abs(A[pivot * n + k]) > 0)) throw new Error("the reduced system is singular");
    if (pivot !== k) {
      for (let j = 0; j < n; j++) [A[k * n + j], A[pivot * n + j]] = [A[pivot * n + j], A[k * n + j]];
      [b[k], b[pivot]] = [b[pivot], b[k]];
    }
    for (let i = k + 1; i < n; i++) {
      const factor = A[i * n + k] / A[k * n + k];
      for (let j = k; j < n; j++) A[i * n + j] -= factor * A[k * n + j];
      b[i] -= factor * b[k];
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let j = i + 1; j < n; j++) b[i] -= A[i * n + j] * b[j];
    b[i] /= A[i * n + i];
  }
  return b;
}

function galerkin(model, mu) {
  const r = model.R, thetaA = monomials(mu, model.C_A, model.P_A), thetaF = monomials(mu, model.C_F, model.P_F);
  const right = weightedSum(thetaF, model.F_R, r);
  if (model.SHIFT) {
    const shift = weightedSum(thetaA, model.G_R, r);
    for (let i = 0; i < r; i++) right[i] -= shift[i];
  }
  const a = solve(weightedSum(thetaA, model.A_R, r * r), right);
  if (!model.K) return { a, std: null, bound: null };
  const y = [...thetaF];
  for (const theta of thetaA) {
    if (model.SHIFT) y.push(-theta);
    for (let i = 0; i < r; i++) y.push(-theta * a[i]);
  }
  const rows = [];
  for (let k = 0; k < model.K_ROWS; k++) {
    let sum = 0;
    for (let j = 0; j < model.K; j++) sum += model.T_R[k * model.K + j] * y[j];
    rows.push(sum);
  }
  let hidden = 0;
  for (let j = 0; j < model.K; j++) hidden += model.T_SIZE[j] * Math.abs(y[j]);
  let alpha = Infinity;
  thetaA.forEach((theta, q) => { alpha = Math.min(alpha, theta / model.THETA_REF[q]); });
  return { a, std: null, bound: (Math.hypot(...rows) + model.GUARD * hidden) / (model.ALPHA * alpha) };
}

const PROFILES = {
  rbf: (s) => Math.exp(-0.5 * s),
  matern12: (s) => Math.exp(-Math.sqrt(s)),
  matern32: (s) => { const d = Math.sqrt(3 * s); return (1 + d) * Math.exp(-d); },
  matern52: (s) => { const d = Math.sqrt(5 * s); return (1 + d) * Math.exp(-d) + (5 / 3) * s * Math.exp(-d); },
};

function squaredDistance(z, x, columns, lengths, first = 0) {
  let sum = 0;
  columns.forEach((column, k) => {
    const gap = (z[column] - x[column]) / lengths[first + (lengths.length === 1 ? 0 : k)];
    sum += gap * gap;
  });
  return sum;
}

function correlation(kernel, z, x) {
  const { kind, columns } = kernel;
  if (kind === "sum") return kernel.terms.reduce((sum, term, i) => sum + kernel.weights[i] * correlation(term, z, x), 0);
  if (kind === "product") return kernel.terms.reduce((product, term) => product * correlation(term, z, x), 1);
  if (kind === "stationary") return PROFILES[kernel.form](squaredDistance(z, x, columns, kernel.lengths));
  let total = 0;
  for (let q = 0; q < kernel.weights.length; q++) {
    let phase = 0;
    columns.forEach((column, k) => { phase += (z[column] - x[column]) * kernel.frequencies[q * columns.length + k]; });
    const square = squaredDistance(z, x, columns, kernel.lengths, q * columns.length);
    total += kernel.weights[q] * PROFILES[kernel.form](square) * Math.cos(2 * Math.PI * phase);
  }
  return total;
}

function lowerSolve(L, b) {
  const n = b.length, x = new Float64Array(n);
  for (let i = 0; i < n; i++) {
    let sum = b[i];
    for (let j = 0; j < i; j++) sum -= L[i * n + j] * x[j];
    x[i] = sum / L[i * n + i];
  }
  return x;
}

function posterior(gp, unit) {
  const { m, r, trend } = gp, p = unit.length;
  const z = unit.map((value, j) => (gp.bends && gp.bends[j] !== 0 ? Math.expm1(gp.bends[j] * value) / Math.expm1(gp.bends[j]) : value));
  const h = trend === "zero" ? [] : trend === "constant" ? [1] : [1, ...z];
  const mean = new Float64Array(r), std = new Float64Array(r);
  gp.groups.forEach((group) => {
    const cross = new Float64Array(m);
    for (let i = 0; i < m; i++) cross[i] = correlation(group.kernel, z, gp.x.subarray(i * p, (i + 1) * p));
    const half = lowerSolve(group.L, cross);
    let left = 1;
    for (const value of half) left -= value * value;
    if (h.length) {
      const rest = lowerSolve(group.A, h.map((value, k) => {
        for (let i = 0; i < m; i++) value -= group.LH[i * h.length + k] * half[i];
        return value;
      }));
      for (const value of rest) left += value * value;
    }
    const relative = group.stretch * Math.sqrt(Math.max(left, 0) + group.nugget);
    for (const i of group.outputs) {
      let value = 0;
      h.forEach((entry, k) => { value += entry * gp.beta[k * r + i]; });
      for (let s = 0; s < m; s++) value += cross[s] * gp.weights[s * r + i];
      mean[i] = value;
      std[i] = relative * Math.sqrt(gp.variance[i]);
    }
  });
  return { mean, std };
}

function process(model, mu, parameters) {
  const unit = parameters.map((parameter, j) => {
    const scaled = parameter.scale === "log" ? Math.log : (value) => value;
    const low = scaled(parameter.lower), high = scaled(parameter.upper);
    return (scaled(mu[j]) - low) / (high - low);
  });
  const answers = model.processes.map((gp) => posterior(gp, unit)), weights = model.weights;
  const a = new Float64Array(answers[0].mean.length), std = new Float64Array(a.length);
  answers.forEach(({ mean }, k) => mean.forEach((value, i) => { a[i] += weights[k] * value; }));
  answers.forEach(({ mean, std: own }, k) => mean.forEach((value, i) => {
    std[i] += weights[k] * (own[i] * own[i] + (value - a[i]) * (value - a[i]));
  }));
  return { a, std: std.map(Math.sqrt), bound: null };
}

function answerAt(page, mu) {
  return page.kind === "galerkin" ? galerkin(page.model, mu) : process(page.model, mu, page.parameters);
}

if (typeof module !== "undefined") module.exports = { opened, answerAt };
