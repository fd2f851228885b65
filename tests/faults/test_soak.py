"""A long campaign with failures loses nothing, and the process that runs it does not grow."""

import pytest
import soak


@pytest.mark.slow
def test_thousands_of_tasks_leave_no_file_no_thread_and_no_memory_behind(monkeypatch):
    monkeypatch.setattr(soak, "ROUND", 400)
    tasks, failures, growth = soak.soak(2400, minutes=8.0)
    assert tasks >= 1200 and failures == tasks // 100
    assert max(growth) <= soak.GROWTH, growth
