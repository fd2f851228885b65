"""A Grid Engine of one host, started from a private folder without systemd.

A sge_qmaster and a sge_execd of its own, in a cell of its own.
"""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from xml.etree import ElementTree

NAME = "gridengine"
PACKAGES = "gridengine-master gridengine-exec gridengine-client"
NEEDED = ("sge_qmaster", "sge_execd", "qsub", "qstat", "qconf", "qdel", "qacct")
ENTRIES = {"parallel": "smp"}  # of a profile
PROGRAMS, SHARED = Path("/usr/lib/gridengine"), Path("/usr/share/gridengine")
BOOTSTRAP = """admin_user root
default_domain none
ignore_fqdn true
spooling_method classic
spooling_lib libspoolc
spooling_params {spool}
binary_path {root}/bin
qmaster_spool_dir {folder}/spool/qmaster
security_mode none
listener_threads 2
worker_threads 2
scheduler_threads 1
jvm_threads 0
"""
CONFIGURATION = {
    "execd_spool_dir": "{folder}/execd", "mailer": "/bin/true", "administrator_mail": "none",
    "min_uid": "0", "min_gid": "0", "load_report_time": "00:00:02",
    "reporting_params": "accounting=true reporting=false accounting_flush_time=00:00:00 "
    "joblog=false sharelog=00:00:00",
}  # fmt: skip
SCHEDULING = {
    "schedule_interval": "0:0:1", "flush_submit_sec": "1", "flush_finish_sec": "1",
    "job_load_adjustments": "NONE",
}  # fmt: skip
QUEUE = {
    "qname": "test", "hostlist": "{host}", "pe_list": "smp", "slots": "4", "rerun": "TRUE",
    "load_thresholds": "NONE", "shell": "/bin/bash",
}  # fmt: skip
PARALLEL = """pe_name smp
slots 99
user_lists NONE
xuser_lists NONE
start_proc_args NONE
stop_proc_args NONE
allocation_rule $pe_slots
control_slaves FALSE
job_is_first_task TRUE
urgency_slots min
accounting_summary TRUE
qsort_args NONE
"""


def lacking() -> list[str]:
    """Programs of Grid Engine that are not installed."""
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    return [name for name in NEEDED if shutil.which(name, path=path) is None]


@contextmanager
def start(folder: Path):
    """A running cell of one host; its daemons end with the block."""
    root = folder / "root"
    for path in ("root/cell/common", "spool/qmaster/job_scripts", "execd"):
        (folder / path).mkdir(parents=True, exist_ok=True)
    for name in ("bin", "util", "utilbin", "lib"):
        (root / name).symlink_to(f"/var/lib/gridengine/{name}")
    ours = {
        "SGE_ROOT": str(root), "SGE_CELL": "cell", "SGE_ND": "1",
        "SGE_QMASTER_PORT": str(_free()), "SGE_EXECD_PORT": str(_free()),
        "PATH": os.environ["PATH"] + ":/usr/sbin:/sbin",
    }  # fmt: skip
    old = {name: os.environ.get(name) for name in ours}
    daemons: list[subprocess.Popen] = []
    os.environ.update(ours)
    try:
        _write_cell(folder, root)
        with open(folder / "daemons.log", "ab") as log:
            _begin(daemons, "sge_qmaster", log)
            _await(lambda: _configure(folder), folder)
            _begin(daemons, "sge_execd", log)
        _await(lambda: "-NA-" not in _ask("qstat", "-f") and "test@" in _ask("qstat", "-f"), folder)
        yield folder
    finally:
        with suppress(OSError, subprocess.SubprocessError):
            subprocess.run(["qdel", "-f", "-u", "*"], timeout=10, capture_output=True)
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
    return not _tasks()


def lives(job: str, part: int) -> bool:
    """Whether part `part` of an array waits or runs."""
    return any(number == job and part + 1 in tasks for number, tasks in _tasks())


def cancel_part(job: str, part: int) -> None:
    """Ends one part of an array."""
    _ask("qdel", job, "-t", str(part + 1))


def listing() -> str:
    """All jobs in the queue."""
    return _ask("qstat", "-u", "*")


def _tasks() -> list[tuple[str, list[int]]]:
    jobs = ElementTree.fromstring(_ask("qstat", "-xml", "-g", "d", "-u", "*")).iter("job_list")
    return [
        (job.findtext("JB_job_number"), [int(job.findtext("tasks", "0").split(":")[0])])
        for job in jobs
    ]


def _write_cell(folder: Path, root: Path) -> None:
    """The files of a cell, and the defaults that its master reads first."""
    common = root / "cell" / "common"
    spool = f"{common};{folder}/spool"
    host = socket.gethostname()
    (common / "bootstrap").write_text(BOOTSTRAP.format(spool=spool, root=root, folder=folder))
    (common / "act_qmaster").write_text(host + "\n")
    aliases = dict.fromkeys([host, "localhost", socket.getfqdn(), *_names_of_loopback()])
    (common / "host_aliases").write_text(" ".join(aliases) + "\n")
    settings = (SHARED / "default-configuration").read_text()
    (folder / "global").write_text(_change(settings, CONFIGURATION, folder=folder))
    resources = SHARED / "util" / "resources"
    for words in (
        ["spoolinit", "classic", "libspoolc", spool, "init"],
        ["spooldefaults", "configuration", folder / "global"],
        ["spooldefaults", "complexes", resources / "centry"],
        ["spooldefaults", "usersets", resources / "usersets"],
        ["spooldefaults", "managers", "root"],
    ):
        command = [str(PROGRAMS / words[0]), *map(str, words[1:])]
        subprocess.run(command, check=True, capture_output=True, timeout=30)


def _configure(folder: Path) -> bool:
    """Once the master answers: this host submits, an environment, a queue, no waiting."""
    if subprocess.run(["qconf", "-sh"], capture_output=True, timeout=15).returncode:
        return False
    host = socket.gethostname()
    texts = {
        "-Ap": PARALLEL,
        "-Aq": _change(_ask("qconf", "-sq"), QUEUE, host=host),
        "-Msconf": _change(_ask("qconf", "-ssconf"), SCHEDULING),
    }
    subprocess.run(["qconf", "-as", host], check=True, capture_output=True, timeout=15)
    for option, text in texts.items():
        path = folder / option[1:]
        path.write_text(text)
        subprocess.run(["qconf", option, str(path)], check=True, capture_output=True, timeout=15)
    return True


def _change(text: str, values: dict[str, str], **more: object) -> str:
    """Lines "name value" with other values."""
    lines = []
    for line in text.splitlines():
        name = line.split(maxsplit=1)[0] if line.strip() else ""
        lines.append(f"{name} {values[name].format(**more)}" if name in values else line)
    return "\n".join(lines) + "\n"


def _names_of_loopback() -> list[str]:
    """What the machine calls 127.0.0.1."""
    with suppress(OSError):
        name, others, _ = socket.gethostbyaddr("127.0.0.1")
        return [name, *others]
    return []


def _begin(daemons: list[subprocess.Popen], name: str, log) -> None:
    daemons.append(subprocess.Popen([str(PROGRAMS / name)], stdout=log, stderr=log))


def _ask(*words: str) -> str:
    return subprocess.run(words, capture_output=True, text=True, timeout=30, check=True).stdout


def _await(what, folder: Path, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not what():
        if time.monotonic() > deadline:
            log = (folder / "daemons.log").read_text(errors="replace")[-3000:]
            raise RuntimeError(f"Grid Engine is not ready after {seconds} s: {log}")
        time.sleep(0.3)


def _free() -> int:
    with socket.socket() as probe:
        probe.bind(("", 0))
        return probe.getsockname()[1]
