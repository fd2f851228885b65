"""Fields in their frame, and their images under a group."""

from __future__ import annotations

import numpy as np

from rom.operators.symmetry import Symmetry, Translation


def to_frame(frame: Translation | None, a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(inputs (n, m) in their canonical frame, angles (m,) that brought them there)."""
    if frame is None:
        return a, np.zeros(a.shape[1])
    angles, _ = frame.angles(a)
    return frame.shift(a, angles), angles


def shift(frame: Translation | None, fields: np.ndarray, angles: np.ndarray) -> np.ndarray:
    """Fields (n, m) shifted by angles (m,), or as they are without a frame."""
    return fields if frame is None else frame.shift(fields, angles)


def input_image(
    symmetry: Symmetry | None, frame: Translation | None, g: int, a: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(g a in its canonical frame, angles that brought it there) of inputs in theirs."""
    if symmetry is None or g == 0:
        return a, np.zeros(a.shape[1])
    return to_frame(frame, symmetry.act_in(g, a))


def output_image(
    symmetry: Symmetry | None,
    frame: Translation | None,
    g: int,
    u: np.ndarray,
    angles: np.ndarray,
) -> np.ndarray:
    """g u (n, m), shifted as the inputs were."""
    if symmetry is None or g == 0:
        return u
    return shift(frame, symmetry.act_out(g, u), angles)
