"""Campaigns: one durable solve per parameter, over ranks, jobs and workers.

A campaign solves u(mu_i), i = 1..m, into a store: a folder of sealed sample files. A task is
the sha256 of mu_i, solver version and mesh; whoever solves it holds a lease, writes the sample,
then acknowledges it in a journal with fsync. So a kill or a power loss at any moment loses
nothing that was acknowledged, and running again solves only what is left: done(t) only grows.
`read` gives the store as columns, U = [u(mu_1) ... u(mu_m)], (n, m), on any partition.

>>> import tempfile
>>> import numpy as np
>>> from rom.campaign import collect, read, verify
>>> folder = tempfile.mkdtemp()
>>> mus = np.array([[1.0], [2.0]])
>>> campaign = collect(lambda mu: mu[0] * np.arange(4.0), mus, folder)
>>> campaign.solved, campaign.skipped, campaign.failed
(2, 0, ())
>>> collect(lambda mu: mu[0] * np.arange(4.0), mus, folder).skipped
2
>>> read(folder).u[:, 1].tolist(), verify(folder)
([0.0, 2.0, 4.0, 6.0], ())

Leases follow Gray and Cheriton, Leases: an efficient fault-tolerant mechanism, SOSP (1989).
"""

from rom.campaign.campaign import Campaign, collect, ticker
from rom.campaign.crew import pilot
from rom.campaign.disk_columns import nbytes
from rom.campaign.program_answers import fields_in
from rom.campaign.programs import program
from rom.campaign.ranks import talk
from rom.campaign.reading import read
from rom.campaign.repair import rebuild, verify
from rom.campaign.store import Store, open_store
from rom.campaign.units import read_unit

__all__ = [
    "Campaign",
    "Store",
    "collect",
    "fields_in",
    "nbytes",
    "open_store",
    "pilot",
    "program",
    "read",
    "read_unit",
    "rebuild",
    "talk",
    "ticker",
    "verify",
]
