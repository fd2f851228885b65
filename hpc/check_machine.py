"""What this machine lacks for pictures, meshes and boundary elements.

With the one line that installs it. Never fails.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys

RENDER = (
    "from vtkmodules.vtkRenderingCore import vtkRenderer, vtkRenderWindow; "
    "import vtkmodules.vtkRenderingOpenGL2;"
    "w = vtkRenderWindow(); w.SetOffScreenRendering(1); w.SetSize(8, 8); "
    "w.AddRenderer(vtkRenderer()); w.Render()"
)
# what fails -> (module that must be installed for it to matter, what is tried in a process of its
# own, Debian's packages)
CHECKS = {
    "pictures off-screen": ("pyvista", RENDER, "libegl1 libgl1-mesa-dri libgl1"),
    "meshes with gmsh": (
        "gmsh",
        "import gmsh",
        "libglu1-mesa libgl1 libfontconfig1 libx11-6 libxcursor1 libxext6 libxfixes3 libxft2 "
        "libxinerama1 libxrender1",
    ),
    "boundary elements with ngsolve": ("ngsolve", "import ngsolve", "libgfortran5"),
}


def works(code: str) -> bool:
    """Whether a process of its own survives the code.

    Graphics libraries crash rather than complain.
    """
    environment = dict(os.environ)
    if not environment.get("DISPLAY"):
        environment.setdefault("VTK_DEFAULT_OPENGL_WINDOW", "vtkEGLRenderWindow")
    try:
        return (
            subprocess.run(
                [sys.executable, "-c", code], capture_output=True, timeout=120, env=environment
            ).returncode
            == 0
        )
    except (OSError, subprocess.TimeoutExpired):
        return False


def lacking() -> dict[str, str]:
    """What does not work here -> the packages it needs.

    Extras that are not installed are not missed.
    """
    present = {
        name: check
        for name, check in CHECKS.items()
        if importlib.util.find_spec(check[0]) is not None
    }
    return {name: packages for name, (_, code, packages) in present.items() if not works(code)}


if __name__ == "__main__":
    missing = lacking()
    if missing:
        packages = dict.fromkeys(" ".join(missing.values()).split())
        print(
            f"Does not work here: {', '.join(missing)}. As root, run:\n  apt-get install -y "
            f"{' '.join(packages)}"
        )
