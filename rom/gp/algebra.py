"""Arrays of numpy and of torch: which they are, and where they lie."""

from __future__ import annotations

from typing import Any

import numpy as np

from rom.errors import BadInput, require


def namespace(x: Any) -> Any:
    """The module that works on x: numpy or torch."""
    if isinstance(x, (np.ndarray, np.generic, float)):
        return np
    import torch

    return torch


def to_device(x: np.ndarray, device: str | None) -> Any:
    """x as float64: a numpy array for device None, or a torch tensor there.

    device : None, "cpu", "cuda", "cuda:1", ...
    Raises MissingExtra without torch, BadInput for a device that this machine does not have.
    """
    x = np.asarray(x, dtype=float)
    if device is None:
        return x
    require("torch", "torch", "devices other than None")
    import torch

    try:
        return torch.as_tensor(x, dtype=torch.float64, device=device)
    except (RuntimeError, AssertionError) as error:
        reason = str(error).splitlines()[0]
        raise BadInput(f"device {device!r} is not there ({reason}); use None or 'cpu'") from error


def to_numpy(x: Any) -> np.ndarray:
    """x as a numpy array of this machine's memory."""
    return x if isinstance(x, np.ndarray) else x.detach().cpu().numpy()
