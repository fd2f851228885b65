"""Local bases: one for each group of snapshots, chosen by a classifier.

    u(mu, t) ~ V_k a,  k = k(mu, t),  min over labels k(i) and spans V_k of
    mean_i |u_i - P_k(i) u_i| / |u_i|, every u_i held out of its own V_k

Partitions start from k-means of the inputs or of the fields, or from k-medoids of sines, and are
refined as K subspaces or not; the recipe is taken that errs least on runs that had no part in
labels, bases and classifier, one global basis included.
All bases lie in one hull V: V_k = V W_k, so that a change costs nothing of size n.

Notation: K clusters, D dissimilarities (m, m), W_k rotations (R, r), P projections.

>>> import numpy as np
>>> from rom.local import features, fit_classifier, local_bases
>>> from rom.snapshots import Snapshots
>>> from rom.space import euclidean
>>> x, mu = np.linspace(0.0, 1.0, 50)[:, None], np.linspace(0.0, 1.0, 24)
>>> fields = np.where(mu < 0.5, np.sin(3 * x + mu), np.exp(-4 * mu * x))
>>> snapshots = Snapshots(euclidean(50), mu[:, None], fields)
>>> local = local_bases(snapshots, 2, 2, classifier=fit_classifier)
>>> local.classifier.choose(features(snapshots)).tolist() == local.labels.tolist()
True
>>> bool(local.projection_errors(fields).min(axis=1).max() < 0.02)
True

Reference: Daniel et al. (2022).
"""

from rom.local.bases import local_bases
from rom.local.classifier import Classifier
from rom.local.dissimilarity import combine, scaling, sines
from rom.local.forest import Forest
from rom.local.gain import Gain, expected_gain
from rom.local.learning import fit_classifier
from rom.local.marching import switch_bases
from rom.local.models import LocalModel
from rom.local.run_angles import between_runs, principal_angles
from rom.local.sight import features

NOUNS = ("Classifier", "Forest", "Gain", "LocalModel")
__all__ = [
    "NOUNS",
    "Classifier",
    "Forest",
    "Gain",
    "LocalModel",
    "between_runs",
    "combine",
    "expected_gain",
    "features",
    "fit_classifier",
    "local_bases",
    "principal_angles",
    "scaling",
    "sines",
    "switch_bases",
]
