# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Watching over running programs: a limit of time, and any other reason to end them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Callable, Protocol

from .errors import ToolFailed, ToolStopped

_WATCH_EVERY = 0.5


class Program(Protocol):
    """A running program as far as it matters here. ``title``: its name, for messages."""

    title: str

    def kill(self) -> None:
        """End it and everything it started."""


class Supervision(threading.Thread):
    """Ends programs that run too long or that the watch objects to, and remembers why."""

    def __init__(
        self, running: Sequence[Program], seconds: float | None, watch: Callable[[], str | None] | None
    ) -> None:
        super().__init__(daemon=True)
        self._running = running
        self._seconds = seconds
        self._watch = watch
        self._is_over = threading.Event()
        self._reason: str | None = None

    def run(self) -> None:
        until = None if self._seconds is None else time.monotonic() + self._seconds
        while self._reason is None:
            left = _WATCH_EVERY if until is None else max(0.0, until - time.monotonic())
            if self._is_over.wait(min(left, _WATCH_EVERY) if self._watch else left):
                return
            if until is not None and time.monotonic() >= until:
                self._reason = (
                    "%s took longer than the limit of %g s and was ended; raise time_limit or find what holds it up."
                    % (self._running[0].title, self._seconds)
                )
            elif self._watch is not None:
                self._reason = self._watch()
        for one in self._running:
            one.kill()

    def stop(self) -> None:
        self._is_over.set()
        self.join()

    def raise_if_ended(self) -> None:
        if self._reason is not None:
            raise ToolStopped(self._reason)


@contextmanager
def supervised(
    running: Sequence[Program], seconds: float | None, watch: Callable[[], str | None] | None
) -> Iterator[Supervision]:
    """Watch over ``running`` while the block lasts; its own reason wins over that of the programs it ended."""
    supervision = Supervision(running, seconds, watch)
    if running and (seconds is not None or watch is not None):
        supervision.start()
    try:
        yield supervision
    except ToolFailed:
        supervision.raise_if_ended()
        raise
    finally:
        if supervision.is_alive():
            supervision.stop()
