"""A small Fourier neural operator, as a comparator for operators learnt by kernels.

    v <- gelu(W v + IFFT(R . FFT(v)))    on the lowest modes, four times, in single precision

Of fields on regular grids of one or two directions; needs torch. Reference: Li et al., Fourier
neural operator for parametric partial differential equations (2021).
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np


def fourier_network(shape: tuple[int, ...], *, width: int, modes: int, layers: int = 4) -> Any:
    """An untrained network (m, *shape) -> (m, *shape), on coordinates beside the field."""
    import torch
    from torch import nn

    axes, d = tuple(range(2, 2 + len(shape))), len(shape)
    grids = torch.stack(
        torch.meshgrid(*(torch.linspace(0, 1, size) for size in shape), indexing="ij")
    )
    point = nn.Conv1d if d == 1 else nn.Conv2d

    class Spectral(nn.Module):  # type: ignore[misc]
        """Products with the lowest modes."""

        def __init__(self) -> None:
            super().__init__()
            blocks = 2 ** (d - 1)
            sizes = (blocks, width, width, *([modes] * d))
            self.R = nn.Parameter(torch.randn(*sizes, dtype=torch.cfloat) / width**2)

        def forward(self, v: Any) -> Any:
            """IFFT(R . FFT(v))."""
            hat = torch.fft.rfftn(v, dim=axes)
            out = torch.zeros_like(hat)
            low = slice(0, modes)
            corners = [(low,)] if d == 1 else [(low, low), (slice(-modes, None), low)]
            for R, corner in zip(self.R, corners, strict=True):
                part = (slice(None), slice(None), *corner)
                out[part] = torch.einsum("bi...,io...->bo...", hat[part], R)
            return torch.fft.irfftn(out, s=shape, dim=axes)

    class Network(nn.Module):  # type: ignore[misc]
        """Lifting, layers, projection."""

        def __init__(self) -> None:
            super().__init__()
            self.lift = point(1 + d, width, 1)
            self.spectral = nn.ModuleList(Spectral() for _ in range(layers))
            self.local = nn.ModuleList(point(width, width, 1) for _ in range(layers))
            self.out = nn.Sequential(point(width, 64, 1), nn.GELU(), point(64, 1, 1))

        def forward(self, a: Any) -> Any:
            """One field of each of a batch."""
            grid = grids.expand(len(a), *grids.shape)
            v = self.lift(torch.cat([a[:, None], grid], dim=1))
            for k, (spectral, local) in enumerate(zip(self.spectral, self.local, strict=True)):
                v = spectral(v) + local(v)
                v = nn.functional.gelu(v) if k + 1 < layers else v
            return self.out(v)[:, 0]

    return Network()


def train_network(
    a: np.ndarray,
    u: np.ndarray,
    shape: tuple[int, ...],
    *,
    width: int = 24,
    modes: int = 8,
    epochs: int = 60,
    seed: int = 0,
) -> tuple[Any, float]:
    """(inputs (n, m) -> outputs (n, m), CPU seconds) of a network trained on runs.

    Adam with decay, a cosine of rates from 2e-3, batches of 20, relative L2 loss of fields that
    are scaled by their mean and deviation.
    """
    import torch

    torch.manual_seed(seed)
    begin = time.process_time()
    scales = [(part.mean(), part.std()) for part in (a, u)]
    x, y = (
        torch.as_tensor(((part - mean) / std).T.reshape(-1, *shape), dtype=torch.float32)
        for part, (mean, std) in zip((a, u), scales, strict=True)
    )
    network = fourier_network(shape, width=width, modes=modes)
    optimiser = torch.optim.AdamW(network.parameters(), 2e-3)
    steps = epochs * ((len(x) + 19) // 20)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
    shift = float(scales[1][0] / scales[1][1])
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(20):
            optimiser.zero_grad()
            miss = (network(x[batch]) - y[batch]).flatten(1).norm(dim=1)
            (miss / (y[batch] + shift).flatten(1).norm(dim=1)).mean().backward()
            optimiser.step()
            schedule.step()
    network.eval()

    def answer(fields: np.ndarray) -> np.ndarray:
        """Outputs (n, m) of inputs (n, m)."""
        z = ((fields - scales[0][0]) / scales[0][1]).T.reshape(-1, *shape)
        with torch.no_grad():
            parts = [network(part) for part in torch.as_tensor(z, dtype=torch.float32).split(100)]
        values = torch.cat(parts).double().numpy().reshape(fields.shape[1], -1).T
        return np.asarray(values * scales[1][1] + scales[1][0])

    return answer, time.process_time() - begin
