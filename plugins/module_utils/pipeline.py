# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# pylint: disable=ansible-bad-function
# The reason for the line above: chains of native tools need pipes between processes, inherited locks and a change
# of user, none of which run_command offers; this file is the only one that starts programs.
"""Chains of processes: dump | compress | encrypt, every exit status checked.

A ``Command`` says what to run and as whom. ``Processes`` starts commands: each child inherits the locks it was
given (so that a lock is free only when every child is gone), dies with its parent, reads nothing from a
terminal, and leaves its error output for the message. Memory stays flat: bytes pass in pieces of 1 MiB at most.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import select
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, Callable

from .accounts import Account
from .errors import ToolFailed, ToolStopped, shown
from .supervision import supervised

PIECE = 1 << 20
_PR_SET_PDEATHSIG = 1
_F_SETPIPE_SZ = 1031
_STDERR_KEPT = 4000
_TAIL = 64
_NO_STDIN = subprocess.DEVNULL


@dataclass(frozen=True)
class Command:
    """One program to run.

    ``environment`` is complete but for PATH, HOME, LC_ALL and TZ, which are set here. ``account`` None: as we are.
    ``directory``: where it starts, None for ``/``. ``descriptors``: open files that it needs under the same numbers.
    ``secrets``: strings that are blacked out of anything it prints.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    account: Account | None = None
    directory: str | None = None
    descriptors: tuple[int, ...] = ()
    secrets: tuple[str, ...] = field(default=(), repr=False)

    @property
    def title(self) -> str:
        """The program's own name, for messages."""
        return os.path.basename(self.argv[0])


@dataclass(frozen=True)
class Completed:
    """What a finished command said on its two outputs, both decoded with ``surrogateescape``."""

    output: str
    errors: str
    exit_status: int


class _Running:
    """A started command, its error output in a nameless file."""

    def __init__(self, command: Command, popen: subprocess.Popen, errors: IO[bytes]) -> None:
        self.command = command
        self.popen = popen
        self._errors = errors

    @property
    def title(self) -> str:
        return self.command.title

    def error_text(self) -> str:
        self._errors.seek(0, os.SEEK_END)
        self._errors.seek(max(0, self._errors.tell() - _STDERR_KEPT))
        text = self._errors.read().decode("utf-8", "surrogateescape").strip()
        for secret in self.command.secrets:
            text = text.replace(secret, "********")
        return text

    def has_lost_its_reader(self) -> bool:
        """Whether it failed only because the program after it was gone."""
        return self.popen.returncode in (-signal.SIGPIPE, 128 + signal.SIGPIPE) or "Broken pipe" in self.error_text()

    def kill(self) -> None:
        """End the command and everything it started in its own process group."""
        try:
            os.killpg(self.popen.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            pass

    def close(self) -> None:
        for stream in (self.popen.stdin, self.popen.stdout):
            if stream is not None and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass
        self._errors.close()


class Tap:
    """Commands that are shown the stream as it passes and may stop reading early, such as ``pg_restore --list``.

    After the stream has ended, ``output`` is an open nameless file with what the last of them printed, and ``tail``
    holds the last bytes of the stream, whether anybody still read them or not.
    """

    def __init__(self, chain: Sequence[Command]) -> None:
        self.chain = tuple(chain)
        self.output: IO[bytes] = tempfile.TemporaryFile()
        self.tail = b""

    def passes(self, piece: bytes) -> None:
        """The next bytes of the stream."""
        self.tail = piece[-_TAIL:] if len(piece) >= _TAIL else (self.tail + piece)[-_TAIL:]


class Conversation:
    """A program that is talked to line by line over its standard input and output, such as ``psql``."""

    def __init__(self, running: _Running) -> None:
        self._running = running
        self._buffer = b""

    def say(self, text: str) -> None:
        """Write ``text`` and a newline; raises ToolFailed where the program is gone."""
        try:
            self._running.popen.stdin.write(text.encode("utf-8", "surrogateescape") + b"\n")
            self._running.popen.stdin.flush()
        except BrokenPipeError:
            raise self._gone() from None

    def hear(self, timeout: float | None = None) -> str | None:
        """The next line without its newline; None when ``timeout`` seconds passed; ToolFailed at the end."""
        descriptor = self._running.popen.stdout.fileno()
        until = None if timeout is None else time.monotonic() + timeout
        while b"\n" not in self._buffer:
            left = None if until is None else max(0.0, until - time.monotonic())
            if not select.select([descriptor], [], [], left)[0]:
                return None
            piece = os.read(descriptor, PIECE)
            if not piece:
                raise self._gone()
            self._buffer += piece
        line, self._buffer = self._buffer.split(b"\n", 1)
        return line.decode("utf-8", "surrogateescape")

    def error_text(self) -> str:
        """The last of what the program wrote to its error output so far."""
        return self._running.error_text()

    def _gone(self) -> ToolFailed:
        self._running.kill()
        self._running.popen.wait()
        return _failure(self._running)


class Processes:
    """Starts every program of one piece of work.

    ``inherited``: the lock descriptors that each child holds too. ``watch``: asked every half second while programs
    run; once it answers with a sentence they are ended and ToolFailed says it.
    """

    def __init__(self, inherited: Sequence[int] = (), watch: Callable[[], str | None] | None = None) -> None:
        self._inherited = tuple(inherited)
        self._watch = watch

    def watched(self, watch: Callable[[], str | None]) -> Processes:
        """The same, ended where ``watch`` says so."""
        return Processes(self._inherited, watch)

    @property
    def inherited(self) -> tuple[int, ...]:
        """The descriptors that children keep open."""
        return self._inherited

    def run(
        self,
        command: Command,
        *,
        stdin: bytes | None = None,
        timeout: float | None = None,
        check: bool = True,
    ) -> Completed:
        """Run one command to its end and return what it printed.

        Raises ToolFailed where it cannot be started, exceeds ``timeout`` seconds or, with ``check``, exits non-zero.
        """
        with self._started([command], stdin=None if stdin is not None else _NO_STDIN) as (running,):
            with supervised([running], timeout, self._watch) as supervision:
                output, _none = running.popen.communicate(input=stdin)
                supervision.raise_if_ended()
                if check and running.popen.returncode != 0:
                    raise _failure(running)
            return Completed(output.decode("utf-8", "surrogateescape"), running.error_text(), running.popen.returncode)

    def stream(
        self,
        chain: Sequence[Command],
        sink: Callable[[bytes], object],
        *,
        source: int | None = None,
        tap: Tap | None = None,
        after: Sequence[Command] = (),
        time_limit: float | None = None,
    ) -> None:
        """Run ``chain``, show what it makes to ``tap``, pass it through ``after`` and give the result to ``sink``.

        ``source``: a descriptor that feeds the first command; without any command its bytes go straight on.
        Every command is waited for. Where any fails, the one that knows the reason is named (those before it only
        see a closed pipe, those after it a stream that is cut short). Raises ToolFailed, or what ``sink`` raised.
        """
        with self._started(chain, stdin=_NO_STDIN if source is None else source) as upstream:
            with self._started(after, stdin=None) as downstream:
                with self._started(tap.chain if tap else (), stdin=None, last_output=tap and tap.output) as watching:
                    everything = [*upstream, *downstream, *watching]
                    with supervised(everything, time_limit, self._watch):
                        came_from = upstream[-1].popen.stdout.fileno() if upstream else source
                        _pass_on(came_from, upstream, tap, watching, downstream, sink)
                        _check([*upstream, *downstream])
                        _check_watchers(watching)

    def feed(self, chain: Sequence[Command], source: int, *, time_limit: float | None = None) -> bytes:
        """Run ``chain`` with ``source`` as its input; returns what the last command printed (kept in memory)."""
        pieces: list[bytes] = []
        self.stream(chain, pieces.append, source=source, time_limit=time_limit)
        return b"".join(pieces)

    def head(self, chain: Sequence[Command], source: int, size: int) -> bytes:
        """The first ``size`` bytes that ``chain`` makes of ``source``; the commands are then ended unfinished.

        Raises ToolFailed where a command fails before it has made that many.
        """
        with self._started(chain, stdin=source) as running:
            came_from = running[-1].popen.stdout.fileno() if running else source
            data = b""
            while len(data) < size:
                piece = os.read(came_from, size - len(data))
                if not piece:
                    _check(running)
                    break
                data += piece
            return data

    @contextmanager
    def converse(self, command: Command) -> Iterator[Conversation]:
        """Start ``command`` and talk to it; it is ended when the block is left."""
        with self._started([command], stdin=None) as (running,):
            yield Conversation(running)

    @contextmanager
    def _started(
        self, chain: Sequence[Command], stdin: int | None, last_output: IO[bytes] | None = None
    ) -> Iterator[list[_Running]]:
        """The commands of ``chain``, each one's output the next one's input; none of them outlives the block."""
        running: list[_Running] = []
        try:
            for position, command in enumerate(chain):
                is_last = position == len(chain) - 1
                takes = stdin if position == 0 else running[-1].popen.stdout
                gives = last_output if is_last and last_output is not None else subprocess.PIPE
                running.append(self._start(command, subprocess.PIPE if takes is None else takes, gives))
                if position > 0:
                    # Ours must be closed, or the program before it would never see that its reader is gone.
                    running[-2].popen.stdout.close()
            yield running
        finally:
            for one in running:
                if one.popen.poll() is None:
                    one.kill()
                    one.popen.wait()
                one.close()

    def _start(self, command: Command, takes: int | IO[bytes], gives: int | IO[bytes]) -> _Running:
        errors = tempfile.TemporaryFile()
        account = None if command.account is None or command.account.is_current else command.account
        home = command.account.home if command.account else os.environ.get("HOME", "/")
        environment = {"PATH": os.environ.get("PATH", os.defpath), "HOME": home, "LC_ALL": "C", "TZ": "UTC"}
        environment.update(command.environment)
        try:
            popen = subprocess.Popen(  # pylint: disable=subprocess-popen-preexec-fn
                command.argv,
                stdin=takes,
                stdout=gives,
                stderr=errors,
                env=environment,
                cwd=command.directory or "/",
                pass_fds=self._inherited + command.descriptors,
                user=account.uid if account else None,
                group=account.gid if account else None,
                extra_groups=account.groups if account else None,
                umask=0o077,
                start_new_session=True,
                preexec_fn=die_with(os.getpid()),
            )
        except (OSError, subprocess.SubprocessError) as reason:
            errors.close()
            raise ToolStopped("The program %s could not be started: %s." % (shown(command.argv[0]), reason)) from None
        for stream in (popen.stdin, popen.stdout):
            if stream is not None:
                _widen(stream.fileno())
        return _Running(command, popen, errors)


def die_with(parent: int) -> Callable[[], None]:
    """A function for the child: end it when ``parent`` ends, even by SIGKILL.

    SIGTERM rather than SIGKILL, because pg_dump then cancels its statements in the server.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def ask_the_kernel() -> None:
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os.kill(os.getpid(), signal.SIGTERM)

    return ask_the_kernel


def _widen(descriptor: int) -> None:
    """Ask for a roomier pipe, which halves the switches between processes; refused above the user's limit."""
    try:
        fcntl.fcntl(descriptor, _F_SETPIPE_SZ, PIECE)
    except OSError:
        pass


def _pass_on(
    came_from: int,
    upstream: Sequence[_Running],
    tap: Tap | None,
    watching: Sequence[_Running],
    downstream: Sequence[_Running],
    sink: Callable[[bytes], object],
) -> None:
    """Move every byte from ``came_from`` to the watchers and through ``downstream`` into ``sink``."""
    collector = _Collector(downstream[-1], sink) if downstream else None
    watcher = watching[0].popen.stdin if watching else None
    try:
        while True:
            piece = os.read(came_from, PIECE)
            if not piece:
                break
            if tap is not None:
                tap.passes(piece)
            watcher = _show(watcher, piece)
            if collector is None:
                sink(piece)
            elif _show(downstream[0].popen.stdin, piece) is None:
                break
    finally:
        if watcher is not None:
            _show_end(watcher)
        if collector is not None:
            _show_end(downstream[0].popen.stdin)
            collector.join()
    if collector is not None and collector.problem is not None:
        raise collector.problem
    if upstream:
        # A program whose reader stopped must notice, or waiting for it would never end.
        upstream[-1].popen.stdout.close()


def _show(reader: IO[bytes] | None, piece: bytes) -> IO[bytes] | None:
    """Write ``piece`` to ``reader``; None once it has stopped reading."""
    if reader is None:
        return None
    try:
        reader.write(piece)
        reader.flush()
    except BrokenPipeError:
        _show_end(reader)
        return None
    return reader


def _show_end(reader: IO[bytes]) -> None:
    try:
        reader.close()
    except BrokenPipeError:
        pass


class _Collector(threading.Thread):
    """Reads the last program's output into the sink while the main thread feeds the first one."""

    def __init__(self, last: _Running, sink: Callable[[bytes], object]) -> None:
        super().__init__(daemon=True)
        self._last = last
        self._sink = sink
        self.problem: BaseException | None = None
        self.start()

    def run(self) -> None:
        descriptor = self._last.popen.stdout.fileno()
        while True:
            piece = os.read(descriptor, PIECE)
            if not piece:
                return
            try:
                self._sink(piece)
            except OSError as reason:
                self.problem = reason
                self._last.kill()
                return


def _check(running: Sequence[_Running]) -> None:
    """Wait for all and raise for the one that failed first in the order of cause.

    A program whose reader is gone fails because of that reader; a program whose input is cut short fails because of
    what came before it. So the cause is the first that failed for another reason than a closed pipe.
    """
    failed = [one for one in running if one.popen.wait() != 0]
    causes = [one for one in failed if not one.has_lost_its_reader()]
    if failed:
        raise _failure(causes[0] if causes else failed[-1])


def _check_watchers(running: Sequence[_Running]) -> None:
    """As ``_check``, but the last may have seen enough before the end, and those before it may fail for that alone."""
    failed = [one for one in running if one.popen.wait() != 0]
    causes = [one for one in failed if one is running[-1] or not one.has_lost_its_reader()]
    if causes:
        raise _failure(causes[0])


def _failure(running: _Running) -> ToolFailed:
    status = running.popen.returncode
    how = "was ended by signal %d" % -status if status < 0 else "failed with exit status %d" % status
    said = " ".join(running.error_text().split())
    kind = ToolStopped if status < 0 else ToolFailed
    return kind("%s %s%s" % (running.command.title, how, ": %s" % said if said else "."))
