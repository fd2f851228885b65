"""Do 95 % intervals of fields hold 95 % of the nodal values?

Fifty random problems of 60 nodes in one to three parameters, ten of each kind: waves that move
over evenly spread runs, over eight runs, and over runs in clusters; boundary layers; two fields of
scales 1e5 apart, of which the second is the harder one. Each is trained by the defaults, and asked
at fresh parameters of the whole box. Coverage is of nodal values; "no skill" is held against runs
that are left out one by one, with basis and regression trained again. Beside our error stand the
mean of the runs, the nearest run and linear interpolation.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from rom.cli.launch import run
from rom.compress import pod
from rom.design import sobol
from rom.gp import FieldGP, field_gp
from rom.gp.regressors import open_regressor
from rom.parameters import Box
from rom.snapshots import Snapshots
from rom.space import Field, Space

KINDS = ("spread", "eight", "clustered", "layers", "two")
NODES = np.linspace(0.0, 1.0, 60)
TOL = 1e-4  # the default of rom reduce
SKILL = 0.2  # Q2 of left-out runs below which a regression has none
TRIVIAL = ("mean", "nearest", "linear")
NORMAL_QUANTILE = 1.959964
Solve = Callable[[np.ndarray], np.ndarray]  # mu (m, p) -> u (n, m)


@dataclass(frozen=True, eq=False)
class Drawn:
    """A problem: fields of n rows over p parameters, the runs (m, p), fresh points."""

    solve: Solve
    fields: tuple[Field, ...]
    mu: np.ndarray
    fresh: np.ndarray


def waves(p: int, gen: np.random.Generator, bend: float = 2.5) -> Solve:
    """Sum of six waves over the nodes, whose phases and sizes move with mu."""
    number, phase = gen.uniform(1.0, 9.0, 6), gen.uniform(0.0, 2 * np.pi, 6)
    move = gen.normal(0.0, bend / np.sqrt(p), (6, p))
    grow = gen.normal(0.0, 0.7 / np.sqrt(p), (6, p))
    size = gen.normal(size=6)

    def solve(mu: np.ndarray) -> np.ndarray:
        angle = number * NODES[:, None] + phase
        waves = np.sin(angle[:, None] + mu @ move.T)
        return np.asarray(waves * np.exp(mu @ grow.T)) @ size

    return solve


def layers(p: int, gen: np.random.Generator) -> Solve:
    """Layers at both ends, of thicknesses that span a decade, on a slope."""
    thin = 10 ** gen.uniform(-1.8, -1.2, 2)
    grow = gen.uniform(0.4, 1.0, (2, p)) * np.log(10.0) / np.sqrt(p)
    size, slope = gen.normal(1.0, 0.3, 2), gen.normal(0.0, 0.5, p)

    def solve(mu: np.ndarray) -> np.ndarray:
        left, right = (thin * np.exp(mu @ grow.T)).T
        t = NODES[:, None]
        low, high = size[0] * np.exp(-t / left), size[1] * np.exp((t - 1.0) / right)
        return np.asarray(low + high + t * (mu @ slope))

    return solve


def draw(kind: str, k: int, seed: int) -> Drawn:
    """The k-th problem of a kind."""
    gen = np.random.default_rng([seed, KINDS.index(kind), k])
    p, n = 1 + k % 3, len(NODES)
    box = unit_box(p)
    fresh = gen.random((60, p))
    m = (10, 20, 40)[p - 1]
    fields: tuple[Field, ...] = (Field("u", "1", np.arange(n)),)
    if kind == "layers":
        return Drawn(layers(p, gen), fields, sobol(box, m, gen), fresh)
    if kind == "two":
        easy, hard = waves(p, gen, 1.0), waves(p, gen, 3.0)
        fields = (*fields, Field("p", "Pa", np.arange(n, 2 * n)))
        both = lambda mu: np.vstack([easy(mu), 1e5 * hard(mu)])  # noqa: E731
        return Drawn(both, fields, sobol(box, m, gen), fresh)
    if kind == "eight":
        return Drawn(waves(p, gen), fields, sobol(box, 8, gen), fresh)
    if kind == "clustered":
        return Drawn(waves(p, gen), fields, clusters(m, p, gen), fresh)
    return Drawn(waves(p, gen), fields, sobol(box, m, gen), fresh)


def unit_box(p: int) -> Box:
    """[0, 1]^p."""
    return Box(tuple(f"mu{j}" for j in range(p)), np.zeros(p), np.ones(p))


def clusters(m: int, p: int, gen: np.random.Generator) -> np.ndarray:
    """m runs around p + 2 random centres."""
    centres = gen.random((p + 2, p))
    which = gen.integers(p + 2, size=m)
    return np.clip(centres[which] + gen.normal(0.0, 0.06, (m, p)), 0.0, 1.0)


def train(problem: Drawn, keep: np.ndarray) -> FieldGP:
    """The default regression of the runs `keep`; each field counts on its own scale."""
    mu = problem.mu[keep]
    u = problem.solve(mu)
    weights = np.empty(len(u))
    for field in problem.fields:
        weights[field.rows] = 1.0 / max(float(np.mean(u[field.rows] ** 2)), 1e-300)
    space = Space(weights, np.arange(len(u)), fields=problem.fields)
    snapshots = Snapshots(space, mu, u)
    return field_gp(snapshots, pod(snapshots, tol=TOL)[0], unit_box(mu.shape[1]))


def left_out_q2(problem: Drawn, rows: np.ndarray) -> float:
    """Q2 of a field over runs left out one by one, all trained again."""
    m = len(problem.mu)
    u = problem.solve(problem.mu)[rows]
    errors, sizes = 0.0, 0.0
    for k in range(m):
        keep = np.arange(m) != k
        answer = train(problem, keep).field(problem.mu[k])[0][rows]
        errors += float(np.sum((answer - u[:, k]) ** 2))
        sizes += float(np.sum((u[:, keep].mean(axis=1) - u[:, k]) ** 2))
    return 1.0 - errors / sizes


def judge(problem: Drawn) -> dict[str, dict[str, float]]:
    """Of each field: coverage, relative errors, and Q2 where no skill is said."""
    model = train(problem, np.ones(len(problem.mu), bool))
    truth = problem.solve(problem.fresh)
    mean, std = model.field(problem.fresh)
    inside = np.abs(truth - mean) <= NORMAL_QUANTILE * std
    u = problem.solve(problem.mu)
    trivial = {}
    for name in TRIVIAL:
        interpolate = open_regressor(name).interpolate
        assert interpolate is not None
        trivial[name] = interpolate(problem.mu, u.T, problem.fresh).T
    figures = {}
    for k, field in enumerate(problem.fields):
        rows = np.asarray(field.rows)
        size = np.linalg.norm(truth[rows] - truth[rows].mean(axis=1, keepdims=True))
        row = {"coverage": float(inside[rows].mean())}
        for name, answer in {"error": mean, **trivial}.items():
            row[name] = float(np.linalg.norm(answer[rows] - truth[rows]) / size)
        assert model.skill is not None
        if model.skill[k] < SKILL:
            row["q2"] = left_out_q2(problem, rows)
        figures[field.name] = row
    return figures


def main(problems: int = 10, seed: int = 0, kinds: str = ",".join(KINDS)) -> dict[str, float]:
    """Means over the problems of each kind; of two fields each on its own.

    Errors are relative to the deviation of the fields from their mean. no_skill counts the
    fields of which the model says so, no_skill_wrong those whose Q2 at left-out runs is .2 or
    more.
    """
    numbers: dict[str, float] = {}
    q2: list[float] = []
    for kind in kinds.split(","):
        judged = [judge(draw(kind, k, seed)) for k in range(problems)]
        for name in judged[0]:
            rows = [one[name] for one in judged]
            label = f"{kind}_{name}" if len(judged[0]) > 1 else kind
            numbers[f"{label}_coverage"] = float(np.mean([row["coverage"] for row in rows]))
            numbers[f"{label}_coverage_least"] = min(row["coverage"] for row in rows)
            for key in ("error", *TRIVIAL):
                numbers[f"{label}_{key}"] = float(np.mean([row[key] for row in rows]))
            q2 += [row["q2"] for row in rows if "q2" in row]
    wrong = sum(value >= SKILL for value in q2)
    return numbers | {"no_skill": len(q2), "no_skill_wrong": wrong}


if __name__ == "__main__":
    run(main)
