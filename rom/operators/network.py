"""Networks of torch as functions of fields."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, require

CHUNK = 64  # fields at once


@dataclass(frozen=True, eq=False)
class TorchNetwork:
    """a (n_in, m) -> u (n_out, m) by a torch module on batches (m, *shape).

    No file holds it, as its weights are torch's: a function at module level of your own that loads
    them can be stored by name.
    """

    module: Any
    shape: tuple[int, ...]

    def __call__(self, a: np.ndarray) -> np.ndarray:
        """Answers of the network, in evaluation and without gradients."""
        import torch

        kind = next((p for p in self.module.parameters()), torch.zeros(1))
        answers = []
        with torch.no_grad():
            for start in range(0, a.shape[1], CHUNK):
                batch = np.ascontiguousarray(a[:, start : start + CHUNK].T)
                tensor = torch.as_tensor(batch, dtype=kind.dtype, device=kind.device)
                answers.append(self.module(tensor.reshape(-1, *self.shape)))
        u = torch.cat(answers).detach().cpu().double().numpy()
        return np.asarray(u.reshape(len(u), -1).T)


def from_torch(module: Any, shape: tuple[int, ...]) -> TorchNetwork:
    """The function of fields of a torch module, for `plug_operator` or `base`.

    shape : of one input, as (1, 29, 29); the module takes (m, *shape)
    Raises MissingExtra without torch, BadInput for what is no module or another shape.
    """
    require("torch", "torch", "networks of torch")
    import torch

    if not isinstance(module, torch.nn.Module):
        raise BadInput(f"the network is a {type(module).__name__}; give a torch.nn.Module")
    sizes = tuple(shape)
    if not sizes or not all(isinstance(size, int) and size > 0 for size in sizes):
        raise BadInput(f"shape = {shape!r} of one input; give whole numbers, as (1, 29, 29)")
    return TorchNetwork(module.eval(), sizes)
