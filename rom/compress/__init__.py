"""Bases from snapshots: the few columns V that hold most of many U.

    min |U - V V^H X U|_X over V^H X V = I_r;  the minimum is sqrt(sum_{i>r} s_i^2)

`pod` finds V at once, `update` while snapshots come, `hierarchical` block by block, and
`merge_blocks` finds which blocks may share one V; `extend_svd` follows a sparse matrix. Each
says how large the error is: exactly, or by a certificate.

Notation: X product of the space, s singular values, r rank, lost = sum of squared s discarded.

>>> import numpy as np
>>> from rom.compress import RunningPod, pod, projection_error, update
>>> from rom.snapshots import Snapshots
>>> from rom.space import euclidean
>>> x, mu = np.linspace(0.0, 1.0, 200)[:, None], np.linspace(1.0, 5.0, 30)
>>> snapshots = Snapshots(euclidean(200), mu[:, None], np.exp(-mu * x))
>>> basis, s = pod(snapshots, tol=1e-4)
>>> basis.r, basis.reason
(5, 'gram: tol 0.0001 reached')
>>> projection_error(snapshots, basis) < 1e-4
True
>>> running = RunningPod(snapshots.space)
>>> for j in range(30):
...     running = update(running, snapshots.u[:, j], tol=1e-4)
>>> running.r, running.error < 1e-4
(5, True)

References: Sirovich (1987); updates: Brand (2006).
"""

from rom.compress.balancing import balance, field_errors, pod_by_field
from rom.compress.concatenated import greedy_concatenation
from rom.compress.decomposition import pod, projection_error
from rom.compress.hierarchy import hierarchical, hierarchical_pod
from rom.compress.merge import Merging, blocks_of_labels, merge_blocks
from rom.compress.running import RunningPod, downdate, merge_pods, update
from rom.compress.sparse import SparseSvd, extend_svd
from rom.compress.truncation_bounds import incremental_bound, norms_bound, residuals_bound

NOUNS = ("Merging", "RunningPod", "SparseSvd")
__all__ = [
    "NOUNS",
    "Merging",
    "RunningPod",
    "SparseSvd",
    "balance",
    "blocks_of_labels",
    "downdate",
    "extend_svd",
    "field_errors",
    "greedy_concatenation",
    "hierarchical",
    "hierarchical_pod",
    "incremental_bound",
    "merge_blocks",
    "merge_pods",
    "norms_bound",
    "pod",
    "pod_by_field",
    "projection_error",
    "residuals_bound",
    "update",
]
