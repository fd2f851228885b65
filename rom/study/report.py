"""One HTML file about a model, and how wrong it is where studied."""

from __future__ import annotations

import html
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import write_file
from rom.arrays import gate
from rom.basis import Basis
from rom.model import Model
from rom.parameters import Box
from rom.study.discrepancy import Study
from rom.study.facts import basis_facts, model_facts
from rom.study.html_parts import html_page, html_section, html_table
from rom.study.norms import SPACE_NORM

COLUMNS = ("norm", "error", "relative", "bound", "effectivity")
PARTS = ("max error", "max relative error", "unit, norm", "bound", "what the bound is", "coverage")
EMPTY: tuple[Any, ...] = ("", [])  # entries of the provenance that are left out


@gate(model=Model)
def write_report(
    path: str | Path,
    model: Model,
    study: Study | None = None,
    *,
    provenance: Mapping[str, Any] | None = None,
    title: str = "Model",
) -> Path:
    """A self-contained HTML page of a model, and of a study where there is one.

    provenance : how to do it again: command lines, versions, digests
    """
    bases = model_bases(model)
    again = [[key, value] for key, value in (provenance or {}).items() if value not in EMPTY]
    box = model.asks.box
    parts = [
        "" if study is None else _study_sections(study),
        html_section("Asks and tells", html_table(["", ""], model_facts(model).items())),
        _delivered(bases),
        "" if box is None else _parameters(box),
        _curves_section(study, bases),
        "" if study is None else _every_parameter(study, box),
        html_section("How to do it again", html_table(["", ""], again)),
    ]
    return write_file(path, html_page(title, parts))


def model_bases(model: Any) -> dict[str, Basis]:
    """The bases that a model is made of, by the name of what they serve."""
    bases: dict[str, Basis] = {}
    _collect_bases(model, "", bases)
    return bases


def _collect_bases(holder: Any, name: str, bases: dict[str, Basis]) -> None:
    basis = getattr(holder, "basis", None)
    if isinstance(basis, Basis):
        bases[name or "state"] = basis
        return
    for key, value in getattr(holder, "__dict__", {}).items():
        entries = value if isinstance(value, (tuple, list)) else (value,)
        for entry in entries:
            own = getattr(entry, "basis", None)
            if isinstance(own, Basis):
                bases[str(getattr(entry, "name", key))] = own


def _study_sections(study: Study) -> str:
    alarms = "".join(f"<p><b>Alarm: {line}.</b></p>" for line in study.alarms)
    units = study.units()
    rows = [[name, value, units.get(name, "-")] for name, value in study.summary().items()]
    sections = alarms + html_section("Result", html_table(["quantity", "value", "unit"], rows))
    sections += _failed_solves(study)
    parts = [*study.fields, *study.outputs]
    if not parts:
        return sections
    lines = []
    for part in parts:
        bound = np.nan if part.bound is None else float(part.bound.max())
        what = f"{part.known} in {part.bound_norm}" if part.bound is not None else "-"
        unit = f"{part.unit}, {part.norm}"
        largest, relative = float(part.error.max()), float(part.relative.max())
        shares = "; ".join(f"{share:.3g} of {key}" for key, share in part.coverage.items())
        lines.append([part.name, largest, relative, unit, bound, what, shares or "-"])
    return sections + html_section("Each field and output", html_table(["", *PARTS], lines))


def _failed_solves(study: Study) -> str:
    """Where high fidelity gave no answer, and why."""
    if not study.failed:
        return ""
    rows = [[", ".join(f"{x:g}" for x in mu), reason] for mu, reason in study.failed]
    return html_section("Failed solves, in no number", html_table(["mu", "reason"], rows))


def _parameters(box: Box) -> str:
    heads = ["name", "unit", "lower", "upper", "scale"]
    rows = zip(box.names, box.units, box.lower, box.upper, box.scales, strict=True)
    return html_section("Parameters", html_table(heads, rows))


def _delivered(bases: Mapping[str, Basis]) -> str:
    """What was asked of each basis and what it has."""
    if not bases:
        return ""
    tables = []
    for name, basis in bases.items():
        tables.append(html_table([name, ""], basis_facts(basis).items()))
    return html_section("Asked and delivered", "".join(tables))


def _every_parameter(study: Study, box: Box | None) -> str:
    p = study.mu.shape[1]
    names = [f"mu{k}" for k in range(p)]
    if box is not None and box.p == p:
        names = [f"{name} [{unit}]" for name, unit in zip(box.names, box.units, strict=True)]
    table = html_table([*names, *COLUMNS], _study_rows(study))
    return html_section("Every parameter", table)


def _study_rows(study: Study) -> list[list[float]]:
    """One row per parameter: mu, then COLUMNS; NaN where there is no bound."""
    nothing = np.full(len(study.mu), np.nan)
    bound = nothing if study.bound is None else study.bound
    effectivity = nothing if study.effectivity is None else study.effectivity
    columns = [study.mu, study.norm, study.error, study.relative, bound, effectivity]
    rows: list[list[float]] = np.column_stack(columns).tolist()
    return rows


def _curves_section(study: Study | None, bases: Mapping[str, Basis]) -> str:
    curves = "".join(_curves(study, bases))
    return html_section("Curves", curves) if curves else ""


def _curves(study: Study | None, bases: Mapping[str, Basis]) -> Iterator[str]:
    """The curves as <svg> tags under their headings."""
    if study is not None and np.isfinite(study.relative).all():
        yield _errors(study)
    for name, basis in bases.items():
        if basis.s is not None and len(basis.s) and basis.s[0] > 0:
            yield f"<h3>{html.escape(name)}</h3>{_decay(basis)}"
    ratio = None if study is None else study.effectivity
    if ratio is not None and np.isfinite(ratio).any():
        yield _effectivities(ratio)


def _decay(basis: Basis) -> str:
    """Singular values and the tail over the number of modes."""
    from rom.plot.curves import decay_curves
    from rom.plot.svg import svg_lines

    curves = decay_curves(np.asarray(basis.s))
    marks = {f"kept: r = {basis.r}": float(basis.r)}
    return svg_lines(curves, xlabel="mode k [-]", ylabel="relative size [-]", log=True, marks=marks)


def _errors(study: Study) -> str:
    """Errors and bounds, sorted by error."""
    from rom.plot.svg import svg_lines

    order = np.argsort(study.relative)
    number = np.arange(1.0, len(order) + 1)
    lines = {"error": (number, study.relative[order])}
    if study.bound is not None and study.bound_norm == SPACE_NORM:
        lines["bound"] = (number, (study.bound / study.norm)[order])
    return svg_lines(
        lines,
        xlabel="parameters, sorted by error [-]",
        ylabel="relative error [-]",
        log=bool((study.relative > 0).all()),
    )


def _effectivities(ratio: np.ndarray) -> str:
    """The histogram of bound over error."""
    from rom.plot.curves import effectivity_bins
    from rom.plot.svg import svg_histogram

    values, bins = effectivity_bins(ratio)
    return svg_histogram(
        values,
        bins,
        xlabel="effectivity = bound / error [-]",
        ylabel="number of parameters [-]",
        marks={"1: the bound is the error": 1.0},
    )
