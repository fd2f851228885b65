"""Decks of Abaqus and CalculiX, .inp: parts, instances, includes, sets.

A surface is the node set of its faces. Names of sets that several instances have are led by that
of their instance. meshio's reader joins parts by node numbers and drops sets; so this one is ours.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from rom.errors import ForeignFile
from rom.io.content import Content, Data, blocks_of, frame_of_content
from rom.io.frame import Frame
from rom.io.inp_moves import Move
from rom.io.inp_scopes import Collection, Deck, Label, Scope, read_deck
from rom.io.inp_sets import Placed, Resolver
from rom.io.regions import NODE_SET, REGION
from rom.mesh import Mesh

Cells = list[tuple[str, np.ndarray]]


def inp_frames(path: Path, unit: str) -> Iterator[tuple[Mesh, Frame]]:
    """The mesh of a deck, which has no fields."""
    deck = read_deck(path)
    points, cells, placed = _place(deck)
    if not len(points):
        raise ForeignFile(f"{path.name} has no *NODE; is it a deck of Abaqus or CalculiX?")
    blocks = blocks_of(points, cells)
    count = sum(len(nodes) for _, nodes in cells)
    resolver = Resolver({at.scope.name.upper(): at for at in placed}, path.name)
    point_data, cell_data = _sets(resolver, placed, len(points), count)
    if len([at for at in placed if at.cells]) > 1:
        cell_data |= _instances(placed, count, cell_data)
    yield frame_of_content(Content(blocks, point_data, cell_data), None, unit)


def _place(deck: Deck) -> tuple[np.ndarray, Cells, list[Placed]]:
    """Points and cells of all instances, or of all parts where there are none."""
    still = Move(np.eye(3), np.zeros(3))
    scopes = deck.instances or [(scope, still) for scope in deck.parts.values()]
    points, cells = [np.zeros((0, 3))], []
    placed: list[Placed] = []
    first = start = 0
    for scope, move in [*scopes, (deck.outside, still)]:
        if scope.nodes:
            points.append(move.apply(np.array(list(scope.nodes.values()))))
        nodes: dict[Label, int] = {number: first + k for k, number in enumerate(scope.nodes)}
        if scope is deck.outside and scope.elements:  # its elements may name nodes of instances
            nodes |= {f"{at.scope.name.upper()}.{number}": place
                for at in placed for number, place in at.nodes.items()}  # fmt: skip
        its = _cells(scope, nodes, deck.path.name)
        rows = {number: start + k for k, number in enumerate(scope.elements)}
        cells += its
        placed.append(Placed(scope, nodes, rows))
        first, start = first + len(scope.nodes), start + len(rows)
    return np.concatenate(points), cells, placed


def _cells(scope: Scope, nodes: dict[Label, int], file: str) -> Cells:
    """Runs of elements of one type, in the order of the deck."""
    runs: list[tuple[str, list[list[int]]]] = []
    for number, (kind, corners) in scope.elements.items():
        if not runs or runs[-1][0] != kind:
            runs.append((kind, []))
        try:
            runs[-1][1].append([nodes[node] for node in corners])
        except KeyError as error:
            raise ForeignFile(
                f"{file}: element {number} names node {error}, which is absent"
            ) from error
    return [(kind, np.array(rows)) for kind, rows in runs]


def _sets(resolver: Resolver, placed: list[Placed], n: int, k: int) -> tuple[Data, Data]:
    """Masks of node sets and surfaces over n points, of element sets over k cells."""
    point_data: Data = {}
    cell_data: Data = {}
    for name, at, collection in _names(placed, "element_sets"):
        cell_data[REGION + name] = _mask(resolver.cells(at, collection), k)
    for name, at, collection in _names(placed, "node_sets"):
        point_data[NODE_SET + name] = _mask(resolver.nodes(at, collection), n)
    for name, at, collection in _names(placed, "surfaces"):
        key = NODE_SET + name
        key = f"{key} (surface)" if key in point_data else key
        point_data[key] = _mask(resolver.surface(at, collection), n)
    return point_data, cell_data


def _names(placed: list[Placed], table: str) -> Iterator[tuple[str, Placed, Collection]]:
    """Sets under the names that they have in the whole mesh."""
    every = [key for at in placed for key in getattr(at.scope, table)]
    for at in placed:
        for key, collection in getattr(at.scope, table).items():
            is_unique = every.count(key) == 1 or not at.scope.name
            yield (
                collection.name if is_unique else f"{at.scope.name}.{collection.name}",
                at,
                (collection),
            )


def _mask(places: list[int], n: int) -> np.ndarray:
    mask = np.zeros(n, dtype=bool)
    mask[np.array(places, dtype=np.int64)] = True
    return mask


def _instances(placed: list[Placed], k: int, cell_data: Data) -> Data:
    """The cells of every instance as a region of its name."""
    regions: Data = {}
    for at in placed:
        if at.cells and at.scope.name:
            name = at.scope.name
            is_set = REGION + name in cell_data
            key = f"{name} (instance)" if is_set else name
            regions[REGION + key] = _mask(list(at.cells.values()), k)
    return regions


SUFFIXES = {".inp": inp_frames}
