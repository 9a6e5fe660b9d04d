# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A function in a child: its result, its errors, its questions and its end."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import Busy, Refused, ToolFailed
from ansible_collections.holdfast.db.plugins.module_utils.forked import call_as


def test_the_result_comes_back_and_the_child_is_another_process():
    result = call_as(None, lambda _parent: {"text": "\u00fc\udcff", "numbers": [1, 2.5, None], "id": os.getpid()})
    assert result["text"] == "\u00fc\udcff"
    assert result["numbers"] == [1, 2.5, None]
    assert result["id"] != os.getpid()


def test_a_large_result_comes_back_whole():
    assert call_as(None, lambda _parent: "x" * 5_000_000) == "x" * 5_000_000


def test_an_error_for_the_user_keeps_its_class_and_words():
    def fail(_parent):
        raise Busy("Somebody holds it.")

    with pytest.raises(Busy, match=r"^Somebody holds it\.$"):
        call_as(None, fail)


def test_an_error_of_the_system_is_told():
    with pytest.raises(ToolFailed, match="No such file"):
        call_as(None, lambda _parent: os.stat("/nowhere at all"))


def test_a_death_is_told():
    with pytest.raises(ToolFailed, match="died unexpectedly"):
        call_as(None, lambda _parent: os.kill(os.getpid(), signal.SIGKILL))


def test_a_limit_is_kept():
    began = time.monotonic()
    with pytest.raises(ToolFailed, match="limit"):
        call_as(None, lambda _parent: time.sleep(60), time_limit=0.2)
    assert time.monotonic() - began < 10


def test_what_is_prepared_is_there():
    opened = []
    assert call_as(None, lambda _parent: opened, prepare=lambda: opened.append(7)) == [7]
    assert opened == []


def test_questions_are_answered_in_order():
    asked = []

    def ask(parent):
        return [parent.ask({"number": number}) for number in range(3)]

    def answer(question):
        asked.append(question["number"])
        return question["number"] * 10

    assert call_as(None, ask, answer=answer) == [0, 10, 20]
    assert asked == [0, 1, 2]


def test_a_failed_answer_lets_the_child_put_things_back_and_is_raised(tmp_path):
    def ask(parent):
        try:
            parent.ask("may I?")
        except ToolFailed:
            (tmp_path / "put back").write_text("yes")
            raise

    def answer(_question):
        raise Refused("No.")

    with pytest.raises(Refused, match="No"):
        call_as(None, ask, answer=answer)
    assert (tmp_path / "put back").exists()


def test_no_child_is_left_behind():
    call_as(None, lambda _parent: 1)
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_child_ends_with_its_parent(tmp_path):
    script = (
        "import sys, time; sys.path.insert(0, %r)\n"
        "from ansible_collections.holdfast.db.plugins.module_utils.forked import call_as\n"
        "call_as(None, lambda _parent: [print('here', flush=True), time.sleep(60)])\n"
    ) % str(Path(__file__).resolve().parents[2] / "collections")
    running = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, start_new_session=True)
    assert running.stdout.readline() == b"here\n"
    running.kill()
    running.wait()
    until = time.monotonic() + 10
    # The child holds the other end of the pipe for as long as it lives.
    assert running.stdout.read() == b""
    assert time.monotonic() < until
    running.stdout.close()
