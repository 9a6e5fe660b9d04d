"""Work that goes on beside the dump."""

from __future__ import annotations

import threading
import time

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.snapshot import Beside
from ansible_collections.holdfast.db.plugins.module_utils.errors import ToolFailed


def test_its_answer_is_waited_for() -> None:
    with Beside(lambda stopped: stopped.wait(0.05) or "done") as beside:
        assert beside.result() == "done"


def test_its_problem_is_raised_where_the_answer_is_wanted() -> None:
    def work(stopped: threading.Event) -> None:
        raise ToolFailed("no")

    with Beside(work) as beside, pytest.raises(ToolFailed, match="no"):
        beside.result()


def test_it_is_told_to_stop_when_the_block_is_left_or_the_time_is_up() -> None:
    began = time.monotonic()
    with pytest.raises(ToolFailed, match="time_limit"):
        with Beside(lambda stopped: stopped.wait(30)) as beside:
            beside.result(0.05)
    with pytest.raises(ValueError, match="elsewhere"):
        with Beside(lambda stopped: stopped.wait(30)):
            raise ValueError("elsewhere")
    assert time.monotonic() - began < 10
