"""A Slurm of one node, started from a private folder without systemd.

a munged, a slurmctld and a slurmd of its own.
"""

from __future__ import annotations

import os
import secrets
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path

NAME = "slurm"
PACKAGES = "slurm-wlm munge"
ENTRIES: dict[str, str] = {}  # of a profile
NEEDED = ("munged", "slurmctld", "slurmd", "sbatch", "squeue", "scontrol")
CONF = """
ClusterName=rom
SlurmctldHost={host}
SlurmctldPort={port}
SlurmdPort={port1}
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=6
CryptoType=crypto/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU_Memory
AccountingStorageType=accounting_storage/none
JobAcctGatherType=jobacct_gather/linux
JobAcctGatherFrequency=task=1
JobAcctGatherParams=OverMemoryKill
JobCompType=jobcomp/none
MpiDefault=none
ReturnToService=2
KillWait=2
InactiveLimit=0
MaxArraySize={largest}
SchedulerType=sched/backfill
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
SlurmdTimeout=60
UnkillableStepTimeout=30
NodeName={host} CPUs=4 RealMemory=4000 State=UNKNOWN
PartitionName=test Nodes={host} Default=YES MaxTime=60 State=UP OverSubscribe=NO
"""


def lacking() -> list[str]:
    """Programs of Slurm that are not installed."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return [name for name in NEEDED if shutil.which(name, path=path) is None]


@contextmanager
def start(folder: Path, largest: int = 9):
    """SLURM_CONF of a running one-node cluster; its daemons end with the block."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in ("state", "spool"):
        (folder / name).mkdir(exist_ok=True)
    key, host = folder / "munge.key", socket.gethostname()
    key.write_bytes(secrets.token_bytes(1024))
    key.chmod(0o400)
    port = _free()
    conf = folder / "slurm.conf"
    conf.write_text(
        CONF.format(folder=folder, host=host, port=port, port1=_free(), largest=largest)
    )
    environment = {
        **os.environ,
        "SLURM_CONF": str(conf),
        "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
    }
    old = {name: os.environ.get(name) for name in ("SLURM_CONF", "PATH")}
    munge = ["munged", "--foreground", f"--key-file={key}", f"--socket={folder}/munge.socket",
        f"--pid-file={folder}/munged.pid",
             f"--log-file={folder}/munged.log", f"--seed-file={folder}/munged.seed",
             "--force"]  # fmt: skip
    daemons = []
    try:
        with open(folder / "out", "ab") as out:
            for words in (
                munge,
                ["slurmctld", "-D", "-f", str(conf)],
                ["slurmd", "-D", "-f", str(conf)],
            ):
                daemons.append(subprocess.Popen(words, env=environment, stdout=out, stderr=out))
                time.sleep(0.5)
        os.environ.update({name: environment[name] for name in old})
        _ready(folder, daemons)
        yield conf
    finally:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["scancel", "--user=root"], timeout=10, capture_output=True)
        for daemon in reversed(daemons):
            daemon.send_signal(signal.SIGTERM)
            try:
                daemon.wait(10)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait(5)
        for name, value in old.items():
            os.environ.pop(name, None) if value is None else os.environ.__setitem__(name, value)


def is_empty() -> bool:
    """Whether no job waits or runs."""
    return _ask("squeue", "--noheader").strip() == ""


def lives(job: str, part: int) -> bool:
    """Whether part `part` of an array runs or ends just now."""
    states = "--states=running,completing"
    return f"{job}_{part}" in _ask("squeue", "--noheader", "--array", "--format", "%i", states)


def cancel_part(job: str, part: int) -> None:
    """Ends one part of an array."""
    _ask("scancel", f"{job}_{part}")


def listing() -> str:
    """All jobs, also those that have ended just now."""
    return _ask("squeue", "--states=all", "--array")


def _ask(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout


def _ready(folder: Path, daemons: list[subprocess.Popen], seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    said = ""
    while time.monotonic() < deadline:
        done = subprocess.run(
            ["sinfo", "--noheader", "--format", "%T"], capture_output=True, text=True, timeout=15
        )
        said = done.stdout + done.stderr
        if done.stdout.strip() in ("idle", "mixed"):
            return
        time.sleep(0.3)
    logs = "\n".join(p.read_text(errors="replace")[-1500:] for p in folder.glob("*.log"))
    raise RuntimeError(f"Slurm is not ready after {seconds} s: {said}\n{logs}")


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
