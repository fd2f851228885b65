"""Whether VTK can draw here, on a display or off-screen."""

from __future__ import annotations

import os
import subprocess
import sys
from functools import cache

from rom.errors import BadInput, MissingExtra, require

PACKAGES = "libegl1 libgl1-mesa-dri libgl1"
PROBE = """
from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow
import vtkmodules.vtkRenderingOpenGL2
w = vtkRenderWindow()
w.SetOffScreenRendering(1)
w.SetSize(8, 8)
w.AddRenderer(vtkRenderer())
w.Render()
"""
PROBE_SECONDS = 120
DISPLAYS = ("DISPLAY", "WAYLAND_DISPLAY")
ALWAYS_DISPLAY = ("win32", "darwin")  # systems on which a window needs no variable


@cache
def check_rendering() -> None:
    """MissingExtra with the line to run where VTK cannot draw off-screen.

    It is tried in a process of its own, because VTK crashes then.
    """
    require("pyvista", "view", "pictures")
    if not os.environ.get("DISPLAY"):
        os.environ.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    command = [sys.executable, "-c", PROBE]
    probe = subprocess.run(command, capture_output=True, timeout=PROBE_SECONDS)
    if probe.returncode:
        raise MissingExtra(
            f"this machine cannot draw off-screen; run: apt-get install -y {PACKAGES}"
        )


def check_display() -> None:
    """BadInput where there is no display for a window."""
    present = any(os.environ.get(name) for name in DISPLAYS)
    if not present and sys.platform not in ALWAYS_DISPLAY:
        raise BadInput("there is no display here; write a picture instead: --picture out.png")
