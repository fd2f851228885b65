"""Many processes at one store: one founds it, nothing mixes, every row is solved once."""

import json
import os
import shutil
import traceback

import numpy as np
import pytest

import rom.campaign.store as store
from rom.campaign import collect, open_store, read
from rom.campaign.identity import campaign_identity
from rom.campaign.lease import alive, lease
from rom.campaign.store import create_store
from rom.errors import BadInput
from rom.space import Field, euclidean

ROWS = 40
MUS = np.linspace(0.1, 1.0, ROWS)[:, None]


def settings(unit):
    fields = (Field("u", unit, np.arange(3)),)
    return campaign_identity("1", size=3, fields=fields), fields


def create(path, unit):
    identity, fields = settings(unit)
    return create_store(path, identity, fields=fields)


def in_processes(count, act, folder):
    """What `act(k)` gave, or the name of its error, in processes that begin together."""
    gate, children = os.pipe(), []
    for k in range(count):
        child = os.fork()
        if child == 0:
            try:
                os.close(gate[1])
                os.read(gate[0], 1)
                try:
                    told = ["gave", act(k)]
                except BaseException as error:
                    told = [type(error).__name__, traceback.format_exc()]
                (folder / f"{k}.json").write_text(json.dumps(told))
            finally:
                os._exit(0)
        children.append(child)
    for end in gate:
        os.close(end)
    for child in children:
        os.waitpid(child, 0)
    return [json.loads((folder / f"{k}.json").read_text()) for k in range(count)]


def race(folder):
    folder.mkdir()
    units = ("K", "Pa")
    told = in_processes(2, lambda k: create(folder / "s", units[k]).fields[0].unit, folder)
    assert sorted(kind for kind, _ in told) == ["BadInput", "gave"], told
    winner = next(text for kind, text in told if kind == "gave")
    both = open_store(folder / "s")
    assert both.fields[0].unit == winner == both.identity["fields"]["u"]["unit"]
    shutil.rmtree(folder)


def test_whoever_comes_between_keeps_the_store(tmp_path, monkeypatch):
    write = store.write_identity

    def write_late(path, identity):
        monkeypatch.setattr(store, "write_identity", write)
        create(tmp_path, "Pa")
        write(path, identity)

    monkeypatch.setattr(store, "write_identity", write_late)
    with pytest.raises(BadInput, match="another campaign"):
        create(tmp_path, "K")
    assert open_store(tmp_path).fields[0].unit == "Pa"


def test_a_founder_that_was_cut_off_is_completed(tmp_path):
    create(tmp_path, "K")
    (tmp_path / "fields.h5").unlink()
    assert create(tmp_path, "K").fields[0].unit == "K"


def test_two_founders_do_not_mix(tmp_path):
    for k in range(10):
        race(tmp_path / str(k))


@pytest.mark.slow
def test_two_founders_do_not_mix_in_400_races(tmp_path):
    for k in range(400):
        race(tmp_path / str(k))


def crowd(count, folder):
    folder.mkdir()

    def act(k):
        campaign = collect(lambda mu: mu[0] * np.ones(3), MUS, folder / "s", progress=False)
        return [campaign.solved, campaign.skipped, len(campaign.failed), campaign.left]

    told = in_processes(count, act, folder)
    assert {kind for kind, _ in told} == {"gave"}, told
    numbers = np.array([answer for _, answer in told])
    assert numbers[:, 0].sum() == ROWS and (numbers.sum(axis=1) == ROWS).all()
    assert np.array_equal(read(folder / "s").U[0], MUS[:, 0])
    assert len(list((folder / "s" / "samples").glob("*-*.h5"))) == ROWS
    assert not list((folder / "s" / "leases").iterdir())


def test_a_crowd_solves_every_row_once(tmp_path):
    crowd(8, tmp_path / "c")


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_64_processes_solve_every_row_once_20_times(tmp_path):
    for k in range(20):
        crowd(64, tmp_path / str(k))


def test_what_is_no_lease_and_no_journal_holds_nobody(tmp_path):
    path = create(tmp_path / "s", "K").path
    key = open_store(path).key(MUS[0])
    (path / "leases" / f"{key}.tmp").touch()
    (path / "leases" / f"{key}.7").mkdir()
    (path / "journal" / "x.jsonl").mkdir()
    (path / "journal" / "y.jsonl.tmp").touch()
    space = euclidean(3, fields=settings("K")[1])
    assert collect(lambda mu: mu[0] * np.ones(3), MUS[:1], path, space=space).solved == 1


def test_a_lease_that_vanishes_while_it_is_read_holds_nobody(tmp_path, monkeypatch):
    path = tmp_path / "k.0"
    path.write_text("[")
    read_text = type(path).read_text

    def read_and_lose(self, *args, **kwargs):
        text = read_text(self, *args, **kwargs)
        self.unlink()
        return text

    monkeypatch.setattr(type(path), "read_text", read_and_lose)
    assert not alive(path, 60.0)


def test_the_lease_of_a_living_process_does_not_hold_a_copy_of_its_store(tmp_path):
    (tmp_path / "a").mkdir()
    with lease(tmp_path / "a", "k", 60.0) as mine:
        shutil.copytree(tmp_path / "a", tmp_path / "b")
        os.utime(tmp_path / "b" / "k.0", (0, 0))
        assert alive(mine, 60.0) and not alive(tmp_path / "b" / "k.0", 60.0)
        with lease(tmp_path / "b", "k", 60.0) as other:
            assert other is not None


def test_a_lease_of_tomorrow_holds_nobody(tmp_path):
    path = tmp_path / "k.0"
    path.write_text(json.dumps(["elsewhere", 1, "1"]))
    assert alive(path, 60.0)
    ahead = path.stat().st_mtime + 86400
    os.utime(path, (ahead, ahead))
    assert not alive(path, 60.0)


def test_solved_counts_own_solves_only(tmp_path):
    def solve(mu):
        if mu[0] == MUS[0, 0]:
            collect(lambda mu: mu[0] * np.ones(3), MUS[1:4], tmp_path)
        return mu[0] * np.ones(3)

    campaign = collect(solve, MUS[:4], tmp_path)
    assert (campaign.solved, campaign.skipped) == (1, 3)
