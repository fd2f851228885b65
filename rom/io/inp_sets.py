"""What the sets and surfaces of a deck name, as places among all nodes and cells."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from rom.errors import BadInput
from rom.io.inp_elements import face_nodes, free_faces
from rom.io.inp_scopes import Collection, Label, Scope, whole_number

SIDES_OF_SHELL = (1, 2)
MAX_DEPTH = 32  # of sets of sets
EVERY = {"NALL", "EALL"}  # sets that CalculiX knows without a definition


@dataclass(frozen=True, eq=False)
class Placed:
    """A scope in the whole mesh: number -> place of its nodes and cells."""

    scope: Scope
    nodes: dict[Label, int]
    cells: dict[int, int]


@dataclass(frozen=True, eq=False)
class Resolver:
    """Looks sets up, in a scope and in instances by name in capitals."""

    placed: dict[str, Placed]
    file: str

    def nodes(self, at: Placed, collection: Collection, depth: int = 0) -> list[int]:
        """Places of the nodes of a set."""
        places: list[int] = []
        for instance, entries, kind in collection.rows:
            home = self._home(at, instance)
            if kind == "ELEMENTS":
                places += self._nodes_of_cells(home, entries[0], depth)
            elif kind == "RANGE":
                numbers = home.nodes.keys() & set(self._range(entries))
                places += [home.nodes[number] for number in sorted(numbers)]
            else:
                for entry in filter(None, entries):
                    places += self._node_entry(home, entry, depth)
        return places

    def cells(self, at: Placed, collection: Collection, depth: int = 0) -> list[int]:
        """Places of the cells of a set."""
        return [home.cells[number] for home, number in self.elements(at, collection, depth)]

    def elements(
        self, at: Placed, collection: Collection, depth: int = 0
    ) -> Iterator[tuple[Placed, int]]:
        """The elements of a set, each with the scope that numbers it."""
        for instance, entries, kind in collection.rows:
            home = self._home(at, instance)
            if kind == "RANGE":
                for number in self._range(entries):
                    if number in home.cells:
                        yield home, number
                continue
            for entry in filter(None, entries):
                yield from self.element_entry(home, entry, depth)

    def element_entry(self, at: Placed, entry: str, depth: int = 0) -> Iterator[tuple[Placed, int]]:
        """The elements that a number or the name of a set means."""
        home, text = self._split(at, entry)
        if text.lstrip("+-").isdigit():
            if int(text) in home.cells:
                yield home, int(text)
            return
        if text.upper() in EVERY and text.upper() not in home.scope.element_sets:
            yield from ((home, number) for number in home.cells)
            return
        collection = self._set(home.scope.element_sets, text, depth)
        yield from self.elements(home, collection, depth + 1)

    def surface(self, at: Placed, collection: Collection, depth: int = 0) -> list[int]:
        """Places of the nodes of the faces of a surface."""
        places: list[int] = []
        for _, entries, kind in collection.rows:
            if kind == "UNION":
                for entry in filter(None, entries):
                    home, text = self._split(at, entry)
                    other = self._set(home.scope.surfaces, text, depth)
                    places += self.surface(home, other, depth + 1)
            elif kind == "NODE":
                places += self._node_entry(at, entries[0], depth)
            else:
                face = entries[1].upper() if len(entries) > 1 else ""
                places += self._faces(list(self.element_entry(at, entries[0], depth)), face)
        return places

    def _faces(self, elements: list[tuple[Placed, int]], face: str) -> list[int]:
        """Nodes of one face of elements, of whole shells, or of all free faces."""
        if face in ("SPOS", "SNEG", "SPOSNEG", "EDGE", "POS", "NEG", "SP", "SN"):
            return [
                home.nodes[node]
                for home, number in elements
                for node in home.scope.elements[number][1]
            ]
        if face:
            return [
                home.nodes[home.scope.elements[number][1][j]]
                for home, number in elements
                for j in self._face(home.scope, number, face)
            ]
        kinds: dict[str, list[list[int]]] = {}
        for home, number in elements:
            kind, nodes = home.scope.elements[number]
            kinds.setdefault(kind, []).append([home.nodes[node] for node in nodes])
        places = []
        for kind, rows in kinds.items():
            for row, k in free_faces(kind, np.array(rows)):
                places += [rows[row][j] for j in face_nodes(kind, k)]
        return places

    def _face(self, scope: Scope, number: int, face: str) -> list[int]:
        """Places of the nodes of a face; S1, S2 of a shell are all of it, S3 an edge."""
        kind, nodes = scope.elements[number]
        k = whole_number(face.lstrip("SEF"), self.file)
        if face.startswith("S") and number in scope.shells:
            return list(range(len(nodes))) if k in SIDES_OF_SHELL else face_nodes(kind, k - 2)
        return face_nodes(kind, k)

    def _node_entry(self, at: Placed, entry: str, depth: int) -> list[int]:
        home, text = self._split(at, entry)
        if text.lstrip("+-").isdigit():
            return [home.nodes[int(text)]] if int(text) in home.nodes else []
        if text.upper() in EVERY and text.upper() not in home.scope.node_sets:
            return list(home.nodes.values())
        return self.nodes(home, self._set(home.scope.node_sets, text, depth), depth + 1)

    def _nodes_of_cells(self, at: Placed, name: str, depth: int) -> list[int]:
        return [
            home.nodes[node]
            for home, number in self.element_entry(at, name, depth)
            for node in home.scope.elements[number][1]
        ]

    def _split(self, at: Placed, entry: str) -> tuple[Placed, str]:
        """INSTANCE.NAME as that instance and the name; other entries stay in their scope."""
        text = entry.strip().strip('"')
        instance, dot, rest = text.partition(".")
        if dot and instance.upper() in self.placed:
            return self.placed[instance.upper()], rest
        return at, text

    def _home(self, at: Placed, instance: str) -> Placed:
        if not instance:
            return at
        if instance.upper() not in self.placed:
            raise BadInput(f"{self.file}: a set is of instance {instance!r}, which is absent")
        return self.placed[instance.upper()]

    def _range(self, entries: list[str]) -> range:
        numbers = [whole_number(text, self.file) for text in entries if text]
        if len(numbers) < 2:
            raise BadInput(f"{self.file}: a set is generated from {entries}; give first and last")
        first, last = numbers[:2]
        step = numbers[2] if len(numbers) > 2 else 1
        return range(first, last + 1, max(step, 1))

    def _set(self, table: dict[str, Collection], name: str, depth: int) -> Collection:
        if name.upper() not in table:
            raise BadInput(f"{self.file}: a set names {name!r}, which is no set or number")
        if depth > MAX_DEPTH:
            raise BadInput(f"{self.file}: set {name!r} names itself")
        return table[name.upper()]
