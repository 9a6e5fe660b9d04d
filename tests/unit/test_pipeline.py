# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Chains of real processes: nothing that fails goes unnoticed, and nothing outlives its parent."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import subprocess
import sys
import tempfile
import textwrap
import time
from pathlib import Path

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import ToolFailed
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Command, Processes, Tap
from ansible_collections.holdfast.db.plugins.module_utils.secret_files import SecretFile

CHECKOUT_ON_PATH = os.pathsep.join(entry for entry in sys.path if entry)


def sh(script: str, **more: object) -> Command:
    return Command(("sh", "-c", script), **more)


def collected(chain: list[Command], **options: object) -> bytes:
    pieces: list[bytes] = []
    Processes().stream(chain, pieces.append, **options)
    return b"".join(pieces)


def input_of(content: bytes) -> int:
    file = tempfile.TemporaryFile()
    file.write(content)
    file.seek(0)
    return os.dup(file.fileno())


def test_bytes_pass_through_every_stage_in_order() -> None:
    result = collected(
        [sh("cat; echo one"), sh("cat; echo two")], source=input_of(b"zero\n"), after=[sh("cat; echo three")]
    )
    assert result == b"zero\none\ntwo\nthree\n"


@pytest.mark.parametrize("position", [0, 1, 2])
def test_a_failure_anywhere_in_the_chain_fails_the_whole(position: int) -> None:
    chain = [sh("echo data"), sh("cat"), sh("cat")]
    chain[position] = sh("cat; echo broken pipe fitting >&2; exit 3")
    with pytest.raises(ToolFailed, match="sh failed with exit status 3: broken pipe fitting"):
        collected(chain)


def test_a_first_stage_that_writes_all_and_then_fails_is_a_failure() -> None:
    with pytest.raises(ToolFailed, match="exit status 1"):
        collected([sh("seq 1000; exit 1"), Command(("zstd", "-q", "-c"))])


def test_a_stage_that_fails_because_its_input_was_cut_short_is_not_the_one_named() -> None:
    with pytest.raises(ToolFailed, match="exit status 5: the server went away"):
        collected([sh("echo half; echo the server went away >&2; exit 5"), sh("cat; echo truncated >&2; exit 1")])


def test_a_stage_whose_reader_is_gone_is_not_the_one_named() -> None:
    with pytest.raises(ToolFailed, match="exit status 7: no room"):
        collected([Command(("yes",)), sh("head -c 10 >/dev/null; echo no room >&2; exit 7")])


def test_a_stage_after_the_tap_that_stops_early_is_a_failure() -> None:
    with pytest.raises(ToolFailed, match="exit status 9"):
        collected([sh("head -c 10000000 /dev/zero")], after=[sh("head -c 10 >/dev/null; exit 9")])


def test_a_stage_killed_by_a_signal_is_a_failure() -> None:
    with pytest.raises(ToolFailed, match="ended by signal 9"):
        collected([sh("kill -9 $$")])


def test_a_missing_program_is_one_sentence() -> None:
    with pytest.raises(ToolFailed, match='program "no-such-tool" could not be started'):
        collected([Command(("no-such-tool",))])


def test_the_tap_may_stop_reading_without_disturbing_the_stream() -> None:
    tap = Tap([sh("head -c 5")])
    result = collected([sh("head -c 5000000 /dev/zero | tr '\\0' x")], tap=tap)
    tap.output.seek(0)
    assert tap.output.read() == b"xxxxx"
    assert len(result) == 5_000_000


def test_a_tap_that_rejects_what_it_sees_fails_the_stream() -> None:
    with pytest.raises(ToolFailed, match="not an archive"):
        collected([sh("echo garbage")], tap=Tap([sh("cat >/dev/null; echo not an archive >&2; exit 1")]))


def test_a_sink_without_room_ends_every_process_and_keeps_its_reason() -> None:
    def sink(_piece: bytes) -> None:
        raise OSError(28, "No space left on device")

    for after in ([], [sh("cat")]):
        with pytest.raises(OSError, match="No space left"):
            Processes().stream([Command(("yes",))], sink, after=after)


def test_a_time_limit_ends_the_chain_and_says_so() -> None:
    with pytest.raises(ToolFailed, match=r"longer than the limit of 0.2 s"):
        collected([Command(("sleep", "60")), sh("cat")], time_limit=0.2)


def test_a_single_command_has_a_time_limit_too() -> None:
    with pytest.raises(ToolFailed, match=r"sleep took longer than the limit of 0.2 s"):
        Processes().run(Command(("sleep", "60")), timeout=0.2)


def test_a_watch_ends_the_chain_with_its_own_sentence(tmp_path: Path) -> None:
    alarm = tmp_path / "alarm"

    def watch() -> str | None:
        return "The disk is filling up." if alarm.exists() else None

    watched = Processes().watched(watch)
    assert watched.run(Command(("echo", "calm"))).output == "calm\n"
    with pytest.raises(ToolFailed, match=r"The disk is filling up\."):
        watched.stream([sh("touch %s; sleep 60" % alarm), sh("cat")], lambda _piece: None)
    with pytest.raises(ToolFailed, match=r"The disk is filling up\."):
        watched.run(Command(("sleep", "60")))


def test_secrets_are_blacked_out_of_error_output() -> None:
    with pytest.raises(ToolFailed) as caught:
        Processes().run(sh("echo password is hunter2 >&2; exit 1", secrets=("hunter2",)))
    assert "hunter2" not in str(caught.value)
    assert "********" in str(caught.value)


def test_a_secret_file_is_read_by_the_child_and_by_nobody_else_on_disk() -> None:
    secret = SecretFile("s3cret", None)
    done = Processes().run(sh("cat %s; stat -Lc %%a %s" % (secret.path, secret.path), descriptors=(secret.descriptor,)))
    secret.close()
    assert done.output == "s3cret600\n"


def test_children_see_no_variable_of_ours_but_what_they_are_given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PGPASSWORD", "from outside")
    seen = Processes().run(Command(("env",), environment={"GIVEN": "yes"})).output
    assert "PGPASSWORD" not in seen
    assert "GIVEN=yes" in seen


def test_a_conversation_answers_line_by_line_and_notices_the_end() -> None:
    with Processes().converse(sh("while read line; do echo got $line; [ $line = stop ] && exit 4; done")) as talk:
        talk.say("hello")
        assert talk.hear(5) == "got hello"
        assert talk.hear(0.05) is None
        talk.say("stop")
        assert talk.hear(5) == "got stop"
        with pytest.raises(ToolFailed, match="exit status 4"):
            talk.hear(5)


def test_the_lock_stays_held_while_any_child_lives(tmp_path: Path) -> None:
    lock = os.open(tmp_path / "lock", os.O_CREAT | os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    # The grandchild leaves its parent's death behind, as the workers of a parallel dump do.
    Processes((lock,)).run(sh("setsid sleep 1.5 >/dev/null 2>&1 </dev/null &"))
    os.close(lock)
    again = os.open(tmp_path / "lock", os.O_RDWR)
    with pytest.raises(BlockingIOError):
        fcntl.flock(again, fcntl.LOCK_EX | fcntl.LOCK_NB)
    fcntl.flock(again, fcntl.LOCK_EX)
    os.close(again)


def test_killing_the_parent_ends_the_children() -> None:
    sleep = "sleep 61.%d" % os.getpid()
    script = """
        import sys
        sys.path[:0] = %r
        from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Command, Processes
        Processes().stream([Command(tuple(%r.split())), Command(("cat",))], print)
    """
    parent = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script) % (CHECKOUT_ON_PATH.split(os.pathsep), sleep)]
    )
    assert _soon(lambda: _running(sleep))
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    assert _soon(lambda: not _running(sleep))


def test_a_large_stream_leaves_our_memory_flat() -> None:
    size = 400 << 20
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    seen = [0]

    def count(piece: bytes) -> None:
        seen[0] += len(piece)

    Processes().stream([Command(("head", "-c", str(size), "/dev/zero"))], count, after=[Command(("cat",))])
    assert seen[0] == size
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 16 << 10


def _running(command: str) -> bool:
    return subprocess.run(["pgrep", "-f", "^" + command], capture_output=True, check=False).returncode == 0


def _soon(is_true, seconds: float = 5.0) -> bool:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if is_true():
            return True
        time.sleep(0.02)
    return False
