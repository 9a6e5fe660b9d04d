# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The room that a live server needs for its own work: looked at before a restore, and watched while it loads.

A copy that fills the disk of the write-ahead log stops every database of the server, so a load ends before that.
"""

from __future__ import annotations

import os
from typing import Callable

from ...errors import Refused, shown
from .context import ServerContext
from .session import Session, SqlError

FLOOR = 256 << 20
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def check_room(context: ServerContext, session: Session, needed: int) -> list[str]:
    """Refuse where the server's disk has no room for ``needed`` more bytes; a warning where that cannot be seen."""
    directories = _directories(context, session)
    if not directories:
        return ["The free space of the server cannot be seen from here; about %d MiB are needed." % (needed >> 20)]
    free = _free(directories[0])
    if free < needed + FLOOR:
        raise Refused(
            "The copy needs about %d MiB beside the live database and %s has %d MiB left, of which %d MiB stay free;"
            " make room." % (needed >> 20, shown(directories[0]), free >> 20, FLOOR >> 20)
        )
    return []


def watch_of_room(context: ServerContext, session: Session) -> Callable[[], str | None] | None:
    """What ``Processes.watched`` asks: a sentence once the floor is reached; None where nothing can be seen."""
    directories = _directories(context, session)
    if not directories:
        return None

    def watch() -> str | None:
        for directory in directories:
            if _free(directory) < FLOOR:
                return (
                    "The load was ended, because %s has less than %d MiB left, which live databases need; make room."
                    % (shown(directory), FLOOR >> 20)
                )
        return None

    return watch


def _directories(context: ServerContext, session: Session) -> list[str]:
    """The data directory, that of the write-ahead log and the tablespaces; empty where they cannot be seen."""
    if not _is_local(context):
        return []
    try:
        data = session.value("SELECT pg_catalog.current_setting('data_directory') AS directory")
        spaces = session.query(
            "SELECT pg_catalog.pg_tablespace_location(oid) AS directory FROM pg_catalog.pg_tablespace"
        )
    except SqlError:
        return []
    wanted = [data, os.path.join(data, "pg_wal"), *(row["directory"] for row in spaces if row["directory"])]
    return [directory for directory in wanted if _can_be_seen(directory)] if _can_be_seen(data) else []


def _can_be_seen(directory: str) -> bool:
    try:
        os.statvfs(directory)
    except OSError:
        return False
    return True


def _free(directory: str) -> int:
    state = os.statvfs(directory)
    return state.f_bavail * state.f_frsize


def _is_local(context: ServerContext) -> bool:
    """Whether the server runs on this host, as far as the connection tells; a service may lead anywhere."""
    host = context.access.keywords.get("host", "" if "service" in context.access.keywords else "/")
    return host.startswith("/") or host in _LOOPBACK
