"""What a profile may say: numbers in range, plain words, single lines."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING

from rom.batch.schedulers import open_scheduler
from rom.errors import BadInput

if TYPE_CHECKING:
    from rom.batch.profile import Profile

MAX_COUNT = 10**7
MAX_TRIES = 1000
WORD = re.compile(r"[A-Za-z0-9_.,:+@/=\-]*")
PLAIN = re.compile(r"[^\x00-\x1f\x7f]*")


def check_numbers(site: Profile) -> None:
    """Counts are positive, times are not negative. Raises BadInput."""
    for name in ("nodes", "ranks", "cpus", "chunk", "array", "queued"):
        value = getattr(site, name)
        if not 0 < value <= MAX_COUNT:
            raise BadInput(f"{name} = {value} must be a positive number")
    for name in ("concurrent", "requeues", "margin", "wait"):
        value = getattr(site, name)
        if not (math.isfinite(value) and value >= 0):
            raise BadInput(f"{name} = {value} must not be negative")


def check_words(site: Profile) -> None:
    """Names hold nothing that a shell would read as more. Raises BadInput."""
    words = [
        (name, getattr(site, name))
        for name in ("partition", "account", "qos", "constraint", "parallel", "container")
    ]
    words += [("modules", word) for word in site.modules]
    words += [("bind", word) for word in site.bind]
    words += [("environment", word) for word in site.environment]
    for name, word in words:
        if not WORD.fullmatch(word):
            raise BadInput(
                f"{name} = {word!r} is no plain word; letters, digits and . , : + @ / = - only"
            )


def check_lines(site: Profile) -> None:
    """Commands and values are one line each. Raises BadInput."""
    lines = [("launch", site.launch), ("rom", site.rom)]
    lines += [("environment", text) for text in site.environment.values()]
    lines += [("setup", text) for text in site.setup]
    lines += [("directives", text) for text in site.directives]
    for name, line in lines:
        if not PLAIN.fullmatch(line):
            raise BadInput(f"{name} = {line!r} must be one line")


def check_pilot(site: Profile) -> None:
    """The workers of a pilot solve alone, and all have work. Raises BadInput."""
    if site.pilot is None:
        return
    if site.ranks != 1:
        raise BadInput(
            f"ranks = {site.ranks} beside [pilot]: its workers solve alone; "
            "leave ranks out, or leave [pilot] out"
        )
    workers = site.nodes * site.pilot.workers
    if site.chunk < workers:
        raise BadInput(
            f"chunk = {site.chunk} leaves workers of [pilot] idle; "
            f"give {workers} solves per part, or thousands"
        )


def check_retry(retry: Mapping[str, int], kinds: Mapping[str, int]) -> None:
    """Tries are counts for kinds of failure. Raises BadInput."""
    in_range = all(0 <= tries <= MAX_TRIES for tries in retry.values())
    if set(retry) - set(kinds) or not in_range:
        raise BadInput(f"retry = {retry}: give 0..{MAX_TRIES} tries for {', '.join(kinds)}")


def check_limits(site: Profile) -> None:
    """A part has time beyond its margin, and memory. Raises BadInput."""
    if site.seconds <= site.margin:
        raise BadInput(f"time = {site.time!r} must be longer than the margin of {site.margin:g} s")
    if site.mebibytes < 1:
        raise BadInput(f"memory = {site.memory!r} must be positive")


def check_entries(site: Profile) -> None:
    """The scheduler has every entry that is given. Raises BadInput."""
    scheduler = open_scheduler(site.scheduler)
    for entry in fields(site):
        if entry.name in scheduler.lacks and getattr(site, entry.name) != entry.default:
            raise BadInput(
                f"{entry.name} = {getattr(site, entry.name)!r}: {site.scheduler} has no such "
                "entry; leave it out, or say it in directives"
            )
    scheduler.check(site)
