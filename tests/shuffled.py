"""Tests in random order: pytest -p tests.shuffled; SHUFFLE=NUMBER repeats one."""

import os
import random


def pytest_collection_modifyitems(items):
    """Shuffles the files, and the tests of each, which share what is costly to make."""
    seed = int(os.environ.get("SHUFFLE") or random.SystemRandom().randrange(10**6))
    print(f"\nSHUFFLE={seed}")
    gen = random.Random(seed)
    files = {}
    for item in items:
        files.setdefault(item.path, []).append(item)
    groups = list(files.values())
    gen.shuffle(groups)
    for group in groups:
        gen.shuffle(group)
    items[:] = [item for group in groups for item in group]
