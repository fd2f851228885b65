"""Pictures of fields and curves of what is known of their errors.

Curves are drawn by matplotlib, fields by PyVista off-screen; all are PNG at a path or in a stream.
A decay plot shows s_k / s_1 and the tail sqrt(sum_{j>k} s_j^2 / sum_j s_j^2) over k, which is the
relative error of the training set with k modes. Every label carries its unit.

    >>> import io
    >>> import numpy as np
    >>> from rom.plot import decay_plot, line_plot
    >>> s = 10.0 ** -np.arange(8.0)
    >>> png = decay_plot(io.BytesIO(), s, r=4, title="Singular values")
    >>> png.getvalue()[1:4]
    b'PNG'
    >>> x = np.linspace(0.0, 1.0, 20)
    >>> y = {"tip": 300 + 50 * x}
    >>> _ = line_plot(io.BytesIO(), x, y, xlabel="span [m]", ylabel="temperature [K]")

Reference: Sullivan and Kaszynski (2019), PyVista.
"""

from rom.plot.clusters import cluster_plot, gain_plot
from rom.plot.curves import (
    band_plot,
    decay_plot,
    directivity,
    effectivity_plot,
    error_plot,
    indicator_plot,
    line_plot,
)
from rom.plot.indices import index_plot
from rom.plot.pictures import picture, show_window
from rom.plot.shapes import shape_pictures

NOUNS: tuple[str, ...] = ()
__all__ = [
    "NOUNS",
    "band_plot",
    "cluster_plot",
    "decay_plot",
    "directivity",
    "effectivity_plot",
    "error_plot",
    "gain_plot",
    "index_plot",
    "indicator_plot",
    "line_plot",
    "picture",
    "shape_pictures",
    "show_window",
]  # fmt: skip
