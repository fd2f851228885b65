"""Morphings that may fit a family of meshes, by name."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from rom.errors import BadInput

if TYPE_CHECKING:
    from rom.shapes import Sample

Names = tuple[str, ...]
KINDS = ("auto", "same", "arc", "disk", "square", "sphere", "radial", "elastic")


def candidate_morphs(
    samples: Sequence[Sample], kind: str, curves: Names, landmarks: Names
) -> dict[str, Any]:
    """The morphings to choose from: of a kind, or of those that fit the meshes.

    curves, landmarks : by default those regions of lines that all meshes have
    Raises BadInput for an unknown kind, or where no kind fits.
    """
    if kind not in KINDS:
        raise BadInput(f"no morphing {kind!r}; known: {', '.join(KINDS)}")
    common = curves or _common_curves(samples)
    kinds = _kinds_for(samples, common) if kind == "auto" else (kind,)
    led = samples[0].mesh.points.shape[1] > 1
    candidates: dict[str, Any] = {}
    for name in kinds:
        if name == "arc":
            candidates |= _arcs(landmarks, led)
        else:
            candidates |= _of_kind(name, curves if name == "elastic" else common, landmarks)
    return candidates


def _kinds_for(samples: Sequence[Sample], curves: Names) -> Names:
    """The kinds of morphings that may fit meshes like the first."""
    from rom.shapes.facets import facets
    from rom.shapes.simplex import simplices

    first = samples[0].mesh
    cells = simplices(first)
    alike = all(
        s.mesh.points.shape == first.points.shape and np.array_equal(simplices(s.mesh), cells)
        for s in samples
    )
    corners, d = cells.shape[1], first.points.shape[1]
    same = ("same",) if alike else ()
    if corners == 2:
        return (*same, "arc")
    if corners == 3 and d == 3:
        boundary, _ = facets(cells)
        return (*same, "disk") if len(boundary) else (*same, "sphere")
    if corners == 3 and curves:
        return (*same, "radial")
    return same or (("disk", "elastic") if corners == 3 else ("elastic",))


def _arcs(landmarks: Names, led: bool) -> dict[str, Any]:
    """Arc length by landmarks, or by all rules of a leading edge and by none.

    led : whether curves may bend at all
    """
    from rom.shapes import ArcLength
    from rom.shapes.curves import LEADING

    plain = {"arc": ArcLength(landmarks)}
    if landmarks or not led:
        return plain
    rules = {f"arc, leading {rule}": ArcLength((), True, rule) for rule in LEADING}
    return {**rules, **plain}


def _of_kind(kind: str, curves: Names, landmarks: Names) -> dict[str, Any]:
    """The morphings of one kind: several where a number is to be chosen."""
    from rom.shapes import Chart, Elastic, Radial, Same, Sphere

    if kind == "same":
        return {kind: Same()}
    if kind == "sphere":
        return {kind: Sphere()}
    if kind == "radial":
        return {kind: Radial(curves, landmarks), "radial, wide": Radial(curves, landmarks, 1.0)}
    if kind == "elastic":
        return {kind: Elastic(curves, landmarks)}
    return {kind: Chart(kind, "floater", landmarks)}


def _common_curves(samples: Sequence[Sample]) -> Names:
    """Regions of lines that every mesh has."""
    common = []
    for name, parts in samples[0].mesh.regions.items():
        if all("line" in s.mesh.regions.get(name, {}) for s in samples) and "line" in parts:
            common.append(name)
    return tuple(common)
