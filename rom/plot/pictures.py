"""Fields as pictures, without a display."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from rom.errors import BadInput, MissingExtra
from rom.io.fields import Fields, label
from rom.io.grid import to_grid
from rom.mesh import Mesh

PACKAGES = "libegl1 libgl1-mesa-dri libgl1"
PROBE = (
    "from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow; import vtkmodules.vtkRenderingOpenGL2;"
    "w = vtkRenderWindow(); w.SetOffScreenRendering(1); w.SetSize(8, 8); w.AddRenderer(vtkRenderer()); w.Render()"
)


@cache
def check_rendering() -> None:
    """MissingExtra with the one line to run where VTK cannot draw off-screen; asked in a process of its own, as VTK crashes then."""
    try:
        import pyvista  # noqa: F401
    except ImportError as error:
        raise MissingExtra(
            f"pictures need PyVista ({error}); run: pip install 'rom-platform[view]'"
        ) from error
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    if subprocess.run([sys.executable, "-c", PROBE], capture_output=True, timeout=120).returncode:
        raise MissingExtra(
            f"this machine cannot draw off-screen; run: apt-get install -y {PACKAGES}"
        )


def picture(
    path: str | Path,
    mesh: Mesh,
    fields: Fields,
    cell_fields: Fields | None = None,
    warp: np.ndarray | None = None,
    scale: float = 1.0,
    title: str = "",
    view: str | tuple[float, float, float] = "auto",
    limits: Any = None,
    cmap: str = "viridis",
    edges: bool = False,
    zoom: float = 1.0,
    width: int = 800,
) -> Path:
    """A PNG of fields side by side, each with its name, unit and colour bar; returns the path.

    fields : name -> (array (n,) or (n, c), unit), of vectors the length is drawn; cell_fields : the same, one row per cell; few whole numbers are a colour each
    warp : displacement (n, d), drawn `scale` times enlarged beside the outline of the undeformed body
    view : "auto", "xy", "xz", "yz", "iso", or a camera direction (3,); limits : (low, high), or a dict of them by field name
    width : of a panel [px]
    Raises MissingExtra where nothing can be drawn, BadInput for NaN and wrong lengths.
    """
    check_rendering()
    body, outline = _body(mesh, fields, cell_fields or {}, warp, scale)
    units = {name: unit for name, (_, unit) in (fields | (cell_fields or {})).items()}
    plotter = _plotter(body, outline, units, title, view, limits, cmap, edges, zoom, width)
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    plotter.screenshot(str(path))
    plotter.close()
    return Path(path)


def show_window(
    mesh: Mesh, fields: Fields, cell_fields: Fields | None = None, title: str = ""
) -> None:
    """A window with the fields side by side; BadInput where there is no display."""
    if not (
        os.environ.get("DISPLAY")
        or os.environ.get("WAYLAND_DISPLAY")
        or sys.platform in ("win32", "darwin")
    ):
        raise BadInput("there is no display here; write a picture instead: --picture out.png")
    body, outline = _body(mesh, fields, cell_fields or {}, None, 1.0)
    units = {name: unit for name, (_, unit) in (fields | (cell_fields or {})).items()}
    _plotter(body, outline, units, title, off_screen=False).show()


def _plotter(
    body: Any,
    outline: Any,
    units: dict[str, str],
    title: str,
    view: Any = "auto",
    limits: Any = None,
    cmap: str = "viridis",
    edges: bool = False,
    zoom: float = 1.0,
    width: int = 800,
    off_screen: bool = True,
) -> Any:
    import pyvista

    size = [width * len(units), int(width * 0.85)]
    plotter: Any = pyvista.Plotter(
        shape=(1, len(units)), off_screen=off_screen, window_size=size, border=False
    )
    plotter.set_background("white")
    for k, (name, unit) in enumerate(units.items()):
        plotter.subplot(0, k)
        whole = _counts(body, name)
        plotter.add_mesh(
            body.copy(deep=False), scalars=name, n_colors=whole or 256, preference="point" if name in body.point_data else "cell",
            clim=limits.get(name) if isinstance(limits, dict) else limits, cmap=cmap, show_edges=edges, line_width=1 if edges else 3,
            ambient=0.45, diffuse=0.6, specular=0.0, scalar_bar_args=_bar(k, width, whole),
        )  # fmt: skip
        if outline is not None:
            plotter.add_mesh(outline, color="dimgray", line_width=1.5)
        heading = "\n".join(filter(None, [title if k == 0 else "", label(name, unit)]))
        plotter.add_text(
            heading, position="upper_edge", font_size=max(8, width // 60), color="black"
        )
        _look(plotter, body, view, zoom)
    return plotter


def _counts(body: Any, name: str) -> int:
    """How many whole numbers a field of them spans, where a bar of colours has room for them, else 0."""
    values = np.asarray(body[name])
    span = int(np.ptp(values)) + 1 if values.dtype.kind in "iu" and values.size else 0
    return span if 1 < span <= 9 else 0


def _bar(k: int, width: int, whole: int) -> dict[str, Any]:
    return {
        "title": " " * (k + 1), "vertical": False, "width": 0.7, "height": 0.08, "position_x": 0.15, "position_y": 0.03,
        "label_font_size": width // 38, "n_labels": whole or 4, "fmt": "%.4g", "color": "black",
    }  # fmt: skip


def _body(
    mesh: Mesh, fields: Fields, cell_fields: Fields, warp: np.ndarray | None, scale: float
) -> tuple[Any, Any]:
    """The cells of highest dimension with one scalar array per field, warped; and the edges of the undeformed body."""
    if not fields and not cell_fields:
        raise BadInput("no field to draw; give fields={name: (array, unit)}")
    scalars = [
        {name: (_scalar(values), "") for name, (values, _) in part.items()}
        for part in (fields, cell_fields)
    ]
    dimension = cell_dimensions(mesh)
    made = to_grid(mesh, *scalars).extract_cells(np.flatnonzero(dimension == dimension.max()))
    if warp is None:
        return made, None
    if np.shape(warp) != mesh.points.shape:
        raise BadInput(
            f"warp has shape {np.shape(warp)}; the mesh needs a displacement {mesh.points.shape}"
        )
    outline = made.extract_surface(algorithm="dataset_surface").extract_feature_edges(
        feature_angle=40.0
    )
    shift = np.pad(np.asarray(warp, dtype=float), ((0, 0), (0, 3 - mesh.points.shape[1])))
    made.points = (
        np.asarray(made.points) + scale * shift[np.asarray(made.point_data["vtkOriginalPointIds"])]
    )
    return made, outline


def _scalar(values: np.ndarray) -> np.ndarray:
    values = np.asarray(values)
    values = np.abs(values) if values.dtype.kind == "c" else values
    return values if values.ndim == 1 else np.linalg.norm(values, axis=1)


def _look(plotter: Any, body: Any, view: Any, zoom: float) -> None:
    x0, x1, y0, y1, z0, z1 = body.bounds
    flat = z1 - z0 < 1e-12 * max(x1 - x0, y1 - y0, 1e-300)
    choice = ("xy" if flat else "iso") if isinstance(view, str) and view == "auto" else view
    if isinstance(choice, str):
        {
            "xy": plotter.view_xy,
            "xz": plotter.view_xz,
            "yz": plotter.view_yz,
            "iso": plotter.view_isometric,
        }[choice]()
    else:
        plotter.view_vector(np.asarray(choice, dtype=float), viewup=(0, 0, 1))
    plotter.camera.zoom((1.05 if flat else 0.85) * zoom)
    eye, target = np.array(plotter.camera.position), np.array(plotter.camera.focal_point)
    shift = (
        0.03 * np.linalg.norm(eye - target) * np.array(plotter.camera.up)
    )  # room for the colour bar below
    plotter.camera.position, plotter.camera.focal_point = eye - shift, target - shift
