"""Families of MED: the sets of sets that occur, a number per point or cell."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

Families = dict[int, list[str]]


def family_numbers(
    masks: Mapping[str, np.ndarray], n: int, sign: int
) -> tuple[np.ndarray, Families]:
    """Family of each of n points or cells, and the sets each family belongs to.

    masks : 'prefix:NAME' -> (n,); sign : 1 for points, -1 for cells. 0 is the family of no set.
    """
    if not masks:
        return np.zeros(n, dtype=np.int64), {}
    table = np.stack([mask.astype(bool) for mask in masks.values()], axis=1)
    rows, number = np.unique(table, axis=0, return_inverse=True)
    names = [key.split(":", 1)[1] for key in masks]
    counted = sign * (1 + np.arange(len(rows)))
    tags = np.where(rows.any(axis=1), counted, 0)
    families: Families = {}
    for tag, row in zip(tags, rows, strict=True):
        if tag:
            families[int(tag)] = [name for name, on in zip(names, row, strict=True) if on]
    return tags[number.ravel()], families


def masks_of_families(tags: np.ndarray, families: Families, prefix: str) -> dict[str, np.ndarray]:
    """Sets as masks `prefix` + NAME, from the family number of every point or cell."""
    names = {name for members in families.values() for name in members}
    masks = {}
    for name in sorted(names):
        its_tags = [tag for tag, members in families.items() if name in members]
        masks[prefix + name] = np.isin(tags, its_tags)
    return masks
