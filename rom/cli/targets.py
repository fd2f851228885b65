"""Files that commands write: refused before any work where they cannot be written."""

from __future__ import annotations

from pathlib import Path

from rom.errors import BadInput

TABLES = (".npz", ".csv")
MODELS = (".h5", ".hdf5", ".vtkhdf")
PAGES = (".html", ".htm")
PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".tif", ".tiff")


def check_folder(path: Path | None) -> None:
    """BadInput where the folder of a file to write is missing, or the file is a folder."""
    if path is None:
        return
    if path.is_dir():
        raise BadInput(f"{path} is a folder; give the name of a file")
    if not path.parent.is_dir():
        raise BadInput(f"there is no folder {path.parent}; run: mkdir -p {path.parent}")


def check_store(path: Path | None) -> None:
    """BadInput where a folder cannot be made because a file has its name."""
    for place in () if path is None else (path, *path.parents):
        if place.exists() and not place.is_dir():
            raise BadInput(f"{place} is a file; give another folder")


def check_suffix_of(path: Path | None, suffixes: tuple[str, ...]) -> None:
    """BadInput for a file that cannot be written, or with none of these suffixes."""
    check_folder(path)
    if path is not None and path.suffix.lower() not in suffixes:
        raise BadInput(f"{path.name}: unknown suffix; known: {', '.join(suffixes)}")


def check_answer_file(path: Path | None) -> None:
    """BadInput for a suffix that no fields are written to; MissingExtra."""
    if path is not None and path.suffix in TABLES:
        check_folder(path)
    else:
        check_mesh_file(path)


def check_mesh_file(path: Path | None) -> None:
    """BadInput for a suffix that no mesh is written to; MissingExtra."""
    from rom.io.files import check_format

    check_folder(path)
    if path is not None:
        check_format(path)


def check_picture(path: Path | None) -> None:
    """BadInput, or MissingExtra where nothing can be drawn; None is a window."""
    from rom.plot.rendering import check_display, check_rendering

    if path is None:
        check_display()
        return
    check_suffix_of(path if path.parent.is_dir() else Path(path.name), PICTURES)
    check_rendering()
