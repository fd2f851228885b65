"""Rare moments of a store: claims that meet, machines without /proc, files that are no files,
records that contradict their samples.
"""

import json
import os
import time
import zlib
from pathlib import Path

import numpy as np
import pytest

from rom.archive import files
from rom.archive.decoding import _sparse
from rom.archive.layout import Extent
from rom.archive.nouns import load, save
from rom.campaign import Store, collect, journal, lease, open_store, read, rebuild, verify
from rom.campaign.disk_columns import FilePart
from rom.campaign.journal import append_record, journals
from rom.campaign.records import sample_record
from rom.campaign.samples import commit
from rom.errors import BadInput, DamagedFile, ForeignFile, NotWritten

MUS = np.arange(1.0, 5.0)[:, None]


def solution(mu):
    return mu[0] * np.arange(1.0, 6.0)


def line(text):
    return b"%08x %s\n" % (zlib.crc32(text), text)


def test_of_two_claims_at_one_moment_one_is_made(tmp_path, monkeypatch):
    with lease.lease(tmp_path, "k", 60.0) as first:
        monkeypatch.setattr(lease, "_generations", lambda folder, key: [])
        assert first is not None and lease._claim(tmp_path, "k", 60.0) is None


def test_a_claim_that_cannot_be_written_is_told(tmp_path):
    with (
        pytest.raises(NotWritten, match=r"cannot write .*k\.0: .*what was committed is safe"),
        lease.lease(tmp_path / "no", "k", 1.0),
    ):
        pass


def test_a_claim_that_has_gone_holds_nobody(tmp_path):
    assert not lease.alive(tmp_path / "k.0", 60.0)


def test_a_claim_cut_short_holds_for_a_moment(tmp_path):
    (tmp_path / "k.0").write_text("[")
    assert lease.alive(tmp_path / "k.0", 60.0)
    os.utime(tmp_path / "k.0", (0, 0))
    assert not lease.alive(tmp_path / "k.0", 60.0)


def test_without_proc_a_process_lives_as_far_as_signals_tell(monkeypatch):
    def absent(*_):
        raise FileNotFoundError

    for name in ("read_text", "exists"):
        monkeypatch.setattr(Path, name, absent if name == "read_text" else lambda _: False)
    assert (
        lease.start_time(os.getpid()) == ""
        and lease.start_time(2**22 + 1) is None
        and not lease.stands_still(os.getpid())
    )

    def foreign(pid, number):
        raise PermissionError

    monkeypatch.setattr(os, "kill", foreign)
    assert lease.start_time(1) == ""
    monkeypatch.setattr(os, "readlink", absent)
    assert lease.host() == __import__("socket").gethostname()


def test_a_claim_that_was_succeeded_while_its_process_stood_still_commits_nothing(tmp_path, caplog):
    calls = []

    def solve(mu):
        calls.append(mu[0])
        if len(calls) == 1:
            (mine,) = (tmp_path / "leases").glob("*.0")
            mine.with_suffix(".1").write_text(json.dumps(["elsewhere", 1, "0"]))
            os.utime(mine.with_suffix(".1"), (0, 0))
        return solution(mu)

    seen = collect(solve, MUS[:1], tmp_path)
    assert (
        seen.solved == 1
        and calls == [1.0, 1.0]
        and "the claim expired while this process stood still" in caplog.text
    )


@pytest.mark.parametrize(
    ("answer", "reason"),
    [(np.zeros(0), "the solution is empty"), ([[1.0], [1.0, 2.0]], "the solution is no array")],
)
def test_a_solution_without_numbers_is_recorded(answer, reason, tmp_path):
    ((_, told),) = collect(lambda mu: answer, MUS[:1], tmp_path).failed
    assert told.startswith(reason)


class Wordless(RuntimeError):
    """An error whose text raises."""

    def __str__(self):
        raise KeyError("no text")


def test_an_error_without_a_text_is_recorded_and_the_rest_goes_on(tmp_path):
    def solve(mu):
        if mu[0] == MUS[1, 0]:
            raise Wordless
        return solution(mu)

    answer = collect(solve, MUS, tmp_path)
    ((_, reason),) = answer.failed
    assert answer.solved == len(MUS) - 1 and reason.startswith("Wordless: (its text raises KeyE")


@pytest.mark.parametrize("only", [[4], [-1], [], [0.5], [[0]]])
def test_rows_that_are_none_are_refused(only, tmp_path):
    with pytest.raises(BadInput, match=r"must name rows of mus, 0\.\.3"):
        collect(solution, MUS, tmp_path, only=np.array(only))


def test_only_some_rows_are_solved_and_all_are_planned(tmp_path):
    collect(solution, MUS, tmp_path, only=np.array([2]))
    manifest = open_store(tmp_path).manifest
    assert len(manifest.plan) == 4 and [r["mu"] for r in manifest.done.values()] == [[3.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"1" * 200 + b"\n", r"is longer than any record"),
        (line(b"{"), r"the line before byte \d+ is no record"),
        (
            line(
                json.dumps(
                    {"state": "plan", "time": 0.0, "keys": ["a", "b"], "mus": [[1.0]]}
                ).encode()
            ),
            r"is no record of this package",
        ),
    ],
)
def test_lines_that_no_campaign_writes_are_refused(text, message, tmp_path, monkeypatch):
    collect(solution, MUS, tmp_path)
    (tmp_path / "journal" / "x.jsonl").write_bytes(text)
    if len(text) > 200:
        for path in journals(tmp_path):
            path.unlink() if path.name != "x.jsonl" else None
        monkeypatch.setattr(journal, "MAX_LINE", 100)
    with pytest.raises(ForeignFile, match=message):
        open_store(tmp_path)


@pytest.mark.parametrize("kind", ["link", "pipe", "folder"])
def test_a_sample_that_is_no_file_is_refused(kind, tmp_path):
    collect(solution, MUS, tmp_path)
    path = next((tmp_path / "samples").glob("*.h5"))
    path.rename(tmp_path / "elsewhere")
    {
        "link": lambda: path.symlink_to(tmp_path / "elsewhere"),
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
    }[kind]()
    with pytest.raises(ForeignFile, match=r"is a link or no file|is no record"):
        open_store(tmp_path)


def test_pipes_and_folders_are_no_files(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ForeignFile, match=r"pipe is no plain file"):
        files.plain_file(tmp_path / "pipe")
    with pytest.raises(IsADirectoryError):
        files.plain_file(tmp_path)
    (tmp_path / "link").symlink_to(tmp_path / "pipe")
    with pytest.raises(ForeignFile, match=r"link is a link, which is never followed"):
        files.plain_file(tmp_path / "link")


@pytest.mark.parametrize("change", [{"size": 7}, {"size": 4}, {"columns": 2}])
def test_a_record_that_contradicts_its_sample_is_told(change, tmp_path):
    collect(solution, MUS[:1], tmp_path)
    store = open_store(tmp_path)
    mu = np.array([9.0])
    entry = commit(store, store.key(mu), mu, solution(mu)[:, None], token="t", size=5)
    append_record(
        tmp_path / "journal" / "x.jsonl",
        {**sample_record(store.key(mu), mu, [entry], size=5, columns=1, seconds=0.0), **change},
    )
    with pytest.raises(DamagedFile, match=r"does not hold the dofs and times"):
        read(tmp_path, mus=mu[None])


def test_a_sample_cut_short_while_it_is_read_is_told(tmp_path):
    path = tmp_path / "numbers"
    path.write_bytes(np.arange(4.0).tobytes())
    part = FilePart(path, Extent(np.dtype(float), (1, 5), 0), "all")
    with (
        open(path, "rb") as raw,
        pytest.raises(DamagedFile, match=r"numbers was cut short while it was read"),
    ):
        part.read(raw, 0, 0, 5)


def test_a_store_whose_campaign_is_damaged_is_verified_to_be(tmp_path):
    collect(solution, MUS, tmp_path)
    path = tmp_path / "campaign.json"
    path.write_text(path.read_text().replace('"version": "1"', '"version": "2"'))
    (problem,) = verify(tmp_path)
    assert "campaign.json does not match its sha256" in problem


def test_a_sample_that_is_gone_is_verified_to_be(tmp_path):
    collect(solution, MUS, tmp_path)
    lost = next((tmp_path / "samples").glob("*.h5"))
    lost.unlink()
    assert any(
        f"{lost.name} is missing or cut short; collect again" in line for line in verify(tmp_path)
    )
    assert collect(solution, MUS, tmp_path).solved == 1 and verify(tmp_path) == ()


@pytest.mark.parametrize(
    "identity",
    [
        {"times": ["a"]},
        {"times": [[1.0], [1.0, 2.0]]},
        {
            "box": {
                "names": ["a"],
                "lower": [2.0],
                "upper": [1.0],
                "units": ["m"],
                "scales": ["linear"],
            }
        },
        {"box": {"names": ["a"]}},
        {"version": 3},
        {"format": "1"},
    ],
)
def test_an_identity_that_describes_no_campaign_is_refused(identity, tmp_path):
    from rom.campaign.identity import _identity_digest

    collect(solution, MUS, tmp_path)
    held = {**json.loads((tmp_path / "campaign.json").read_text()), **identity}
    held.pop("sha256")
    (tmp_path / "campaign.json").write_text(json.dumps({**held, "sha256": _identity_digest(held)}))
    with pytest.raises(ForeignFile, match=r"describes no campaign"):
        open_store(tmp_path)


def test_names_and_texts_of_numpy_are_saved_as_words(tmp_path):
    save(tmp_path / "n.h5", {"name": np.str_("load"), "list": [np.str_("a"), "b"]})
    assert load(tmp_path / "n.h5") == {"name": "load", "list": ["a", "b"]}


@pytest.mark.parametrize(
    ("kind", "parts"),
    [("csr_thing", ("data", "indices", "indptr")), ("csr_array", ("data", "indices"))],
)
def test_sparse_arrays_of_unknown_make_are_refused(kind, parts):
    with pytest.raises(ValueError, match=f"sparse {kind}"):
        _sparse(kind, [2, 2], {name: np.zeros(2, dtype=int) for name in parts})


def test_of_two_records_of_one_task_every_reader_takes_the_same(tmp_path):
    collect(solution, MUS[:1], tmp_path)
    store = open_store(tmp_path)
    key, mu = store.key(MUS[0]), MUS[0]
    for token in ("zz", "00"):
        append_record(
            tmp_path / "journal" / "x.jsonl",
            sample_record(
                key,
                mu,
                [commit(store, key, mu, solution(mu)[:, None], token=token, size=5)],
                size=5,
                columns=1,
                seconds=0.0,
            ),
        )
    names = sorted(path.name for path in (tmp_path / "samples").glob("*.h5"))
    assert (
        len(names) == 3 and open_store(tmp_path).manifest.done[key]["files"][0]["name"] == names[0]
    )


def test_a_sample_of_which_a_rank_is_missing_is_not_made_whole_by_repair(tmp_path):
    collect(solution, MUS[:1], tmp_path)
    store, mu = open_store(tmp_path), np.array([9.0])
    commit(store, store.key(mu), mu, solution(mu)[:, None], token="t", size=10, rank=0, ranks=2)
    assert [r["mu"] for r in rebuild(tmp_path).manifest.done.values()] == [[1.0]]


def test_once_the_time_is_over_what_is_left_is_counted_and_not_begun(tmp_path):
    calls = []

    def solve(mu):
        calls.append(mu[0])
        time.sleep(0.2)
        return solution(mu)

    seen = collect(solve, MUS, tmp_path, seconds=0.3)
    assert seen.solved == len(calls) == 4 - seen.left and seen.left >= 2


def test_a_store_is_where_its_path_says(tmp_path):
    collect(solution, MUS, tmp_path)
    store = open_store(tmp_path)
    assert (
        isinstance(store, Store)
        and store.times is None
        and store.box is None
        and store.fields == ()
        and store.mesh is None
    )
