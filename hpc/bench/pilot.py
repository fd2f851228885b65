"""Engines for thousands of short solves inside one allocation.

Tasks per second into the same durable store, start, memory, a kill. Every engine runs `solved`: one
solve that sleeps, then the same commit and journal record, so that what differs is the engine
alone.
"""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from hpc.bench._rows import show
from rom.campaign import open_store
from rom.campaign.identity import campaign_identity
from rom.campaign.journal import append_record, new_journal
from rom.campaign.records import sample_record
from rom.campaign.samples import commit
from rom.campaign.store import create_store

HELD: dict[str, tuple[Any, Path, str]] = {}
CASE = """
import time
import numpy as np
from rom.parameters import Box
box = Box(("a",), np.array([1.0]), np.array([2.0]), ("m",))
def solve(mu):
    time.sleep({pause})
    return mu[0] * np.arange(1.0, 9.0)
"""


def solved(folder: str, pause: float, k: int) -> int:
    """Task k of an engine that is not ours."""
    if folder not in HELD:
        HELD[folder] = open_store(folder), new_journal(Path(folder)), secrets.token_hex(4)
    store, log, token = HELD[folder]
    mu = np.array([1.0 + k * 1e-5])
    time.sleep(pause)
    key, u = store.key(mu), mu[0] * np.arange(1.0, 9.0)
    files = [commit(store, key, mu, u[:, None], token=token, size=u.size)]
    append_record(log, sample_record(key, mu, files, size=u.size, columns=1, seconds=pause))
    return k


def parsl(folder: str, pause: float, count: int, workers: int) -> None:
    """Parsl, HighThroughputExecutor under a local provider."""
    import parsl
    from parsl.config import Config
    from parsl.executors import HighThroughputExecutor
    from parsl.providers import LocalProvider

    local = LocalProvider(init_blocks=1, max_blocks=1)
    pool = HighThroughputExecutor(
        address="127.0.0.1", max_workers_per_node=workers, provider=local, encrypted=False
    )
    with parsl.load(
        Config(executors=[pool], run_dir=f"{folder}.parsl", retries=2, initialize_logging=False)
    ):
        task = parsl.python_app(solved)
        for answer in [task(folder, pause, k) for k in range(count)]:
            answer.result()


def dask(folder: str, pause: float, count: int, workers: int) -> None:
    """Dask distributed, one thread per worker process."""
    from dask.distributed import Client, LocalCluster

    with (
        LocalCluster(workers, threads_per_worker=1, dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        client.gather([client.submit(solved, folder, pause, k) for k in range(count)])


def pool(folder: str, pause: float, count: int, workers: int) -> None:
    """mpi4py.futures, a pool of ranks under one manager."""
    words = [
        *(
            "mpiexec",
            "-n",
            str(workers + 1),
            sys.executable,
            "-m",
            "mpi4py.futures",
            "-m",
            "hpc.bench.pilot",
        ),
        *(folder, str(pause), str(count)),
    ]
    _run(words)


def farm(folder: str, pause: float, count: int, workers: int) -> None:
    """rom collect: ranks that take one task after the other from the store."""
    _run(
        [
            "mpiexec",
            "-n",
            str(workers),
            sys.executable,
            "-m",
            "mpi4py",
            *_collected(folder, pause, count),
        ]
    )


def pilot(folder: str, pause: float, count: int, workers: int) -> None:
    """rom collect --workers: processes with a pipe each, under a supervisor."""
    _run([sys.executable, *_collected(folder, pause, count), "--workers", str(workers)])


def _collected(folder: str, pause: float, count: int) -> list[str]:
    case, table = Path(f"{folder}.py"), Path(f"{folder}.csv")
    case.write_text(CASE.format(pause=pause))
    table.write_text("a\n" + "".join(f"{1.0 + k * 1e-5!r}\n" for k in range(count)))
    return [
        "-c",
        "from rom.cli.app import app; app()",
        "collect",
        str(case),
        "--csv",
        str(table),
        "--out",
        folder,
    ]


def _run(words: list[str]) -> None:
    subprocess.run(
        words, check=True, timeout=500, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


ENGINES: dict[str, Callable[[str, float, int, int], None]] = {
    "rom collect --workers": pilot,
    "rom collect on ranks": farm,
    "mpi4py.futures pool": pool,
    "Parsl HTEX": parsl,
    "Dask distributed": dask,
}


def _children() -> Iterator[psutil.Process]:
    for process in psutil.Process().children(recursive=True):
        try:
            if process.status() != psutil.STATUS_ZOMBIE:
                yield process
        except psutil.NoSuchProcess:
            continue


def measured(
    engine: str, pause: float, count: int, workers: int, kill: bool = False
) -> tuple[float, float, float, int, str]:
    """One run of an engine: start, rate, memory, samples, end.

    (seconds to the first sample, tasks/s from there, MB of all its processes at most, samples in
    the store, how it ended).
    """
    with tempfile.TemporaryDirectory() as room:
        folder, over, peak, first, last = f"{room}/store", threading.Event(), [0.0], [0.0], [0.0]
        if not engine.startswith("rom collect"):
            create_store(folder, campaign_identity("1"))
        begin = time.perf_counter()

        def look() -> None:
            killed = not kill
            while not over.wait(0.05):
                samples = (
                    len(list(Path(folder, "samples").glob("[!.]*.h5")))
                    if Path(folder, "samples").exists()
                    else 0
                )
                if samples and not first[0]:
                    first[0] = time.perf_counter() - begin
                writers, sizes = _writers(folder), []
                for process in {*_children(), *writers}:
                    try:
                        sizes.append(process.memory_info().rss)
                    except psutil.NoSuchProcess:
                        continue
                peak[0] = max(peak[0], sum(sizes) / 1e6)
                if not killed and samples > count // 4 and writers:
                    os.kill(max(writers, key=lambda p: p.create_time()).pid, signal.SIGKILL)
                    killed = True

        watch = threading.Thread(target=look)
        watch.start()
        try:
            ENGINES[engine](folder, pause, count, workers)
            end = "finished"
        except Exception as error:
            end = type(error).__name__
        last[0] = time.perf_counter() - begin
        over.set()
        watch.join()
        held = open_store(folder).manifest.done if Path(folder).exists() else {}
        return first[0], len(held) / max(last[0] - first[0], 1e-9), peak[0], len(held), end


def _writers(folder: str) -> list[psutil.Process]:
    """Living processes that have written a journal: those that solve, whoever started them."""
    names = [path.name.rsplit("-", 2)[1] for path in Path(folder, "journal").glob("*.jsonl")]
    return [psutil.Process(int(pid)) for pid in dict.fromkeys(names) if psutil.pid_exists(int(pid))]


def main(count: int = 2000, workers: int = 2, pauses: tuple[float, ...] = (0.0, 0.01)) -> None:
    """Print the table; an engine that is not installed is named and left out."""
    rows: list[tuple] = []
    # engines start their own programs by name,
    os.environ["PATH"] = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    os.environ["PYTHONPATH"] = str(Path(__file__).parents[2])  # and those import `solved`
    for engine in ENGINES:
        for pause, kill in [*((pause, False) for pause in pauses), (pauses[-1], True)]:
            n = count // 4 if kill else count
            start, rate, memory, held, end = measured(engine, pause, n, workers, kill)
            rows.append(
                (
                    engine,
                    1e3 * pause,
                    "one worker" if kill else "",
                    start,
                    rate,
                    memory,
                    f"{held} of {n}",
                    end,
                )
            )
            print(*rows[-1], sep=" | ", flush=True)
    header = (
        "engine",
        "solve [ms]",
        "killed",
        "start [s]",
        "tasks/s",
        "memory [MB]",
        "in the store",
        "ended",
    )
    show(f"pilot: {count} solves, {workers} workers, each committed durably", header, rows)


if __name__ == "__main__":
    from mpi4py.futures import MPIPoolExecutor

    where, wait, number = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    with MPIPoolExecutor() as executor:
        for _ in executor.map(solved, [where] * number, [wait] * number, range(number)):
            pass
