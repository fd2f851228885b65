"""Any order of submissions, kills, cancellations and resumptions.

a row is never in two live jobs, and what is done stays done.
"""

import shlex
import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

import rom.batch as batch
from rom.batch import Profile, command
from rom.batch.plan import parse_rows
from rom.batch.submissions import records
from rom.campaign import collect, open_store, read, verify
from rom.compress.decomposition import pod
from rom.errors import BadInput

ROWS = 7
SITE = Profile(
    "slurm", wait=0.0, chunk=2, array=3, retry={"node": 1000, "unknown": 1000, "timeout": 1000}
)
ENDS = ("NODE_FAIL", "TIMEOUT", "FAILED", "")


def solution(mu):
    return mu[0] ** np.arange(3.0)


class Campaigns(RuleBasedStateMachine):
    """A run in a queue that this machine plays.

    `live` holds the rows of each part that waits or runs.
    """

    @initialize()
    def found(self):
        self.room = Path(tempfile.mkdtemp())
        mus = np.arange(1.0, ROWS + 1)[:, None]
        self.run = batch.create_run(
            batch.Run(self.room / "run", "case.py", str(self.room), (), ("a",), mus, SITE)
        )
        self.live, self.ended, self.done, self.number = {}, {}, set(), 100
        self.real, command.run_command = command.run_command, self.asked

    def teardown(self):
        command.run_command = self.real
        shutil.rmtree(self.room)

    def asked(self, words, text="", seconds=60.0):
        """sbatch, squeue and scancel as this machine plays them."""
        if words[0] == "sbatch":
            self.number += 1
            script = Path(words[-1]).read_text()
            line = next(line for line in script.splitlines() if line.startswith("rows="))
            listing = [
                parse_rows(text, ROWS)
                for text in Path(shlex.split(line.rstrip(")"))[-1]).read_text().splitlines()
            ]
            first = int(
                next(x for x in script.splitlines() if x.startswith("part="))
                .rpartition("+ ")[2]
                .rstrip(")")
            )
            last = int(next(x for x in script.splitlines() if "--array=" in x).rpartition("-")[2])
            taken = {row for parts in self.live.values() for rows in parts.values() for row in rows}
            parts = dict(enumerate(listing[first : first + last + 1]))
            new = [row for rows in parts.values() for row in rows]
            assert not taken & set(new) and len(new) == len(set(new)), "a row is in two live jobs"
            assert not self.done & set(new), "what is done is submitted again"
            self.live[str(self.number)], self.ended[str(self.number)] = parts, {}
            return f"{self.number}\n", 0
        if words[0] == "scancel":
            for job in words[2:]:
                self.ended[job] |= dict.fromkeys(self.live.pop(job, ()), "CANCELLED")
            return "", 0
        if "--name" in words:
            return "", 0
        jobs = [job for job in words[-1].split(",") if job in self.ended]
        states = {
            job: {**dict.fromkeys(self.live.get(job, ()), "RUNNING"), **self.ended[job]}
            for job in jobs
        }
        return "".join(
            f"{job} {k} {s}\n" for job, held in states.items() for k, s in held.items() if s
        ), 0

    def part(self, data):
        """A part that is live."""
        job = data.draw(st.sampled_from(sorted(self.live)))
        return job, data.draw(st.sampled_from(sorted(self.live[job])))

    def over(self, job, part, how):
        """The part leaves the queue."""
        del self.live[job][part]
        self.ended[job][part] = how
        if not self.live[job]:
            del self.live[job]

    def solved(self, rows):
        """Rows are solved into the store."""
        if rows:
            collect(solution, self.run.mus, self.run.folder / "store", only=np.array(rows))
            self.done |= set(rows)

    @rule()
    def submit(self):
        known = bool(records(self.run))
        if known:
            with pytest.raises(BadInput, match="submitted into"):
                batch.submit_stage(self.run, "collect")
        else:
            batch.submit_stage(self.run, "collect")

    @rule()
    def resume(self):
        if not records(self.run):
            with pytest.raises(BadInput, match="nothing was submitted"):
                batch.resume_run(self.run)
            return
        batch.resume_run(self.run)
        held = {row for parts in self.live.values() for rows in parts.values() for row in rows}
        assert held | self.done == set(range(ROWS)), "resume left a row behind"

    @rule(cpus=st.integers(1, 4))
    def resume_elsewhere(self, cpus):
        if records(self.run):
            batch.resume_run(replace(self.run, site=replace(SITE, cpus=cpus)))

    @precondition(lambda self: self.live)
    @rule(data=st.data())
    def finish(self, data):
        job, part = self.part(data)
        self.solved(self.live[job][part])
        self.over(job, part, "COMPLETED")

    @precondition(lambda self: self.live)
    @rule(data=st.data(), how=st.sampled_from(ENDS), share=st.integers(0, 2))
    def kill(self, data, how, share):
        job, part = self.part(data)
        self.solved(self.live[job][part][:share])
        self.over(job, part, how)

    @rule()
    def cancel(self):
        batch.cancel_run(self.run.folder)
        assert not self.live

    @precondition(lambda self: self.done)
    @rule()
    def reduce(self):
        snapshots = read(self.run.folder / "store")
        basis, _ = pod(snapshots, rank=1)
        assert snapshots.m == len(self.done) and basis.r == 1

    @invariant()
    def stands(self):
        if not hasattr(self, "run"):
            return
        now = batch.read_status(self.run.folder)
        assert (
            set(now.done) == self.done
            and set(now.unfinished) == set(range(ROWS)) - self.done
            and not now.failed
        )
        if self.done:
            held = read(self.run.folder / "store")
            for mu, u in zip(held.mu, held.u.T, strict=True):
                np.testing.assert_array_equal(u, solution(mu))

    @precondition(lambda self: self.done)
    @rule()
    def inspect(self):
        assert not verify(self.run.folder / "store") and len(
            open_store(self.run.folder / "store").manifest.done
        ) == len(self.done)


TestCampaigns = Campaigns.TestCase
TestCampaigns.settings = settings(
    max_examples=10, stateful_step_count=12, deadline=None, suppress_health_check=list(HealthCheck)
)


@pytest.mark.slow
def test_a_hundred_campaigns():
    from hypothesis.stateful import run_state_machine_as_test

    long = settings(
        max_examples=100,
        stateful_step_count=25,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Campaigns, settings=long)
