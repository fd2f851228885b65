"""Trained models in the files of other programs, and behind HTTP.

A functional mock-up unit (FMI 2.0 or 3.0, co-simulation) answers outputs of a Galerkin model,

    y_k(mu) = l_k . (offset + V a(mu)),    A_r(mu) a = f_r(mu),

in plain C with constant matrices; a certified bound is its last output. The parameters are its
inputs, refused outside the box.

    >>> import numpy as np
    >>> from pathlib import Path
    >>> from tempfile import TemporaryDirectory
    >>> from rom.affine import Affine, Monomials
    >>> from rom.basis import Basis
    >>> from rom.certified.stationary import galerkin
    >>> from rom.deploy import write_fmu
    >>> from rom.parameters import Box
    >>> from rom.space import euclidean
    >>> A = Affine(Monomials(np.ones(1), np.ones((1, 1))), [np.eye(2)])
    >>> f = Affine(Monomials(np.ones(1), np.zeros((1, 1))), [np.ones(2)])
    >>> box = Box(("k",), np.array([1.0]), np.array([2.0]))
    >>> model = galerkin(A, f, Basis(euclidean(2), np.eye(2)), box=box)
    >>> with TemporaryDirectory() as folder:
    ...     path = Path(folder, "rod.fmu")
    ...     write_fmu(path, model, {"mean": (np.full(2, 0.5), "K")})
    ...     path.exists()
    True

`write_page` makes one HTML file of a model, with sliders, its field and its error
(`rom export model.h5 --out model.html`). `model_server` answers questions in JSON
(`rom serve model.h5`).

Reference: FMI 2.0.4 (Modelica Association, 2022).
"""

from rom.deploy.fmu import write_fmu
from rom.deploy.page import write_page
from rom.deploy.service import model_server

NOUNS: tuple[str, ...] = ()
__all__ = ["NOUNS", "model_server", "write_fmu", "write_page"]
