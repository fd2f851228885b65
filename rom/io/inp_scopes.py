"""Parts, instances and sets of a deck of Abaqus or CalculiX."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from rom.errors import BadInput, ForeignFile
from rom.io.inp_elements import cell_type_of, is_shell, order_nodes
from rom.io.inp_lines import Keyword, read_keywords
from rom.io.inp_moves import Move, local_system, move_of_instance, to_cartesian
from rom.mesh import NODES

GENERATORS = {"NCOPY", "NMAP", "ELCOPY", "NFILL", "IMPORT", "USER ELEMENT", "SUBSTRUCTURE"}


@dataclass(eq=False)
class Collection:
    """A set or surface as it was first called: (instance, entries) of its lines.

    is_range : entries are first, last, step; by_element : the nodes of elements
    """

    name: str
    rows: list[tuple[str, list[str], str]] = field(default_factory=list)


Label = int | str  # number of a node, or INSTANCE.NUMBER of one elsewhere


@dataclass(eq=False)
class Scope:
    """What a part, an instance or the assembly defines; labels in capitals are keys.

    shells : numbers of those elements whose first two faces are the whole element
    """

    name: str
    nodes: dict[int, list[float]] = field(default_factory=dict)
    elements: dict[int, tuple[str, list[Label]]] = field(default_factory=dict)
    node_sets: dict[str, Collection] = field(default_factory=dict)
    element_sets: dict[str, Collection] = field(default_factory=dict)
    surfaces: dict[str, Collection] = field(default_factory=dict)
    shells: set[int] = field(default_factory=set)

    def collect(self, table: dict[str, Collection], name: str) -> Collection:
        """The set of a name, which is begun where there is none."""
        return table.setdefault(name.upper(), Collection(name))


@dataclass(eq=False)
class Deck:
    """Parts by name in capitals, instances in order, and what stands outside of them."""

    path: Path
    parts: dict[str, Scope] = field(default_factory=dict)
    instances: list[tuple[Scope, Move]] = field(default_factory=list)
    outside: Scope = field(default_factory=lambda: Scope(""))


def read_deck(path: Path) -> Deck:
    """The deck in a file. Raises BadInput for keywords that make nodes otherwise."""
    deck = Deck(path)
    scope, system = deck.outside, None
    for keyword in read_keywords(path):
        name = keyword.name
        if name == "PART":
            label = keyword.option("NAME") or ""
            scope = deck.parts.setdefault(label.upper(), Scope(label))
        elif name == "INSTANCE":
            scope = _begin_instance(deck, keyword)
        elif name in ("END PART", "END INSTANCE", "END ASSEMBLY"):
            scope, system = deck.outside, None
        elif name == "SYSTEM":
            system = local_system(keyword.rows, path.name)
        elif name in GENERATORS:
            raise BadInput(
                f"{path.name}: *{name} makes nodes or elements in a way that is not known here; "
                "write them out"
            )
        else:
            _read_keyword(deck, scope, keyword, system)
    return deck


def _begin_instance(deck: Deck, keyword: Keyword) -> Scope:
    name, part = keyword.option("NAME") or "", keyword.option("PART")
    file = deck.path.name
    scope = Scope(name)
    if part is not None:
        if part.upper() not in deck.parts:
            raise BadInput(f"{file}: instance {name!r} is of part {part!r}, which is absent")
        origin = deck.parts[part.upper()]
        scope = Scope(
            name,
            dict(origin.nodes),
            dict(origin.elements),
            dict(origin.node_sets),
            dict(origin.element_sets),
            dict(origin.surfaces),
            set(origin.shells),
        )
    deck.instances.append((scope, move_of_instance(keyword.rows, file)))
    return scope


def _read_keyword(deck: Deck, scope: Scope, keyword: Keyword, system: Move | None) -> None:
    name, file = keyword.name, deck.path.name
    if name == "NODE":
        _read_nodes(scope, keyword, system, file)
    elif name == "ELEMENT":
        _read_elements(scope, keyword, file)
    elif name == "NGEN":
        _generate_nodes(scope, keyword, file)
    elif name == "ELGEN":
        _generate_elements(scope, keyword, file)
    elif name in ("NSET", "ELSET"):
        table = scope.node_sets if name == "NSET" else scope.element_sets
        label = keyword.option(name)
        if not label:
            raise BadInput(f"{file}: *{name} has no name")
        _extend(scope.collect(table, label), keyword)
    elif name == "SURFACE":
        _read_surface(scope, keyword, file)


def _read_surface(scope: Scope, keyword: Keyword, file: str) -> None:
    """Faces of elements, or nodes; analytical surfaces have neither."""
    label = keyword.option("NAME") or "surface"
    kind = (keyword.option("TYPE") or "ELEMENT").upper()
    combine = keyword.option("COMBINE")
    if kind not in ("ELEMENT", "NODE"):
        return
    if combine is not None and combine.upper() != "UNION":
        raise BadInput(f"{file}: surface {label!r} is a {combine}; write its faces out")
    kind = "UNION" if combine is not None else kind
    scope.collect(scope.surfaces, label).rows += [("", row, kind) for row in keyword.rows]


def _extend(collection: Collection, keyword: Keyword) -> None:
    """Lines of *NSET or *ELSET behind those that the set has already."""
    instance = keyword.option("INSTANCE") or ""
    kind = "RANGE" if keyword.option("GENERATE") is not None else "PLAIN"
    of_elements = keyword.option("ELSET") if keyword.name == "NSET" else None
    if of_elements:
        collection.rows.append((instance, [of_elements], "ELEMENTS"))
    collection.rows += [(instance, row, kind) for row in keyword.rows]


def _read_nodes(scope: Scope, keyword: Keyword, system: Move | None, file: str) -> None:
    kind = (keyword.option("SYSTEM") or "R").upper()
    first = len(scope.nodes)
    numbers = []
    for row in keyword.rows:
        number = whole_number(row[0], file)
        texts = (*row[1:4], "", "", "")[:3]
        x = [float(text.lower().replace("d", "e")) if text else 0.0 for text in texts]
        x = to_cartesian(x, kind)
        scope.nodes[number] = system.apply(np.array([x]))[0].tolist() if system else x
        numbers.append(str(number))
    label = keyword.option("NSET")
    if label and len(scope.nodes) >= first:
        scope.collect(scope.node_sets, label).rows.append(("", numbers, "PLAIN"))


def _read_elements(scope: Scope, keyword: Keyword, file: str) -> None:
    """Elements, of several lines each.

    A further node of a beam is no cell's; CalculiX passes over further ones of a line.
    """
    text = keyword.option("TYPE")
    if not text:
        raise BadInput(f"{file}: *ELEMENT has no TYPE")
    kind = cell_type_of(text, file)
    size, numbers = NODES[kind], []
    entries: list[str] = []
    for row in keyword.rows:
        entries += row
        if len(entries) < size + 1:
            continue
        first, *texts = (entry for entry in entries if entry)
        number, nodes = whole_number(first, file), [_label(entry, file) for entry in texts]
        if len(nodes) < size or (len(entries) > len(row) and len(nodes) > size):
            raise ForeignFile(f"{file}: element {number} of type {text} has {len(nodes)} nodes")
        scope.elements[number] = order_nodes(text, kind, nodes[:size])
        if is_shell(text):
            scope.shells.add(number)
        numbers.append(str(number))
        entries = []
    if entries:
        raise ForeignFile(f"{file}: element {entries[0]} of type {text} has too few nodes")
    label = keyword.option("ELSET")
    if label:
        scope.collect(scope.element_sets, label).rows.append(("", numbers, "PLAIN"))


def _generate_nodes(scope: Scope, keyword: Keyword, file: str) -> None:
    """Nodes between two others on a straight line."""
    if keyword.option("LINE") or keyword.option("SYSTEM"):
        raise BadInput(f"{file}: *NGEN along a curve is not known here; write the nodes out")
    numbers = []
    for row in keyword.rows:
        first, last = (whole_number(text, file) for text in row[:2])
        step = whole_number(row[2], file) if len(row) > 2 and row[2] else 1
        if not step or first not in scope.nodes or last not in scope.nodes:
            raise BadInput(f"{file}: *NGEN from {first} to {last} by {step} has no ends")
        a, b = np.array(scope.nodes[first]), np.array(scope.nodes[last])
        inner = range(first, last + (1 if step > 0 else -1), step)
        for number in inner:
            scope.nodes[number] = (a + (b - a) * (number - first) / (last - first)).tolist()
        numbers += [str(number) for number in inner]
    label = keyword.option("NSET")
    if label:
        scope.collect(scope.node_sets, label).rows.append(("", numbers, "PLAIN"))


def _generate_elements(scope: Scope, keyword: Keyword, file: str) -> None:
    """Copies of an element along up to three directions of numbers."""
    numbers = []
    for row in keyword.rows:
        first, *rest = (whole_number(text, file) if text else 1 for text in row)
        if first not in scope.elements:
            raise BadInput(f"{file}: *ELGEN copies element {first}, which is absent")
        kind, nodes = scope.elements[first][0], _own_nodes(scope, first, file)
        shifts = [(0, 0)]
        for k in range(0, len(rest), 3):
            count, by_node, by_element = (*rest[k : k + 3], 1, 1)[:3]
            if count * len(shifts) > 10**7:
                raise ForeignFile(f"{file}: *ELGEN makes more than 10 million elements")
            steps = [(by_node * j, by_element * j) for j in range(max(count, 1))]
            shifts = [(n + i, e + j) for i, j in steps for n, e in shifts]
        for by_node, by_element in shifts:
            scope.elements[first + by_element] = (kind, [node + by_node for node in nodes])
            numbers.append(str(first + by_element))
    label = keyword.option("ELSET")
    if label:
        scope.collect(scope.element_sets, label).rows.append(("", numbers, "PLAIN"))


def _own_nodes(scope: Scope, number: int, file: str) -> list[int]:
    """The nodes of an element. Raises BadInput where some are of instances."""
    labels = scope.elements[number][1]
    nodes = [node for node in labels if isinstance(node, int)]
    if len(nodes) < len(labels):
        raise BadInput(f"{file}: *ELGEN copies element {number}, with nodes of instances")
    return nodes


def _label(text: str, file: str) -> Label:
    """The number of a node, or INSTANCE.NUMBER in capitals."""
    _, dot, number = text.rpartition(".")
    return text.upper() if dot and number.isdigit() else whole_number(text, file)


def whole_number(text: str, file: str) -> int:
    """A whole number. Raises ForeignFile where it is none."""
    try:
        return int(text)
    except ValueError as error:
        raise ForeignFile(f"{file}: {text!r} is no whole number; is the line complete?") from error
