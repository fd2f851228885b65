"""Meshes as meshio sees them: the formats of other programs."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput
from rom.io.grid import DIMENSION, Fields, check_fields, masks, points_3d, sorted_out
from rom.mesh import Mesh


def to_meshio(mesh: Mesh, fields: Fields | None, cell_fields: Fields | None, suffix: str) -> Any:
    """The mesh as a meshio.Mesh: regions as physical groups (.msh), sets (.inp) or 0/1 arrays; BadInput for fields in .inp."""
    import meshio

    ends = np.cumsum([len(cells) for cells in mesh.cells.values()])
    cell_masks, node_masks = masks(mesh)
    point_data = check_fields(fields, len(mesh.points), "points")
    cell_data = check_fields(cell_fields, int(ends[-1]) if len(ends) else 0, "cells")
    made = meshio.Mesh(
        points_3d(mesh), [(kind, np.asarray(cells)) for kind, cells in mesh.cells.items()]
    )
    if suffix == ".inp":
        if point_data or cell_data:
            raise BadInput(
                f"{suffix} files carry no fields ({', '.join({**point_data, **cell_data})}); write vtkhdf or vtu"
            )
        made.cell_sets = {
            name[7:]: [np.flatnonzero(m) for m in np.split(mask, ends[:-1])]
            for name, mask in cell_masks.items()
        }
        made.point_sets = {name[6:]: np.flatnonzero(mask) for name, mask in node_masks.items()}
        return made
    if suffix == ".msh":
        if cell_data:
            raise BadInput(
                f"fields on cells ({', '.join(cell_data)}) do not come back from {suffix} files; write vtkhdf or vtu"
            )
        made.field_data, tags = _groups(mesh, cell_masks)
        made.cell_data = {
            key: np.split(tags, ends[:-1]) for key in ("gmsh:physical", "gmsh:geometrical")
        }
        cell_masks = {}
    if suffix == ".med":
        made.point_data["point_tags"], made.point_tags = _families(node_masks, len(mesh.points), 1)
        tags, made.cell_tags = _families(cell_masks, int(ends[-1]), -1)
        made.cell_data["cell_tags"] = np.split(tags, ends[:-1])
        node_masks, cell_masks = {}, {}
    if suffix == ".xdmf":  # knows vectors and tensors; wider rows must be matrices
        point_data, cell_data = (
            {
                name: v[..., None] if v.ndim == 2 and v.shape[1] > 3 else v
                for name, v in data.items()
            }
            for data in (point_data, cell_data)
        )
    made.point_data |= node_masks | point_data
    made.cell_data |= {
        name: np.split(values, ends[:-1]) for name, values in (cell_masks | cell_data).items()
    }
    return made


def _groups(
    mesh: Mesh, cell_masks: dict[str, np.ndarray]
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Regions as physical groups, name -> (tag, dimension), and the tag of every cell; BadInput where they overlap."""
    dimension = np.concatenate(
        [np.full(len(cells), DIMENSION[kind]) for kind, cells in mesh.cells.items()]
    )
    tags = np.zeros(len(dimension), dtype=np.int64)
    groups: dict[str, np.ndarray] = {}
    for name, mask in ((name[7:], mask.astype(bool)) for name, mask in cell_masks.items()):
        if tags[mask].any() or len(set(dimension[mask])) != 1:
            raise BadInput(
                f"region {name!r} overlaps another or mixes dimensions: a .msh file holds one group per cell; write vtkhdf"
            )
        groups[name] = np.array([len(groups) + 1, dimension[mask][0]])
        tags[mask] = len(groups)
    return groups, tags


def _families(
    masks: dict[str, np.ndarray], n: int, sign: int
) -> tuple[np.ndarray, dict[int, list[str]]]:
    """The family number of every point or cell, and the sets each family belongs to: families are the sets of sets that occur."""
    table = (
        np.stack([mask.astype(bool) for mask in masks.values()], axis=1)
        if masks
        else np.zeros((n, 0), dtype=bool)
    )
    kinds, number = (
        np.unique(table, axis=0, return_inverse=True)
        if masks
        else (table[:1], np.zeros(n, dtype=np.int64))
    )
    names = [key.split(":", 1)[1] for key in masks]
    tags = np.where(kinds.any(axis=1), sign * (1 + np.arange(len(kinds))), 0)
    held = {
        int(tag): [name for name, on in zip(names, row, strict=True) if on]
        for tag, row in zip(tags, kinds, strict=True)
        if tag
    }
    return tags[number.ravel()], held


def _of_families(
    tags: np.ndarray, families: dict[int, list[str]], prefix: str
) -> dict[str, np.ndarray]:
    """Sets as masks, from the family number of every point or cell."""
    names = {name for held in families.values() for name in held}
    return {
        f"{prefix}:{name}": np.isin(tags, [tag for tag, held in families.items() if name in held])
        for name in sorted(names)
    }


def from_meshio(made: Any, unit: str = "m") -> tuple[Mesh, Fields, Fields]:
    """Mesh, point fields and cell fields of a meshio.Mesh; blocks of one type become one."""
    ends = np.cumsum([len(block.data) for block in made.cells])
    rows: dict[str, Any] = {}
    cells: dict[str, Any] = {}
    for block, end in zip(made.cells, ends, strict=True):
        rows.setdefault(block.type, []).append(np.arange(end - len(block.data), end))
        cells.setdefault(block.type, []).append(np.asarray(block.data, dtype=np.int64))
    point_data = {
        name: values for name, values in made.point_data.items() if not name.startswith("gmsh:")
    }
    for name, numbers in made.point_sets.items():
        point_data[f"nodes:{name}"] = np.isin(np.arange(len(made.points)), numbers)
    cell_data = {
        name: np.concatenate(parts)
        for name, parts in made.cell_data.items()
        if not name.startswith("gmsh:")
    }
    if "point_tags" in point_data:
        point_data |= _of_families(point_data.pop("point_tags"), made.point_tags, "nodes")
    if "cell_tags" in cell_data:
        cell_data |= _of_families(cell_data.pop("cell_tags"), made.cell_tags, "region")
    point_data, cell_data = (
        {name: v[..., 0] if np.ndim(v) == 3 and v.shape[2] == 1 else v for name, v in data.items()}
        for data in (point_data, cell_data)
    )
    blocks, order = (
        {kind: np.concatenate(parts) for kind, parts in held.items()} for held in (cells, rows)
    )
    return sorted_out(
        np.array(made.points, dtype=float),
        blocks,
        order,
        point_data,
        cell_data | _regions(made, ends),
        unit,
    )


def _regions(made: Any, ends: np.ndarray) -> dict[str, np.ndarray]:
    """Cell sets, or else gmsh's physical groups, as masks over all cells."""
    if "gmsh:physical" in made.cell_data:
        tags = np.concatenate(made.cell_data["gmsh:physical"])
        dimension = np.concatenate(
            [np.full(len(block.data), DIMENSION.get(block.type, -1)) for block in made.cells]
        )
        return {
            f"region:{name}": (tags == tag) & (dimension == d)
            for name, (tag, d) in made.field_data.items()
        }
    regions = {}
    for name, parts in made.cell_sets.items():
        mask = np.zeros(int(ends[-1]), dtype=bool)
        for numbers, end, block in zip(parts, ends, made.cells, strict=True):
            if numbers is not None and len(numbers):
                mask[end - len(block.data) + np.asarray(numbers, dtype=np.int64)] = True
        regions[f"region:{name}"] = mask
    return regions
