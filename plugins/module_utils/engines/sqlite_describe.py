# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What is said of an SQLite file in manifests: library, machine, properties, owner."""

from __future__ import annotations

import grp
import hashlib
import os
import pwd
import stat
from typing import Any

from ..errors import shown
from ..model import Client, Manifest, Server
from .sqlite_examine import Examination
from .sqlite_header import FileFacts
from .sqlite_library import library


def server() -> Server:
    """The library and the machine, which stand for the server here."""
    return Server(library().sqlite_version, machine())


def client() -> Client:
    """The same library: it is also what makes the copy."""
    return Client("python-sqlite3", library().sqlite_version)


def machine() -> str | None:
    """A name for this machine that does not give away its machine-id (see machine-id(5)); None without one."""
    try:
        with open("/etc/machine-id", "rb") as stream:
            machine = stream.read(64).strip()
    except OSError:
        return None
    return "machine-" + hashlib.sha256(b"holdfast.db sqlite " + machine).hexdigest()[:32] if machine else None


def properties(facts: FileFacts, examination: Examination) -> dict[str, Any]:
    """What a manifest keeps for the restore; ``integrity``: ``ok`` or the damage that a safety copy came with."""
    return {
        "integrity": examination.damage or "ok",
        "page_size": examination.page_size,
        "encoding": examination.encoding,
        "journal_mode": facts.journal_mode,
        "user_version": examination.user_version,
        "application_id": examination.application_id,
        "owner": _name_of_user(facts.uid),
        "group": _name_of_group(facts.gid),
        "mode": "%04o" % facts.mode,
        "foreign_key_violations": dict(examination.foreign_keys),
        "unknown": list(examination.unknown),
        "uncounted": list(examination.uncounted),
    }


def about_owner(path: str, manifest: Manifest | None) -> tuple[str, ...]:
    """What to say about the owner and mode of a new file, where the backup's file had others."""
    if manifest is None:
        return ()
    status = os.stat(path)
    has = (_name_of_user(status.st_uid), _name_of_group(status.st_gid), "%04o" % stat.S_IMODE(status.st_mode))
    had = tuple(manifest.properties.get(word) for word in ("owner", "group", "mode"))
    if None in had or had == has:
        return ()
    text = "%s belongs to %s:%s with mode %s, and the file that was backed up to %s:%s with mode %s."
    return (text % (shown(path), *has, *had),)


def _name_of_user(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _name_of_group(gid: int) -> str:
    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)
