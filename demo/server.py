# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A private PostgreSQL server: a temporary folder, a socket in it, no network, and nothing left afterwards."""

from __future__ import annotations

import ctypes
import glob
import os
import pathlib
import pwd
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import BinaryIO

SUPERUSER = "postgres"
_PLACES = ("/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin")
_NEEDED = ("initdb", "postgres", "psql", "pg_dump", "pg_restore")
_START_LIMIT = 20.0
_SET_PDEATHSIG = 1  # prctl(2)


class NoServerError(Exception):
    """Why there is no PostgreSQL here, as the end of a sentence."""


@dataclass(frozen=True)
class Server:
    """A running server. ``socket``: the folder of its socket. ``account``: who owns it, None for ourselves."""

    programs: pathlib.Path
    socket: pathlib.Path
    account: str | None

    def run_sql(self, database: str, sql: str, *, user: str = SUPERUSER) -> str:
        """What psql prints for ``sql``, rows as lines and columns parted by ``|``; the first error ends it."""
        command = [self.programs / "psql", "-XqAtw", "-v", "ON_ERROR_STOP=1", "-h", self.socket, "-U", user, database]
        done = subprocess.run(
            command,
            input=sql,
            capture_output=True,
            text=True,
            check=False,
            cwd=self.socket,
            env=_environment(),
            **_identity(self.account),
        )
        if done.returncode != 0:
            raise RuntimeError(f"psql refused what the demo asked of it: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def private_server(log: pathlib.Path) -> Iterator[Server]:
    """A fresh server, stopped and removed when the block is left for whatever reason; ``log``: where its log goes.

    Raises NoServerError where there is none to be had.
    """
    programs, account = _installed_programs(), _account()
    folder = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-demo-", dir="/tmp"))  # a socket's path must be short
    try:
        if account is not None:
            shutil.chown(folder, account, account)
        with log.open("wb") as output:
            _make_cluster(programs, folder, account, output)
            process = _start(programs, folder, account, output)
            try:
                server = Server(programs, folder, account)
                _wait(server, process, log)
                yield server
            finally:
                _stop(process)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _installed_programs() -> pathlib.Path:
    """The folder of the newest complete installation: server and clients of one version."""
    found = [pathlib.Path(folder) for pattern in _PLACES for folder in glob.glob(pattern)]
    found.sort(key=lambda folder: [int(number) for number in re.findall(r"\d+", str(folder))])
    initdb = shutil.which("initdb")
    if initdb is not None:
        found.insert(0, pathlib.Path(initdb).resolve().parent)
    complete = [folder for folder in found if all(os.access(folder / name, os.X_OK) for name in _NEEDED)]
    if not complete:
        raise NoServerError("PostgreSQL's server is not installed")
    return complete[-1]


def _account() -> str | None:
    """Who runs the server: it refuses root, so that root needs the system's own user for it."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam("postgres").pw_name
    except KeyError:
        raise NoServerError("PostgreSQL never runs as root, and there is no user postgres to run it as") from None


def _make_cluster(programs: pathlib.Path, folder: pathlib.Path, account: str | None, output: BinaryIO) -> None:
    command = [programs / "initdb", "-D", folder / "data", "-U", SUPERUSER, "-A", "trust", "-E", "UTF8"]
    command += ["--locale=C.UTF-8" if os.path.exists("/usr/lib/locale/C.utf8") else "--locale=C", "--no-sync"]
    done = subprocess.run(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        check=False,
        cwd=folder,
        env=_environment(),
        **_identity(account),
    )
    if done.returncode != 0:
        raise NoServerError(f"initdb ended with status {done.returncode}, see {output.name}")


def _start(programs: pathlib.Path, folder: pathlib.Path, account: str | None, output: BinaryIO) -> subprocess.Popen:
    """The server as our own child, which the kernel stops too should we be killed outright."""
    settings = {
        "listen_addresses": "",
        "unix_socket_directories": str(folder),
        "dynamic_shared_memory_type": "mmap",
        "fsync": "off",
    }
    command = [programs / "postgres", "-D", folder / "data"]
    for name, value in settings.items():
        command += ["-c", f"{name}={value}"]
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=output,
        cwd=folder,
        env=_environment(),
        start_new_session=True,  # Ctrl-C is for us; we stop the server when nothing uses it any more
        preexec_fn=(lambda: prctl(_SET_PDEATHSIG, signal.SIGINT)) if prctl else None,
        **_identity(account),
    )


def _wait(server: Server, process: subprocess.Popen, log: pathlib.Path) -> None:
    deadline = time.monotonic() + _START_LIMIT
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise NoServerError(f"the private server ended with status {process.returncode}, see {log}")
        try:
            server.run_sql("postgres", "SELECT 1")
        except RuntimeError:
            time.sleep(0.05)
        else:
            return
    raise NoServerError(f"the private server did not answer within {_START_LIMIT:.0f} s, see {log}")


def _stop(process: subprocess.Popen) -> None:
    """A fast shutdown; a server that does not follow is ended."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _identity(account: str | None) -> dict[str, object]:
    """The arguments of ``subprocess`` that make a program run as ``account``."""
    return {} if account is None else {"user": account, "group": account, "extra_groups": ()}


def _environment() -> dict[str, str]:
    """Ours without what would send PostgreSQL's programs to another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("PG")} | {"LC_ALL": "C"}
