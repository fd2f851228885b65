"""Campaigns in the queue of a cluster: rows of a table as job arrays that resume.

m rows are cut into parts of `chunk`, parts into arrays that the site accepts. What was handed
to the queue is noted before and after, so that no row is in two living jobs and a kill loses
nothing: to solve = all rows - done - in the queue - paused. Failures are tried again as their
kind allows, with twice the time or memory where these were short.

A site is a TOML file (`Profile`), a scheduler one file of `rom.batch.schedulers`.

>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> from rom.batch import Profile, Run, create_run, submit_stage
>>> site = Profile("slurm", chunk=4, time="02:00:00", memory="8G")
>>> folder = Path(tempfile.mkdtemp(), "run")
>>> mus = np.arange(10.0)[:, None]
>>> run = create_run(Run(folder, "case.py", "/home/me", (), ("k",), mus, site))
>>> ((name, script),) = submit_stage(run, "collect", dry=True)
>>> sorted(line for line in script.splitlines() if "array=" in line or "time=" in line)
['#SBATCH --array=0-2', '#SBATCH --time=02:00:00']

Reference: Yoo, Jette and Grondona, SLURM: simple Linux utility for resource management (2003).
"""

from rom.batch.profile import Pilot, Profile
from rom.batch.profile_files import read_profile
from rom.batch.run_folder import Run, create_run, open_run
from rom.batch.runs import cancel_run, check_stage, read_logs, read_status, resume_run, submit_stage
from rom.batch.status import Status

NOUNS: tuple[str, ...] = ()
__all__ = [
    "NOUNS", "Pilot", "Profile", "Run", "Status", "cancel_run", "check_stage", "create_run",
    "open_run", "read_logs", "read_profile", "read_status", "resume_run", "submit_stage",
]  # fmt: skip
