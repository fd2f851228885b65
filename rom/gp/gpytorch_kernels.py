"""GPyTorch kernels as kernels of this chapter, with gradients by autograd."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from rom.errors import BadInput, require
from rom.gp.algebra import namespace, to_numpy
from rom.gp.kernels import Pullback

REACH = 10.0  # raw parameters are searched this far on either side


@dataclass(frozen=True, eq=False)
class GPyTorchKernel:
    """k = kernel(x, y) / kernel(x, x), kernel a gpytorch.kernels.Kernel.

    theta : its raw parameters
    No archive holds it: its file format would be torch's. Save predictions, or use a kernel of
    rom.gp.kernels.
    """

    kernel: Any
    theta: np.ndarray

    @property
    def limits(self) -> np.ndarray:
        """Raw parameters within 10 of the start."""
        return np.stack([self.theta - REACH, self.theta + REACH], axis=1)

    def at(self, theta: np.ndarray) -> GPyTorchKernel:
        """The same kernel with other raw parameters."""
        return GPyTorchKernel(self.kernel, np.asarray(theta, dtype=float))

    def matrix(self, x: Any, y: Any) -> Any:
        """k(x_i, y_j), (n, m)."""
        import torch

        with torch.no_grad():
            value = self._evaluate(torch.as_tensor(x), torch.as_tensor(y))[0]
        return to_numpy(value) if namespace(x) is np else value

    def pullback(self, x: Any) -> tuple[Any, Pullback]:
        """d/dtheta sum W * k by autograd."""
        import torch

        points = torch.as_tensor(x)
        value, leaf = self._evaluate(points, points)

        def pull(W: Any) -> np.ndarray:
            """Gradient in theta."""
            gradient = torch.autograd.grad(value, leaf, torch.as_tensor(W))[0]
            return to_numpy(gradient)

        K = value.detach()
        return (to_numpy(K) if namespace(x) is np else K), pull

    def _evaluate(self, x: Any, y: Any) -> tuple[Any, Any]:
        """k(x, y), and the raw parameters as the leaf it depends on."""
        import torch

        leaf = torch.tensor(self.theta, dtype=x.dtype, device=x.device, requires_grad=True)
        values, start = {}, 0
        for name, parameter in self.kernel.named_parameters():
            part = leaf[start : start + parameter.numel()]
            values[f"kernel.{name}"] = part.reshape(parameter.shape)
            start += parameter.numel()
        module = _dense_module(self.kernel)
        dense = torch.func.functional_call(module, values, (x, y))
        top = torch.func.functional_call(module, values, (x[:1], x[:1]))
        return dense / top[0, 0], leaf


def gpytorch_kernel(kernel: Any) -> GPyTorchKernel:
    """A stationary GPyTorch kernel as a kernel of this package.

    Raises BadInput for anything else, MissingExtra without gpytorch.
    """
    require("gpytorch", "torch", "kernels of GPyTorch")
    import gpytorch

    if not isinstance(kernel, gpytorch.kernels.Kernel):
        raise BadInput(
            f"{kernel!r} is no kernel; "
            "give a name, a kernel of rom.gp.kernels, or a gpytorch kernel"
        )
    kernel = kernel.double()
    parameters = [to_numpy(p).ravel() for p in kernel.parameters()]
    return GPyTorchKernel(kernel, np.concatenate(parameters))


def _dense_module(kernel: Any) -> Any:
    """kernel(x, y) as a torch module that answers a dense matrix."""
    import torch

    class Dense(torch.nn.Module):
        """kernel(x, y) as a dense matrix."""

        def __init__(self) -> None:
            super().__init__()
            self.kernel = kernel

        def forward(self, x: Any, y: Any) -> Any:
            """The dense matrix, (n, m)."""
            return self.kernel(x, y).to_dense()

    return Dense()
