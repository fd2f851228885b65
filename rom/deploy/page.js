// viridis, van der Walt and Smith (2015), CC0
const COLOURS = numbers({ type: "u1", base64: "RAFURAJWRQRXRQVZRgdaRghcRgpdRgteRw1gRw5hRxBjRxFkRxNlSBRnSBZoSBdpSBhqSBpsSBttSBxuSB1vSB9wSCBxSCFzSCN0SCR1SCV2SCZ3SCh4SCl5Ryp6Ryx6Ry17Ry58Ry99RjB+RjJ+RjN/RjSARTWBRTeBRTiCRDmDRDqDRDuEQz2EQz6FQj+FQkCGQkGGQUKHQUSHQEWIQEaIP0eIP0iJPkmJPkqJPkyKPU2KPU6KPE+KPFCLO1GLO1KLOlOLOlSMOVWMOVaMOFiMOFmMN1qMN1uNNlyNNl2NNV6NNV+NNGCNNGGNM2KNM2ONMmSOMmWOMWaOMWeOMWiOMGmOMGqOL2uOL2yOLm2OLm6OLm+OLXCOLXGOLHGOLHKOLHOOK3SOK3WOKnaOKneOKniOKXmOKXqOKXuOKHyOKH2OJ36OJ3+OJ4COJoGOJoKOJoKOJYOOJYSOJYWOJIaOJIeOI4iOI4mOI4qNIouNIoyNIo2NIY6NIY+NIZCNIZGMIJKMIJKMIJOMH5SMH5WLH5aLH5eLH5iLH5mKH5qKHpuKHpyJHp2JH56JH5+IH6CIH6GIH6GHH6KHIKOGIKSGIaWFIaaFIqeFIqiEI6mDJKqDJauCJayCJq2BJ62BKK6AKa9/KrB/LLF+LbJ9LrN8L7R8MbV7MrZ6NLZ5Nbd5N7h4OLl3Orp2O7t1Pbx0P7xzQL1yQr5xRL9wRsBvSMFuSsFtTMJsTsNrUMRqUsVpVMVoVsZnWMdlWshkXMhjXsliYMpgY8tfZcteZ8xcac1bbM1abs5YcM9Xc9BWddBUd9FTetFRfNJQf9NOgdNNhNRLhtVJidVIi9ZGjtZFkNdDk9dBldhAmNg+m9k8ndk7oNo5oto3pds2qNs0qtwyrdwwsN0vst0ttd4ruN4put4ovd8mwN8lwt8jxeAhyOAgyuEfzeEd0OEc0uIb1eIa2OIZ2uMZ3eMY3+MY4uQY5eQZ5+QZ6uUa7OUb7+Uc8eUd9OYe9uYg+OYh++cj/ecl" });
const page = opened(JSON.parse(document.getElementById("model").textContent));
const $ = (id) => document.getElementById(id);
const short = (value) => (Math.abs(value) >= 1e5 || (value !== 0 && Math.abs(value) < 1e-3) ? value.toExponential(4) : String(+value.toPrecision(5)));
const withUnit = (text, unit) => (unit && unit !== "1" ? `${text} ${unit}` : text);
const { points, triangles, fields } = page, count = points.length / 3, isCurve = triangles.length === 0;
const mu = page.parameters.map((parameter) => parameter.start);
const state = { answer: null, values: null, shift: null, low: 0, high: 1, picked: -1 };

// Controls

function toSlider(parameter, value) {
  const { lower, upper, scale } = parameter;
  return scale === "log" ? Math.log(value / lower) / Math.log(upper / lower) : (value - lower) / (upper - lower);
}
function fromSlider(parameter, share) {
  const { lower, upper, scale } = parameter;
  if (share <= 0) return lower;
  if (share >= 1) return upper;
  return scale === "log" ? lower * Math.pow(upper / lower, share) : lower + share * (upper - lower);
}

function addParameter(parameter, j) {
  const box = document.createElement("div"), label = document.createElement("label"), name = document.createElement("span");
  const number = document.createElement("input"), slider = document.createElement("input"), ends = document.createElement("div");
  box.className = "parameter"; ends.className = "ends";
  name.textContent = parameter.unit && parameter.unit !== "1" ? `${parameter.name} [${parameter.unit}]` : parameter.name;
  Object.assign(number, { type: "number", step: "any", min: parameter.lower, max: parameter.upper });
  Object.assign(slider, { type: "range", min: 0, max: 1, step: 0.001 });
  slider.setAttribute("aria-label", name.textContent);
  for (const end of [parameter.lower, parameter.upper]) {
    const text = document.createElement("span");
    text.textContent = short(end); ends.append(text);
  }
  label.append(name, number); box.append(label, slider, ends); $("parameters").append(box);
  parameter.show = () => { number.value = +mu[j].toPrecision(6); slider.value = toSlider(parameter, mu[j]); };
  slider.oninput = () => { mu[j] = fromSlider(parameter, +slider.value); parameter.show(); update(); };
  number.onchange = () => {
    const value = parseFloat(number.value);
    if (Number.isFinite(value)) mu[j] = Math.min(parameter.upper, Math.max(parameter.lower, value));
    parameter.show(); update();
  };
}

function readAddress() {
  const wanted = new URLSearchParams(location.hash.slice(1));
  page.parameters.forEach((parameter, j) => {
    const value = parseFloat(wanted.get(parameter.name));
    if (Number.isFinite(value)) mu[j] = Math.min(parameter.upper, Math.max(parameter.lower, value));
  });
  if (wanted.has("view")) {
    const index = views.findIndex((view) => view.label === wanted.get("view"));
    if (index >= 0) $("field").value = index;
  }
}

// Fields: a view is a field's component, its length, or its deviation

const views = [];
fields.forEach((field, f) => {
  const last = field.components > 1 ? field.components : 1;
  if (last > 1) views.push({ f, part: "length", label: `${field.name}, length`, unit: field.unit });
  for (let c = 0; c < last; c++)
    views.push({ f, part: c, label: last > 1 ? `${field.name}, component ${c + 1}` : field.name, unit: field.unit });
  if (field.tail)
    for (let c = 0; c < last; c++)
      views.push({ f, part: c, deviation: true, unit: field.unit, label: `standard deviation of ${field.name}${last > 1 ? `, component ${c + 1}` : ""}` });
});

function lifted(field) {
  const { a } = state.answer, values = Float64Array.from(field.offset), size = values.length;
  for (let k = 0; k < a.length; k++)
    for (let i = 0, at = k * size; i < size; i++, at++) values[i] += a[k] * field.modes[at];
  return values;
}
function deviations(field) {
  const { std } = state.answer, size = field.offset.length, values = new Float64Array(size);
  for (let k = 0; k < std.length; k++) {
    const weight = (field.factor * std[k]) ** 2;
    for (let i = 0, at = k * size; i < size; i++, at++) values[i] += weight * field.modes[at] ** 2;
  }
  return values.map((value, i) => Math.sqrt(value + field.tail[i] ** 2));
}
function valuesOf(view) {
  const field = fields[view.f], all = view.deviation ? deviations(field) : lifted(field), c = field.components;
  if (c === 1) return all;
  const values = new Float64Array(count);
  for (let i = 0; i < count; i++) {
    if (view.part !== "length") { values[i] = all[i * c + view.part]; continue; }
    let sum = 0;
    for (let k = 0; k < c; k++) sum += all[i * c + k] ** 2;
    values[i] = Math.sqrt(sum);
  }
  return values;
}
function rmsDeviation(field) {
  let sum = field.tailEnergy;
  state.answer.std.forEach((value, k) => { sum += field.energies[k] * (field.factor * value) ** 2; });
  return Math.sqrt(sum / field.rows);
}

function shiftOf() {
  if (!$("warp")) return new Float32Array(3 * count);
  const index = +$("warp").value, factor = parseFloat($("factor").value) || 0, shift = new Float32Array(3 * count);
  if (index < 0) return shift;
  const field = fields[index], all = lifted(field), c = field.components;
  for (let i = 0; i < count; i++)
    for (let k = 0; k < Math.min(c, 3); k++) shift[3 * i + k] = factor * all[i * c + k];
  return shift;
}

function update() {
  const view = views[+$("field").value];
  state.answer = answerAt(page, mu);
  state.values = valuesOf(view);
  state.shift = shiftOf();
  if (!$("hold").checked) {
    state.low = Infinity; state.high = -Infinity;
    for (const value of state.values) { if (value < state.low) state.low = value; if (value > state.high) state.high = value; }
  }
  const { bound } = state.answer, field = fields[view.f];
  $("error").textContent = "";
  const lines = [];
  if (bound !== null) lines.push(`${page.known}: ${short(bound)}`);
  else if (state.answer.std) lines.push(`Standard deviation, rms over ${field.name}: ${withUnit(short(rmsDeviation(field)), field.unit)}`);
  else lines.push(page.known);
  for (const line of [...lines, ...page.notes]) { const p = document.createElement("div"); p.textContent = line; $("error").append(p); }
  $("legend").textContent = withUnit("", "") + view.label + (view.unit && view.unit !== "1" ? ` [${view.unit}]` : "");
  const ends = $("range").children;
  [state.low, 0.5 * (state.low + state.high), state.high].forEach((value, k) => { ends[k].textContent = short(value); });
  Object.assign(document.body.dataset, { coefficients: JSON.stringify([...state.answer.a]), bound: String(bound),
    std: JSON.stringify(state.answer.std ? [...state.answer.std] : null), low: String(state.low), high: String(state.high) });
  showProbe();
  draw();
}

// Camera and drawing

const camera = {};
const centre = [0, 1, 2].map((k) => { let low = Infinity, high = -Infinity; for (let i = k; i < points.length; i += 3) { low = Math.min(low, points[i]); high = Math.max(high, points[i]); } return [0.5 * (low + high), high - low]; });
const widths = centre.map(([, width]) => width), isFlat = Math.min(...widths) <= 1e-9 * Math.max(...widths);
const radius = Math.max(0.5 * (isFlat ? Math.max(...widths) : Math.hypot(...widths)), 1e-300);
function home() {
  const turn = isFlat ? [1, 0, 0, 0, 1, 0, 0, 0, 1] : product(about(0, -1.1), about(2, -0.7));
  Object.assign(camera, { turn, zoom: 1, x: 0, y: 0 });
}
function about(axis, angle) {
  const c = Math.cos(angle), s = Math.sin(angle);
  return [[1, 0, 0, 0, c, -s, 0, s, c], [c, 0, s, 0, 1, 0, -s, 0, c], [c, -s, 0, s, c, 0, 0, 0, 1]][axis];
}
function product(A, B) {
  const C = new Array(9).fill(0);
  for (let i = 0; i < 3; i++) for (let j = 0; j < 3; j++) for (let k = 0; k < 3; k++) C[3 * i + j] += A[3 * i + k] * B[3 * k + j];
  return C;
}
function toScreen(i) {
  const { turn, zoom, x, y } = camera, stage = $("stage"), w = stage.clientWidth, h = stage.clientHeight;
  const d = [0, 1, 2].map((k) => (points[3 * i + k] + state.shift[3 * i + k] - centre[k][0]) / radius);
  const [u, v, depth] = [0, 1, 2].map((row) => turn[3 * row] * d[0] + turn[3 * row + 1] * d[1] + turn[3 * row + 2] * d[2]);
  const size = 0.46 * Math.min(w, h) * zoom;
  return [w / 2 + size * (u + x), h / 2 - size * (v + y), depth];
}

const stage = $("stage"), gl = isCurve ? null : stage.getContext("webgl2", { antialias: true, preserveDrawingBuffer: true });
const pen = isCurve ? stage.getContext("2d") : null;
const scene = gl ? prepare() : null;

function prepare() {
  const program = gl.createProgram();
  const sources = [[gl.VERTEX_SHADER, `#version 300 es
    in vec3 place; in vec3 shift; in float share; uniform mat3 turn; uniform vec3 middle; uniform vec4 frame; uniform vec2 pan;
    out float colour; out vec3 at;
    void main() { at = turn * ((place + shift - middle) * frame.z); colour = share;
      gl_Position = vec4((at.xy + pan) * frame.xy, -0.2 * at.z * frame.w, 1.0); }`],
  [gl.FRAGMENT_SHADER, `#version 300 es
    precision highp float; in float colour; in vec3 at; uniform sampler2D map; uniform float light; out vec4 pixel;
    void main() { vec3 normal = normalize(cross(dFdx(at), dFdy(at)));
      float shade = mix(1.0, 0.5 + 0.5 * abs(normal.z), light);
      pixel = vec4(shade * texture(map, vec2(clamp(colour, 0.0, 1.0) * 0.996 + 0.002, 0.5)).rgb, 1.0); }`]];
  for (const [kind, source] of sources) {
    const shader = gl.createShader(kind);
    gl.shaderSource(shader, source); gl.compileShader(shader);
    if (!gl.getShaderParameter(shader, gl.COMPILE_STATUS)) throw new Error(gl.getShaderInfoLog(shader));
    gl.attachShader(program, shader);
  }
  gl.linkProgram(program); gl.useProgram(program);
  const buffers = {};
  for (const [name, size] of [["place", 3], ["shift", 3], ["share", 1]]) {
    buffers[name] = gl.createBuffer(); gl.bindBuffer(gl.ARRAY_BUFFER, buffers[name]);
    const where = gl.getAttribLocation(program, name);
    gl.enableVertexAttribArray(where); gl.vertexAttribPointer(where, size, gl.FLOAT, false, 0, 0);
  }
  gl.bindBuffer(gl.ARRAY_BUFFER, buffers.place); gl.bufferData(gl.ARRAY_BUFFER, points, gl.STATIC_DRAW);
  gl.bindBuffer(gl.ELEMENT_ARRAY_BUFFER, gl.createBuffer()); gl.bufferData(gl.ELEMENT_ARRAY_BUFFER, triangles, gl.STATIC_DRAW);
  gl.bindTexture(gl.TEXTURE_2D, gl.createTexture());
  gl.texImage2D(gl.TEXTURE_2D, 0, gl.RGB8, 256, 1, 0, gl.RGB, gl.UNSIGNED_BYTE, COLOURS);
  for (const key of [gl.TEXTURE_MIN_FILTER, gl.TEXTURE_MAG_FILTER]) gl.texParameteri(gl.TEXTURE_2D, key, gl.LINEAR);
  for (const key of [gl.TEXTURE_WRAP_S, gl.TEXTURE_WRAP_T]) gl.texParameteri(gl.TEXTURE_2D, key, gl.CLAMP_TO_EDGE);
  gl.enable(gl.DEPTH_TEST); gl.clearColor(1, 1, 1, 1);
  return { uniform: (name) => gl.getUniformLocation(program, name), buffers };
}

function fit() {
  const scale = window.devicePixelRatio || 1, w = Math.round(stage.clientWidth * scale), h = Math.round(stage.clientHeight * scale);
  if (stage.width !== w || stage.height !== h) { stage.width = w; stage.height = h; }
}

function draw() {
  fit();
  if (isCurve) { drawCurve(); return; }
  if (!gl) { $("legend").textContent = "This browser has no WebGL 2; values can be read, the field is not drawn."; return; }
  const span = state.high - state.low || 1, shares = Float32Array.from(state.values, (value) => (value - state.low) / span);
  gl.bindBuffer(gl.ARRAY_BUFFER, scene.buffers.share); gl.bufferData(gl.ARRAY_BUFFER, shares, gl.DYNAMIC_DRAW);
  gl.bindBuffer(gl.ARRAY_BUFFER, scene.buffers.shift); gl.bufferData(gl.ARRAY_BUFFER, state.shift, gl.DYNAMIC_DRAW);
  const w = stage.width, h = stage.height, size = 0.92 * Math.min(w, h) * camera.zoom, { turn } = camera;
  gl.viewport(0, 0, w, h); gl.clear(gl.COLOR_BUFFER_BIT | gl.DEPTH_BUFFER_BIT);
  gl.uniformMatrix3fv(scene.uniform("turn"), true, turn);
  gl.uniform3fv(scene.uniform("middle"), centre.map(([middle]) => middle));
  gl.uniform4f(scene.uniform("frame"), size / w, size / h, 1 / radius, 1);
  gl.uniform2f(scene.uniform("pan"), camera.x, camera.y);
  gl.uniform1f(scene.uniform("light"), isFlat ? 0 : 1);
  gl.drawElements(gl.TRIANGLES, triangles.length, gl.UNSIGNED_INT, 0);
}

function drawCurve() {
  const scale = window.devicePixelRatio || 1, w = stage.width / scale, h = stage.height / scale, left = 80, bottom = 44, top = 14, right = 16;
  const [middle, width] = centre[0], first = middle - width / 2, span = width || 1, high = state.high - state.low || 1;
  const across = (x) => left + ((x - first) / span) * (w - left - right), down = (value) => h - bottom - ((value - state.low) / high) * (h - bottom - top);
  pen.setTransform(scale, 0, 0, scale, 0, 0); pen.fillStyle = "#fff"; pen.fillRect(0, 0, w, h);
  pen.font = "13px system-ui, sans-serif"; pen.strokeStyle = "#d8dce4"; pen.fillStyle = "#5b6475"; pen.lineWidth = 1;
  for (let k = 0; k <= 4; k++) {
    const value = state.low + (k / 4) * high, x = first + (k / 4) * span;
    pen.beginPath(); pen.moveTo(left, down(value)); pen.lineTo(w - right, down(value)); pen.stroke();
    pen.textAlign = "right"; pen.textBaseline = "middle"; pen.fillText(short(value), left - 8, down(value));
    pen.textAlign = "center"; pen.textBaseline = "top"; pen.fillText(short(x), across(x), h - bottom + 6);
  }
  pen.fillText(page.axis, (left + w - right) / 2, h - 18);
  const order = [...Array(count).keys()].sort((i, j) => points[3 * i] - points[3 * j]);
  pen.strokeStyle = "#0b5fa5"; pen.lineWidth = 2; pen.beginPath();
  order.forEach((i, k) => (k ? pen.lineTo(across(points[3 * i]), down(state.values[i])) : pen.moveTo(across(points[3 * i]), down(state.values[i]))));
  pen.stroke();
  state.at = (i) => [across(points[3 * i]), down(state.values[i]), 0];
}

// Reading values, turning, saving

function pick(x, y) {
  const at = isCurve ? state.at : toScreen;
  let best = -1, least = Infinity;
  for (let i = 0; i < count; i++) {
    const [u, v, depth] = at(i), distance = isCurve ? Math.abs(u - x) : Math.hypot(u - x, v - y);
    const score = distance - (distance < 12 ? 6 * depth : 0);
    if (distance < (isCurve ? Infinity : 24) && score < least) { best = i; least = score; }
  }
  state.picked = best;
  showProbe();
}

function showProbe() {
  const i = state.picked, view = views[+$("field").value];
  if (i < 0) { $("probe").textContent = "Click the field to read a value."; return; }
  const where = [0, 1, 2].slice(0, page.dimension).map((k) => short(points[3 * i + k])).join(", ");
  $("probe").textContent = `${view.label} at node ${page.nodes[i]} (${where}${page.unit ? ` ${page.unit}` : ""}): ${withUnit(short(state.values[i]), view.unit)}`;
}

let grip = null;
stage.onpointerdown = (event) => { grip = { x: event.offsetX, y: event.offsetY, moved: false, pan: event.shiftKey || event.button === 2 }; stage.setPointerCapture(event.pointerId); };
stage.onpointermove = (event) => {
  if (!grip || isCurve) return;
  const dx = event.offsetX - grip.x, dy = event.offsetY - grip.y;
  if (!grip.moved && Math.hypot(dx, dy) < 4) return;
  const size = 0.46 * Math.min(stage.clientWidth, stage.clientHeight) * camera.zoom;
  if (grip.pan || isFlat) { camera.x += dx / size; camera.y -= dy / size; }
  else camera.turn = product(product(about(0, 0.008 * dy), about(1, 0.008 * dx)), camera.turn);
  Object.assign(grip, { x: event.offsetX, y: event.offsetY, moved: true });
  draw();
};
stage.onpointerup = (event) => { if (grip && !grip.moved) pick(event.offsetX, event.offsetY); grip = null; };
stage.oncontextmenu = (event) => event.preventDefault();
stage.onwheel = (event) => { if (isCurve) return; event.preventDefault(); camera.zoom *= Math.exp(-0.0015 * event.deltaY); draw(); };

function savePicture() {
  const scale = window.devicePixelRatio || 1, head = 96 * scale, sheet = document.createElement("canvas"), ink = sheet.getContext("2d");
  sheet.width = stage.width; sheet.height = stage.height + head;
  ink.fillStyle = "#fff"; ink.fillRect(0, 0, sheet.width, sheet.height);
  ink.drawImage(stage, 0, head); ink.fillStyle = "#1d2433"; ink.font = `${15 * scale}px system-ui, sans-serif`;
  ink.fillText($("legend").textContent, 12 * scale, 22 * scale);
  ink.fillText(page.parameters.map((parameter, j) => withUnit(`${parameter.name} = ${short(mu[j])}`, parameter.unit)).join(", "), 12 * scale, 44 * scale);
  ink.drawImage($("bar"), 0, 0, 256, 1, 12 * scale, 54 * scale, sheet.width - 24 * scale, 12 * scale);
  [...$("range").children].forEach((span, k) => { ink.textAlign = ["left", "center", "right"][k]; ink.fillText(span.textContent, [12 * scale, sheet.width / 2, sheet.width - 12 * scale][k], 86 * scale); });
  sheet.toBlob((blob) => {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(blob); link.download = `${page.title}.png`; link.click();
  });
}

document.title = page.title;
document.querySelector("h1").textContent = page.title;
$("what").textContent = page.what;
document.querySelector("footer").textContent = page.origin;
page.parameters.forEach(addParameter);
views.forEach((view, k) => $("field").add(new Option(view.label, k)));
$("warp").add(new Option("nothing", -1));
fields.forEach((field, f) => { if (field.components > 1 && field.components <= 3 && !isCurve) $("warp").add(new Option(field.name, f)); });
if ($("warp").length === 1) $("warping").remove();
else $("factor").value = page.factor;
const colours = $("bar").getContext("2d").createImageData(256, 1);
for (let k = 0; k < 256; k++) colours.data.set([COLOURS[3 * k], COLOURS[3 * k + 1], COLOURS[3 * k + 2], 255], 4 * k);
$("bar").getContext("2d").putImageData(colours, 0, 0);
if (isCurve) $("bar").hidden = true;
for (const id of ["field", "warp", "factor", "hold"]) if ($(id)) $(id).onchange = update;
$("png").onclick = savePicture; $("print").onclick = () => window.print(); $("home").onclick = () => { home(); draw(); };
window.onresize = draw;
window.onhashchange = () => { readAddress(); page.parameters.forEach((parameter) => parameter.show()); update(); };
home(); readAddress();
page.parameters.forEach((parameter) => parameter.show());
update();
