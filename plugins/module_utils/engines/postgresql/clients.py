# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The client programs that are installed, and which of them fit a server.

A dump is made by the client of the server's own major version, else by the nearest newer one, never by an older
one: pg_dump refuses servers newer than itself, and an older pg_dump would not know what to look for.
"""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass

from ...accounts import Account
from ...errors import Refused, ToolFailed, shown
from ...model import Client
from ...pipeline import Command, Processes

OLDEST_SERVER = 13
_NEEDED = ("pg_dump", "pg_restore", "psql")
_PLACES = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/lib64/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
    "/home/linuxbrew/.linuxbrew/opt/postgresql@*/bin",
    "/usr/local/pgsql/bin",
)
_TRANSACTION_TIMEOUT_SINCE = 17
# Takes out of SQL by pg_restore what ``speaks_too_new`` tells of; it stands at the very beginning.
LEAVE_OUT_TOO_NEW = ("sed", "-e", "1,100{/^SET transaction_timeout = 0;$/d}")
_VERSION = re.compile(r"\(PostgreSQL\) ((\d+)(?:\.(\d+))?\S*)")


@dataclass(frozen=True)
class ClientPrograms:
    """The programs of one installed version. ``version``: as they say it, such as ``15.14``."""

    directory: str
    major: int
    minor: int
    version: str

    def path(self, tool: str) -> str:
        """Where ``tool`` lies."""
        return os.path.join(self.directory, tool)

    def client(self, tool: str) -> Client:
        """``tool`` as a manifest names it."""
        return Client(tool, self.version)


class ClientSearch:
    """The installed client programs, looked for once; asking each for its version takes longer than a connection."""

    def __init__(self, tools: str | None) -> None:
        self._tools = tools
        self._found: tuple[ClientPrograms, ...] = ()

    def found(self, processes: Processes, account: Account | None) -> tuple[ClientPrograms, ...]:
        """As ``installed_clients``."""
        if not self._found:
            self._found = installed_clients(self._tools, processes, account)
        return self._found


def installed_clients(tools: str | None, processes: Processes, account: Account | None) -> tuple[ClientPrograms, ...]:
    """Every complete set of client programs, oldest first; in ``tools`` alone where it is given.

    Raises Refused where there is none.
    """
    found: dict[tuple[int, int], ClientPrograms] = {}
    for directory in [tools] if tools is not None else _directories():
        programs = _programs_in(directory, processes, account)
        if programs is not None:
            found.setdefault((programs.major, programs.minor), programs)
    if found:
        return tuple(found[version] for version in sorted(found))
    if tools is not None:
        raise Refused("There are no usable pg_dump, pg_restore and psql in %s; correct client_path." % shown(tools))
    raise Refused(
        "PostgreSQL's client programs pg_dump, pg_restore and psql were not found on this host; install the package"
        " postgresql-client (Debian, Ubuntu) or postgresql (Fedora, RHEL), or name their directory in client_path."
    )


def fitting_client(clients: Sequence[ClientPrograms], server_version: int) -> ClientPrograms:
    """The programs to use with a server of ``server_version`` (as ``server_version_num``: 150004 is 15.4).

    Raises Refused where all are older than the server, or where the server is older than what is supported.
    """
    major = server_version // 10000
    if major < OLDEST_SERVER:
        raise Refused(
            "The server is PostgreSQL %d, and versions before %d are not supported; upgrade it first."
            % (major, OLDEST_SERVER)
        )
    candidates = [one for one in clients if one.major >= major]
    if not candidates:
        newest = clients[-1]
        raise Refused(
            "The server is PostgreSQL %d.%d, but the newest pg_dump on this host is %s (in %s), and an older client"
            " cannot back up a newer server; install the package postgresql-client-%d (Debian, Ubuntu) or postgresql%d"
            " (Fedora, RHEL)." % (major, server_version % 10000, newest.version, shown(newest.directory), major, major)
        )
    nearest = min(one.major for one in candidates)
    return max((one for one in candidates if one.major == nearest), key=lambda one: one.minor)


def speaks_too_new(major: int, server_version: int) -> bool:
    """Whether pg_restore ``major`` begins with a setting that the server does not know, and stops at that."""
    return major >= _TRANSACTION_TIMEOUT_SINCE > server_version // 10000


def _directories() -> list[str]:
    """Where client programs may lie, the versioned places before PATH; Debian's dispatching wrapper is left out."""
    places = [directory for pattern in _PLACES for directory in sorted(glob.glob(pattern))]
    for directory in os.environ.get("PATH", os.defpath).split(os.pathsep):
        program = os.path.realpath(os.path.join(directory, "pg_dump"))
        if os.path.isabs(directory) and os.path.basename(program) != "pg_wrapper":
            places.append(directory)
    return list(dict.fromkeys(places))


def _programs_in(directory: str, processes: Processes, account: Account | None) -> ClientPrograms | None:
    """The programs in ``directory`` if all are there and answer."""
    if not all(os.access(os.path.join(directory, tool), os.X_OK) for tool in _NEEDED):
        return None
    try:
        said = processes.run(Command((os.path.join(directory, "pg_dump"), "--version"), account=account), timeout=30)
    except ToolFailed:
        return None
    match = _VERSION.search(said.output)
    if match is None:
        return None
    return ClientPrograms(directory, int(match[2]), int(match[3] or 0), match[1])
