# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run a function of ours in a child process, as another user where that is wanted.

For engines whose database is a library and not a server: their files are only ever opened with the rights of
the files' owner, a crash in the library ends the child alone, and a deadline can be kept. Only JSON comes back,
so that a child with fewer rights can give its parent nothing but data.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
import time
import traceback
from contextlib import suppress
from typing import Any, Callable, NoReturn

from . import errors
from .accounts import Account
from .pipeline import die_with

_BACKSTOP = 70
_PUTTING_BACK = 30.0
_DIED = "The process that had the database open died unexpectedly; see the system's log for the reason."


class Parent:
    """The child's end of the conversation."""

    def __init__(self, reading: int, writing: int) -> None:
        self._reading = reading
        self._writing = writing

    def ask(self, question: Any) -> Any:
        """Send ``question`` (JSON types) to the parent and wait for its answer.

        Raises ToolFailed where the parent could not answer, so that the child can put things back before it
        ends; the parent raises its own reason. Ends the child at once where the parent is gone.
        """
        _send(self._writing, {"question": question})
        answer = _receive(self._reading, None)
        if answer is None:
            os._exit(_BACKSTOP)
        if "answer" not in answer:
            raise errors.ToolFailed("The work was stopped from outside.")
        return answer["answer"]


def call_as(
    account: Account | None,
    function: Callable[[Parent], Any],
    *,
    prepare: Callable[[], None] | None = None,
    answer: Callable[[Any], Any] | None = None,
    time_limit: float | None = None,
) -> Any:
    """Run ``function`` in a child as ``account`` and return its result (JSON types).

    ``prepare`` runs in the child first, while it still has our rights: for opening what lies below directories
    that ``account`` may not enter. ``answer`` is called here for each question that the function asks its
    ``Parent``; whatever it raises ends the child, which may first put things back, and is raised to the caller. A
    HoldfastError of the child is raised here with its class and message. The child holds every descriptor of
    ours, locks among them. Raises ToolFailed where it dies or exceeds ``time_limit`` seconds.
    """
    to_child, to_parent = os.pipe(), os.pipe()
    parent = os.getpid()
    sys.stdout.flush()
    sys.stderr.flush()
    child = os.fork()
    if child == 0:
        os.close(to_child[1])
        os.close(to_parent[0])
        _run_child(account, prepare, function, Parent(to_child[0], to_parent[1]), to_parent[1], parent)
    os.close(to_child[0])
    os.close(to_parent[1])
    try:
        return _listen(to_parent[0], to_child[1], answer, time_limit)
    finally:
        os.close(to_child[1])
        os.close(to_parent[0])
        _end(child)


def _run_child(
    account: Account | None,
    prepare: Callable[[], None] | None,
    function: Callable[[Parent], Any],
    parent: Parent,
    writing: int,
    pid: int,
) -> NoReturn:
    """Drop every right that ``account`` lacks, work, report, and never return into the caller's code."""
    try:
        # A handler of our caller's would only run once a long call into a library is over.
        for one in (signal.SIGTERM, signal.SIGINT):
            signal.signal(one, signal.SIG_DFL)
        die_with(pid)()
        if prepare is not None:
            prepare()
        if account is not None and not account.is_current:
            os.setgroups(account.groups)
            os.setgid(account.gid)
            os.setuid(account.uid)
            # The kernel forgets the wish to die with the parent when the user changes.
            die_with(pid)()
        _send(writing, {"result": function(parent)})
    except errors.HoldfastError as reason:
        _send(writing, {"error": type(reason).__name__, "message": str(reason)})
    except OSError as reason:
        _send(writing, {"error": "ToolFailed", "message": "%s." % reason})
    except MemoryError:
        _send(
            writing,
            {"error": "ToolFailed", "message": "There is not enough memory for this work on this host."},
        )
    finally:
        if sys.exc_info()[0] is not None:
            traceback.print_exc()
        os._exit(_BACKSTOP if sys.exc_info()[0] is not None else 0)


def _listen(reading: int, writing: int, answer: Callable[[Any], Any] | None, time_limit: float | None) -> Any:
    until = None if time_limit is None else time.monotonic() + time_limit
    while True:
        message = _receive(reading, until)
        if message is None:
            late = until is not None and time.monotonic() >= until
            raise errors.ToolFailed(
                "The work took longer than the limit of %g s and was ended." % time_limit if late else _DIED
            )
        if "question" in message:
            _reply(reading, writing, message["question"], answer)
        elif "error" in message:
            raise getattr(errors, message["error"])(message["message"])
        else:
            return message["result"]


def _reply(reading: int, writing: int, question: Any, answer: Callable[[Any], Any] | None) -> None:
    """Answer the child; where that fails, tell it so and give it time to put things back."""
    reply = {"stop": True}
    try:
        reply = {"answer": answer(question) if answer else None}
    finally:
        try:
            _send(writing, reply)
        except BrokenPipeError:
            raise errors.ToolFailed(_DIED) from None
        if "stop" in reply:
            _receive(reading, time.monotonic() + _PUTTING_BACK)


def _send(descriptor: int, message: Any) -> None:
    data = json.dumps(message).encode("ascii")
    data = len(data).to_bytes(8, "big") + data
    while data:
        data = data[os.write(descriptor, data) :]


def _receive(descriptor: int, until: float | None) -> Any:
    """One message; None where the other side is gone or the time is over."""
    data = b""
    while len(data) < 8 or len(data) < 8 + int.from_bytes(data[:8], "big"):
        left = None if until is None else max(0.0, until - time.monotonic())
        if not select.select([descriptor], [], [], left)[0]:
            return None
        piece = os.read(descriptor, 1 << 16)
        if not piece:
            return None
        data += piece
    return json.loads(data[8:])


def _end(child: int) -> None:
    with suppress(ProcessLookupError):
        os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
