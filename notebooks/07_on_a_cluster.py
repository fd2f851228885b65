# ---
# jupyter:
#   jupytext:
#     formats: py:percent
# ---

# %% [markdown]
# # A campaign on a cluster
#
# The same commands serve a scheduler and this machine; here it is this machine, so that the
# notebook runs anywhere. A case is a file:

# %%
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from rom.batch import read_status
from rom.campaign import open_store, read
from rom.compress.decomposition import pod

place = Path(tempfile.mkdtemp())
(place / "rod.py").write_text("""
import os
import numpy as np
from rom.parameters import Box

lower, upper = np.array([1.0, 0.5]), np.array([10.0, 5.0])
box = Box(("k", "q"), lower, upper, ("W/m/K", "W/m3"), ("log", "linear"))
x = np.linspace(0.0, 1.0, 201)

def solve(mu):
    if os.path.exists("no licence") and mu[0] > 5.0:
        raise OSError("licence server does not answer")
    return mu[1] / mu[0] * x * (1 - x) / 2 + 0.02 * np.sin(3 * np.pi * x) * np.log(mu[0])
""")


def rom(*words):
    """A command of the shell, run in the case's folder.

    Its last line as numbers where it asks for --json.
    """
    done = subprocess.run(
        [sys.executable, "-c", "from rom.cli.app import app; app()", *map(str, words)],
        cwd=place,
        capture_output=True,
        text=True,
    )
    assert done.returncode in (0, 3), done.stderr
    return json.loads(done.stdout.splitlines()[-1]) if "--json" in words else done.stdout


# %% [markdown]
# ## The profile of a site
#
# What the scheduler wants to know, in TOML that is checked and never run. `hpc/` holds one for
# Slurm, PBS and LSF; this one runs the parts of the campaign here, one after the other. Sixteen
# solves make a part.

# %%
start = f"{sys.executable} -c 'from rom.cli.app import app; app()'"
(place / "here.toml").write_text(f"""
scheduler = "local"
chunk = 16
rom = {json.dumps(start)}
[retry]
transient = 3
""")

# %% [markdown]
# On a cluster the same parts become a job array. The script is plain text that may be read, changed
# and submitted by hand:

# %%
(place / "slurm.toml").write_text(
    'scheduler = "slurm"\nranks = 8\nnodes = 2\nchunk = 16\ntime = "04:00:00"\nmemory = "32G"\n'
)
text = rom(
    "submit", "collect", "rod.py", "--profile", "slurm.toml", "--n", 64, "--out", "far", "--dry-run"
)
print(text)
assert (
    "#SBATCH --array=0-3" in text
    and "#SBATCH --ntasks=8" in text
    and not (place / "far" / "store").exists()
)

# %% [markdown]
# ## Submit, and meet a failure
#
# The licence server is down for a part of the parameters. What fails is recorded with its reason;
# the rest is kept, and is useful at once.

# %%
(place / "no licence").touch()
rom("submit", "collect", "rod.py", "--profile", "here.toml", "--n", 32, "--out", "run")
now = read_status(place / "run")
print(
    f"{len(now.done)} of {now.planned} done, {len(now.failed)} failed: "
    f"{next(iter(now.failed.values()))}"
)
assert len(now.done) + len(now.failed) == 32 and now.failed
basis, _ = pod(read(place / "run" / "store"), tol=1e-6)
assert basis.r == 2  # the solutions of this rod have two shapes

# %% [markdown]
# ## Resume
#
# `rom resume` submits exactly what is unfinished, and failures as often as the profile allows for
# their kind: a connection is tried again, a solve that diverged is not. What is done is not
# touched.

# %%
(place / "no licence").unlink()
before = set(open_store(place / "run" / "store").manifest.done)
rom("resume", "run")
store = open_store(place / "run" / "store")
assert before < set(store.manifest.done) and len(store.manifest.done) == 32
assert rom("resume", "run", "--json")["jobs"] == []  # nothing is left to do

# %% [markdown]
# ## Thousands of short solves
#
# A job for each would drown the queue. A `[pilot]` keeps workers at their tasks inside one
# allocation; each takes the next row from the same store with the same claims, and one that dies
# ends none of the others. Here two of them solve 64 rows in one part.

# %%
pilot = (place / "here.toml").read_text().replace(
    "chunk = 16", "chunk = 64"
) + "[pilot]\nworkers = 2\nlimit = 60\n"
(place / "pilot.toml").write_text(pilot)
rom(
    "submit",
    "all",
    "rod.py",
    "--profile",
    "pilot.toml",
    "--n",
    64,
    "--tol",
    "1e-6",
    "--out",
    "many",
)
now = read_status(place / "many")
assert len(now.done) == 64 and now.results == ("model.h5", "report.html")
print("results:", ", ".join(now.results))

# %% [markdown]
# The model that the last job made answers from its file alone.

# %%
answer = rom("predict", place / "many" / "model.h5", "--mu", "k=2,q=3", "--json")["answers"][0]
x = np.linspace(0.0, 1.0, 201)
exact = 3 / 2 * x * (1 - x) / 2 + 0.02 * np.sin(3 * np.pi * x) * np.log(2)
print(f"norm {answer['norm']:.5f}, exact {np.linalg.norm(exact):.5f}")
assert abs(answer["norm"] / np.linalg.norm(exact) - 1) < 1e-3
