# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""`make demo` does what it tells: on a fresh clone with a fresh home, again, without PostgreSQL, and when stopped."""

from __future__ import annotations

import os
import pathlib
import pwd
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import pytest
import yaml

ROOT = pathlib.Path(__file__).parents[2]
PARTS = ("demo", "plugins", "meta", "galaxy.yml")
ORDERS = 3200 + 2 * 40
TYPED = re.compile(r"^   \$ (.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Clone:
    """A copy of the project with a home of its own, prepared as `make` prepares it, and run with our environment."""

    folder: pathlib.Path
    user: str | None = None

    @property
    def place(self) -> pathlib.Path:
        """Where the demo puts what it makes."""
        return self.folder / "clone" / ".demo"

    @property
    def shop(self) -> pathlib.Path:
        """The live database of web1."""
        return self.place / "shop.db"

    def prepare(self) -> Clone:
        """Copy the project and give everything to the user who is to run it."""
        clone = self.folder / "clone"
        for part in PARTS:
            source, copy = ROOT / part, clone / part
            if source.is_dir():
                shutil.copytree(source, copy, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(source, copy)
        link = clone / "collections" / "ansible_collections" / "holdfast" / "db"
        link.parent.mkdir(parents=True)
        link.symlink_to("../../..")
        (self.folder / "home").mkdir()
        if self.user is not None:
            for path in [self.folder, *self.folder.rglob("*")]:
                shutil.chown(path, self.user)
        return self

    def start(self, *command: str) -> subprocess.Popen[str]:
        """Run a command as somebody who has just cloned the project: no terminal, nothing to read, CI."""
        other = {} if self.user is None else {"user": self.user, "group": "nogroup", "extra_groups": ()}
        path = os.pathsep.join(
            [str(pathlib.Path(sys.executable).parent), "/usr/local/bin", "/usr/bin", "/bin", "/usr/sbin"]
        )
        return subprocess.Popen(
            command,
            cwd=self.folder / "clone",
            env={"PATH": path, "HOME": str(self.folder / "home"), "CI": "true", "LANG": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
            **other,
        )

    def run(self, *command: str) -> tuple[int, str]:
        """Exit status and output."""
        process = self.start(*command)
        output = process.communicate()[0]
        return process.returncode, output

    def count(self, table: str) -> int:
        """How many rows of a table the live SQLite database holds."""
        with closing(sqlite3.connect(self.shop)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            return connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]

    def socket(self) -> pathlib.Path:
        """The folder of the private server, as the demo's inventory names it."""
        inventory = yaml.safe_load((self.place / "inventory.yml").read_text())
        return pathlib.Path(inventory["shops"]["hosts"]["db1"]["shop_socket"])


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> tuple[Clone, str]:
    """A clone in which the demo has been shown, and what it printed."""
    clone = Clone(tmp_path_factory.mktemp("demo")).prepare()
    status, output = clone.run("demo/run")
    assert status == 0, output
    return clone, output


@pytest.fixture
def public_folder() -> Iterator[pathlib.Path]:
    """A folder that other users can reach, unlike those of pytest."""
    folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-test-demo-", dir="/tmp"))
    yield folder
    shutil.rmtree(folder)


def test_the_lost_rows_are_back_in_both_databases(told: tuple[Clone, str]) -> None:
    clone, output = told
    assert clone.count("orders") == ORDERS
    counts = [line.split() for line in output.splitlines() if line.split()[1:2] in (["orders"], ["order_lines"])]
    lines = f"{clone.count('order_lines'):,}"
    assert counts == [
        ["web1", "orders", f"{ORDERS:,}", "0", f"{ORDERS:,}"],
        ["web1", "order_lines", lines, "0", lines],
        ["db1", "orders", f"{ORDERS:,}", f"{ORDERS:,}", f"{ORDERS:,}"],
        ["db1", "order_lines", lines, "no", "table", lines],
    ]
    assert "Every value of every row is as it was before the accident." in output


def test_the_rows_make_sense_today(told: tuple[Clone, str]) -> None:
    clone, _output = told
    with closing(sqlite3.connect(clone.shop)) as connection:
        for nonsense in (
            "SELECT * FROM orders WHERE datetime(placed) > datetime('now')",
            "SELECT * FROM orders JOIN customers ON customers.id = customer_id WHERE placed < since",
            "SELECT order_id FROM order_lines JOIN orders ON orders.id = order_id GROUP BY order_id"
            " HAVING sum(quantity * price_cents) + max(shipping_cents) <> max(total_cents)",
            "SELECT * FROM orders WHERE id NOT IN (SELECT order_id FROM order_lines)",
            "SELECT * FROM orders WHERE status = 'delivered' AND datetime(placed) > datetime('now', '-1 day')",
        ):
            assert connection.execute(nonsense).fetchall() == []
        assert connection.execute("SELECT count(DISTINCT substr(placed, 1, 7)) FROM orders").fetchone()[0] > 15
        assert connection.execute("SELECT count(*) FROM best_sellers").fetchone() == (10,)


def test_each_step_shows_what_came_of_it(told: tuple[Clone, str]) -> None:
    _clone, output = told
    for method in ("online_copy", "pg_dump"):
        assert len(re.findall(rf"^     {method} +full +completed .*[sm]$", output, re.MULTILINE)) == 3
        assert len(re.findall(rf"^     {method} +full +completed .* flagged$", output, re.MULTILINE)) == 1
    for host in ("web1", "db1"):
        assert len(re.findall(rf"{host} +\S+ +flagged: It holds ", output)) == 1
        assert len(re.findall(rf"{host} +The backup \S+ was passed over: ", output)) == 1
        assert len(re.findall(rf"{host} +unchanged\. It holds backup", output)) == 1
        assert len(re.findall(rf"{host} +\S+ removed +no rule keeps it: ", output)) == 1
        assert len(re.findall(rf"{host} +\S+ stays +the last good backup; last 1 of 2", output)) == 1
    assert re.search(r"web1 +\S+ stays +a safety backup, outside retention", output)


def test_the_output_is_for_a_person(told: tuple[Clone, str]) -> None:
    clone, output = told
    assert "\x1b" not in output
    for noise in ("PLAY", "TASK", "RECAP", "WARNING", "Traceback", "{", "None"):
        assert noise not in output
    too_wide = [line for line in output.splitlines() if len(line) > 100 and str(clone.folder) not in line]
    assert [line for line in too_wide if not line.startswith("   $ ")] == []


def test_nothing_is_left_of_the_private_server(told: tuple[Clone, str]) -> None:
    clone, _output = told
    assert not clone.socket().exists()
    assert processes_that_name(clone.socket()) == []


def test_the_commands_at_the_end_work_as_they_are_printed(told: tuple[Clone, str]) -> None:
    clone, output = told
    commands = TYPED.findall(output[output.index("What to try next") :])
    assert len(commands) == 7
    with closing(sqlite3.connect(clone.shop)) as connection:
        connection.execute("DELETE FROM order_lines")
        connection.execute("DELETE FROM orders WHERE id % 2")
        connection.commit()
    status, printed = clone.run("bash", "-euxc", "\n".join(commands))
    assert status == 0, printed
    assert clone.count("orders") == ORDERS
    assert '"restore_by_hand"' in printed
    with closing(sqlite3.connect(clone.place / "by-hand.db")) as connection:
        assert connection.execute("SELECT count(*) FROM orders").fetchone() == (ORDERS - 40,)
    assert printed.count("changed: [web1]") == 3, "the forecast, the restore and the backup"


@pytest.mark.skipif(os.geteuid() != 0, reason="hiding PostgreSQL takes a mount, which only root can make")
def test_a_second_time_and_without_postgresql_it_goes_on_with_sqlite(told: tuple[Clone, str]) -> None:
    clone, _output = told
    hidden = " && ".join(
        [f"mount -t tmpfs none {folder}" for folder in pathlib.Path("/usr/lib").glob("postgresql")] + ["exec demo/run"]
    )
    status, output = clone.run("unshare", "--mount", "sh", "-c", hidden)
    assert status == 0, output
    assert "PostgreSQL is left out: PostgreSQL's server is not installed." in output
    assert "db1" not in output
    assert clone.count("orders") == ORDERS


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user; as that user, all tests here do it")
def test_an_ordinary_user_needs_no_other_account(public_folder: pathlib.Path) -> None:
    user = "nobody"
    clone = Clone(public_folder, user).prepare()
    status, output = clone.run("demo/run")
    assert status == 0, output
    assert "PostgreSQL is left out" not in output
    assert clone.count("orders") == ORDERS
    assert clone.shop.stat().st_uid == pwd.getpwnam(user).pw_uid


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_stopped_in_the_middle_it_takes_its_server_along(told: tuple[Clone, str], number: signal.Signals) -> None:
    clone, _output = told
    process = started_until_backups(clone)
    socket = clone.socket()
    assert processes_that_name(socket) != []
    if number == signal.SIGINT:
        os.killpg(process.pid, number)  # as a terminal does: ansible-playbook hears it too
    else:
        process.send_signal(number)
    rest = process.communicate(timeout=60)[0]
    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number)
    assert "Traceback" not in rest
    assert eventually(lambda: processes_that_name(socket) == [])
    assert number == signal.SIGKILL or not socket.exists()
    shutil.rmtree(socket, ignore_errors=True)


def test_a_second_demo_at_the_same_time_is_refused(told: tuple[Clone, str]) -> None:
    clone, _output = told
    first = started_until_backups(clone)
    status, output = clone.run("demo/run")
    first.terminate()
    first.communicate(timeout=60)
    assert status == 1
    assert "Another demo is running in this checkout; wait for its end." in output


def test_whoever_stops_reading_gets_no_traceback(told: tuple[Clone, str]) -> None:
    clone, _output = told
    status, output = clone.run("bash", "-c", "demo/run | head -n 3; exit ${PIPESTATUS[0]}")
    assert status == 128 + signal.SIGPIPE
    assert "Traceback" not in output
    assert "Exception" not in output


def started_until_backups(clone: Clone) -> subprocess.Popen[str]:
    """A demo that has its databases and is about to back them up."""
    process = clone.start("demo/run")
    for line in process.stdout:
        if line.startswith("2."):
            return process
    raise AssertionError("the demo ended early")


def eventually(holds: Callable[[], bool]) -> bool:
    """Whether it becomes true within ten seconds."""
    deadline = time.monotonic() + 10
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.05)
    return True


def processes_that_name(path: pathlib.Path) -> list[str]:
    """The command lines of running processes in which the path occurs."""
    found = []
    for file in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            command = file.read_bytes()
        except OSError:  # it has ended in the meantime
            continue
        if str(path).encode() in command:
            found.append(command.decode(errors="replace"))
    return found
