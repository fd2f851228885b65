"""Fields as pictures, without a display."""

from __future__ import annotations

import io
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rom.archive.files import write_file
from rom.arrays import gate
from rom.errors import BadInput
from rom.io.fields import Fields, label
from rom.io.grid import to_grid
from rom.io.regions import cell_dimensions
from rom.mesh import Mesh
from rom.plot.rendering import check_display, check_rendering

HEIGHT = 0.85  # of a panel, over its width
MAX_COUNTS = 9  # whole numbers for which a bar of colours has room
N_COLOURS = 256
FLAT = 1e-12  # thickness of a plane body over its extent
FEATURE_ANGLE = 40.0  # [deg] between faces whose common edge is drawn
BAR_ROOM = 0.03  # of the distance of the camera, for the colour bar below
TITLE_ROOM = 0.93  # of the size of a body below a title of two lines

View = str | tuple[float, float, float]
Limits = tuple[float, float] | Mapping[str, tuple[float, float]] | None


@dataclass(frozen=True)
class _Look:
    """How a picture is drawn; the words of `picture`."""

    title: str = ""
    view: View = "auto"
    limits: Limits = None
    cmap: str = "viridis"
    edges: bool = False
    zoom: float = 1.0
    width: int = 800

    def limits_of(self, name: str) -> tuple[float, float] | None:
        """Ends of the colour bar of a field, or None."""
        if isinstance(self.limits, Mapping):
            return self.limits.get(name)
        return self.limits


@dataclass(frozen=True, eq=False)
class _Scene:
    """The grid to draw, the units of its scalars, the undeformed outline or None."""

    body: Any
    units: dict[str, str]
    outline: Any


@gate(mesh=Mesh)
def picture(
    path: str | Path,
    mesh: Mesh,
    fields: Fields,
    cell_fields: Fields | None = None,
    *,
    warp: np.ndarray | None = None,
    scale: float = 1.0,
    title: str = "",
    view: View = "auto",
    limits: Limits = None,
    cmap: str = "viridis",
    edges: bool = False,
    zoom: float = 1.0,
    width: int = 800,
) -> Path:
    """A PNG of fields side by side, each with its name, unit and colour bar.

    fields : name -> (array (n,) or (n, c), unit); of vectors the length is drawn
    cell_fields : the same, one row per cell; few whole numbers are a colour each
    warp : displacement (n, d), drawn `scale` times enlarged beside the undeformed outline
    view : "auto", "xy", "xz", "yz", "iso", or a camera direction (3,)
    limits : (low, high), or a dict of them by field name; width : of a panel [px]
    Returns the path. Raises MissingExtra where nothing can be drawn, BadInput for NaN and wrong
    lengths.
    """
    check_rendering()
    look = _Look(title, view, limits, cmap, edges, zoom, width)
    scene = _scene(mesh, fields, cell_fields or {}, warp, scale)
    plotter = _plotter(scene, look, off_screen=True)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    picture = io.BytesIO()
    plotter.screenshot(picture)
    plotter.close()
    return write_file(path, picture.getvalue())


@gate(mesh=Mesh)
def show_window(
    mesh: Mesh, fields: Fields, cell_fields: Fields | None = None, *, title: str = ""
) -> None:
    """A window with the fields side by side; BadInput where there is no display."""
    check_display()
    scene = _scene(mesh, fields, cell_fields or {}, None, 1.0)
    _plotter(scene, _Look(title), off_screen=False).show()


def _scene(
    mesh: Mesh, fields: Fields, cell_fields: Fields, warp: np.ndarray | None, scale: float
) -> _Scene:
    """The cells of highest dimension, warped, and the edges of the undeformed body."""
    if not fields and not cell_fields:
        raise BadInput("no field to draw; give fields={name: (array, unit)}")
    units = {name: unit for name, (_, unit) in (fields | cell_fields).items()}
    grid = to_grid(mesh, _scalar_fields(fields), _scalar_fields(cell_fields))
    dimension = cell_dimensions(mesh)
    body = grid.extract_cells(np.flatnonzero(dimension == dimension.max()))
    if warp is None:
        return _Scene(body, units, None)
    if np.shape(warp) != mesh.points.shape:
        raise BadInput(
            f"warp has shape {np.shape(warp)}; the mesh needs a displacement {mesh.points.shape}"
        )
    surface = body.extract_surface(algorithm="dataset_surface")
    outline = surface.extract_feature_edges(feature_angle=FEATURE_ANGLE)
    absent = 3 - mesh.points.shape[1]
    shift = np.pad(np.asarray(warp, dtype=float), ((0, 0), (0, absent)))
    numbers = np.asarray(body.point_data["vtkOriginalPointIds"])
    body.points = np.asarray(body.points) + scale * shift[numbers]
    return _Scene(body, units, outline)


def _scalar_fields(fields: Fields) -> Fields:
    return {name: (_scalar(values), "") for name, (values, _) in fields.items()}


def _scalar(values: np.ndarray) -> np.ndarray:
    """Lengths of vectors, absolute values of complex numbers."""
    values = np.asarray(values)
    if values.dtype.kind == "c":
        values = np.abs(values)
    if values.ndim == 1:
        return values
    return np.asarray(np.linalg.norm(values, axis=1))


def _plotter(scene: _Scene, look: _Look, *, off_screen: bool) -> Any:
    import pyvista

    n = len(scene.units)
    size = [look.width * n, int(look.width * HEIGHT)]
    plotter: Any = pyvista.Plotter(
        shape=(1, n), off_screen=off_screen, window_size=size, border=False
    )
    plotter.set_background("white")
    for k, name in enumerate(scene.units):
        plotter.subplot(0, k)
        _draw_panel(plotter, scene, look, k, name)
        _place_camera(plotter, scene.body, look)
    return plotter


def _draw_panel(plotter: Any, scene: _Scene, look: _Look, k: int, name: str) -> None:
    body = scene.body
    counts = _counts(body, name)
    plotter.add_mesh(
        body.copy(deep=False),
        scalars=name,
        preference="point" if name in body.point_data else "cell",
        n_colors=counts or N_COLOURS,
        clim=look.limits_of(name),
        cmap=look.cmap,
        show_edges=look.edges,
        line_width=1 if look.edges else 3,
        ambient=0.45,
        diffuse=0.6,
        specular=0.0,
        scalar_bar_args=_bar(k, look.width, counts),
    )
    if scene.outline is not None:
        plotter.add_mesh(scene.outline, color="dimgray", line_width=1.5)
    title = look.title if k == 0 else ""
    heading = "\n".join(filter(None, [title, label(name, scene.units[name])]))
    font_size = max(8, look.width // 60)
    plotter.add_text(heading, position="upper_edge", font_size=font_size, color="black")


def _counts(body: Any, name: str) -> int:
    """How many whole numbers a field of them spans, if the bar has room, else 0."""
    values = np.asarray(body[name])
    if values.dtype.kind not in "iu" or not values.size:
        return 0
    span = int(np.ptp(values)) + 1
    return span if 1 < span <= MAX_COUNTS else 0


def _bar(k: int, width: int, counts: int) -> dict[str, Any]:
    """The colour bar of panel k; bars need different titles, which are not drawn."""
    return {
        "title": " " * (k + 1), "vertical": False, "width": 0.7, "height": 0.08,
        "position_x": 0.15, "position_y": 0.03, "label_font_size": width // 38,
        "n_labels": counts or 4, "fmt": "%.4g", "color": "black",
    }  # fmt: skip


def _place_camera(plotter: Any, body: Any, look: _Look) -> None:
    x0, x1, y0, y1, z0, z1 = body.bounds
    flat = z1 - z0 < FLAT * max(x1 - x0, y1 - y0, 1e-300)
    view = look.view
    if isinstance(view, str):
        _take_view(plotter, view, flat)
    else:
        plotter.view_vector(np.asarray(view, dtype=float), viewup=(0, 0, 1))
    camera = plotter.camera
    room = TITLE_ROOM if look.title else 1.0
    camera.zoom((1.05 if flat else 0.85) * room * look.zoom)
    eye, target = np.array(camera.position), np.array(camera.focal_point)
    distance = np.linalg.norm(eye - target)
    shift = BAR_ROOM * distance * np.array(camera.up)
    camera.position = eye - shift
    camera.focal_point = target - shift


def _take_view(plotter: Any, view: str, flat: bool) -> None:
    """A view by name; "auto" is "xy" of plane bodies, else "iso"."""
    if view == "auto":
        view = "xy" if flat else "iso"
    views = {
        "xy": plotter.view_xy,
        "xz": plotter.view_xz,
        "yz": plotter.view_yz,
        "iso": plotter.view_isometric,
    }
    views[view]()
