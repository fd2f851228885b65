"""Readers on mutated files: a short run of the fuzzer; `make fuzz` does a million executions."""

import numpy as np
from fuzz import fuzz, mutated


def test_no_reader_crashes_hangs_or_raises_what_has_no_name():
    found = fuzz(12_000, 7)
    assert len(found) in (27, 28) and not any(found.values()), found


def test_the_fuzzer_sees_a_reader_that_fails(monkeypatch):
    monkeypatch.setattr("rom.campaign.journal.ForeignFile", KeyError)
    assert fuzz(2_000, 7, only=("journal",))["journal"]


def test_mutation_changes_and_repeats():
    seed = bytes(range(200))
    one, two = (mutated(seed, np.random.default_rng(3)) for _ in range(2))
    assert one == two != seed
