"""What a format carries, so that nothing is dropped where a mesh is written."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from rom.errors import BadInput
from rom.mesh import NODES, Mesh

EVERY = frozenset(NODES)
INSTEAD = "write vtkhdf or vtu"


@dataclass(frozen=True)
class Carries:
    """Cell types, and whether fields on points and cells and sets are carried."""

    kinds: frozenset[str] = EVERY
    points: bool = True
    cells: bool = True
    sets: bool = True


def check_carries(
    path: Path, carries: Carries, mesh: Mesh, points: Iterable[str], cells: Iterable[str]
) -> None:
    """BadInput that names what a file of this format would lose."""
    suffix = path.suffix
    filled = [kind for kind, nodes in mesh.cells.items() if len(nodes)]
    lost = [kind for kind in filled if kind not in carries.kinds]
    if lost:
        raise BadInput(f"{path.name}: {suffix} files hold no {' and '.join(lost)} cells; {INSTEAD}")
    names = [*([] if carries.points else points), *([] if carries.cells else cells)]
    if names:
        what = "fields" if not carries.points else "fields on cells"
        raise BadInput(f"{suffix} files carry no {what} ({', '.join(names)}); {INSTEAD}")
    sets = [*mesh.regions, *mesh.nodes]
    if sets and not carries.sets:
        raise BadInput(f"{suffix} files carry no regions and node sets ({', '.join(sets)}); "
            f"{INSTEAD}")  # fmt: skip
