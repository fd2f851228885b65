"""docs/formats.md says what is read and written, of every suffix, and nothing else."""

from pathlib import Path

from tests.formats import COLUMNS, PAGE, READ, page, read_suffixes


def test_the_page_is_what_the_writers_do():
    assert PAGE.read_text() == page(), "run python -m tests.formats"


def test_every_suffix_has_a_row_and_every_row_a_test():
    rows = [suffix for suffixes, *_ in READ.values() for suffix in suffixes]
    assert sorted(rows) == sorted(read_suffixes())
    for suffixes, _, words, test in READ.values():
        assert len(words) == len(COLUMNS) and all(words)
        text = (Path(__file__).parent / test).read_text()
        assert any(suffix in text or suffix[1:] in text for suffix in suffixes), test
