"""Readers on mutated files: a short run of the fuzzers; `make fuzz` does a million executions."""

import os
import signal

import numpy as np
import pytest
from fuzz import fuzz, mutated
from fuzz_files import Kind, fuzz_files, fuzz_kind

from rom.errors import ForeignFile


def test_no_reader_crashes_hangs_or_raises_what_has_no_name():
    found = fuzz(12_000, 7)
    assert len(found) == 10 and not any(found.values()), found


def test_no_reader_of_other_programs_ends_without_a_named_error():
    tallies = dict(fuzz_files(24, 7))
    assert len(tallies) in (17, 18)
    assert {tally.executions for tally in tallies.values()} == {24}
    assert not any(tally.findings for tally in tallies.values()), tallies


def test_the_fuzzer_sees_a_reader_that_fails(monkeypatch):
    monkeypatch.setattr("rom.campaign.journal.ForeignFile", KeyError)
    assert fuzz(2_000, 7, only=("journal",))["journal"]


def die(path):
    if path.read_bytes()[0] & 1:
        os.kill(os.getpid(), signal.SIGKILL)


def tell(path):
    raise ForeignFile(str(path))


def tell_nothing(path):
    raise KeyError(path)


@pytest.mark.parametrize("read, apart, is_found", [
    (die, tell, False), (die, tell_nothing, True), (tell, tell_nothing, False),
    (tell_nothing, tell, True),
])  # fmt: skip
def test_every_file_is_read_though_some_end_the_worker(read, apart, is_found, tmp_path):
    """Files whose first byte is odd end it; apart they are read again."""
    seeds = [bytes([k] * 8) for k in range(64)]
    tally = fuzz_kind(
        Kind("none", seeds, tmp_path / "a", tmp_path / "a", read, apart), 18, 3, grain=7
    )
    assert (len(tally.findings) > 0) == is_found
    assert tally.executions == 18 or is_found
    assert (tally.ended > 0) == (read is die)


def test_mutation_changes_and_repeats():
    seed = bytes(range(200))
    one, two = (mutated(seed, np.random.default_rng(3)) for _ in range(2))
    assert one == two != seed
