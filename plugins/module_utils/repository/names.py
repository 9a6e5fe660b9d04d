# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Names on the disk: a host, a policy or a database as one path component, and the ids of backups."""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timezone
from urllib.parse import unquote

from ..errors import BadInput, shown

SETTINGS = "holdfast.json"
MANIFEST = "manifest.json"
ATTEMPT = "attempt.json"
SOURCE = "source.json"
LOCK = ".lock"
ATTEMPTS = "attempts"
DRILLS = "drills"
MARKS = "marks"
WORK_PREFIX = ".work-"
DELETED_PREFIX = ".del-"

_SAFE = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-")
_LONGEST = 200
_KEPT = 150
_ID = re.compile(r"[0-9]{8}T[0-9]{6}Z-[0-9a-f]{6}")
_ID_TIME = "%Y%m%dT%H%M%SZ"


def folder_name(name: str) -> str:
    """``name`` as one path component that no other name shares.

    Bytes of its UTF-8 outside ``[A-Za-z0-9._-]``, and a leading dot or dash, become ``%XX``. What would be longer
    than 200 bytes is a prefix, a ``~`` (which no shorter name holds) and a hash. Raises BadInput for text that is
    not Unicode.
    """
    try:
        raw = name.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise BadInput("The name %s holds half a character; write it in full Unicode." % shown(name)) from None
    parts = [chr(byte) if byte in _SAFE else "%%%02X" % byte for byte in raw]
    if parts and parts[0] in ".-":
        parts[0] = "%%%02X" % raw[0]
    if name == SETTINGS:
        # A host may be called so; the file of this name lies beside the hosts' folders.
        parts[0] = "%%%02X" % raw[0]
    encoded = "".join(parts)
    if len(encoded) <= _LONGEST:
        return encoded
    kept = re.sub(r"%[0-9A-F]?\Z", "", encoded[:_KEPT])
    return "%s~%s" % (kept, hashlib.sha256(raw).hexdigest()[:32])


def name_of_folder(folder: str) -> str | None:
    """The inverse of ``folder_name``; None where the name was shortened or the folder is not one of ours."""
    name = unquote(folder, encoding="utf-8", errors="surrogateescape")
    return name if name and folder_name(name) == folder else None


def new_id(now: datetime) -> str:
    """An id for a backup that starts at ``now``; ids sort by time and never collide."""
    return "%s-%s" % (now.astimezone(timezone.utc).strftime(_ID_TIME), secrets.token_hex(3))


def is_id(text: str) -> bool:
    """Whether ``text`` has the form of an id and names a moment that exists."""
    return time_of_id(text) is not None


def time_of_id(text: str) -> datetime | None:
    """The second at which the backup of this id started, None where ``text`` is no id."""
    if _ID.fullmatch(text) is None:
        return None
    try:
        # By hand: strptime is ten times slower, and every folder of a long list passes here.
        return datetime(
            int(text[0:4]), int(text[4:6]), int(text[6:8]),
            int(text[9:11]), int(text[11:13]), int(text[13:15]), tzinfo=timezone.utc,
        )  # fmt: skip
    except ValueError:
        return None


def checked_id(text: str) -> str:
    """``text``, which is then safe to be joined into a path; raises BadInput where it is no id."""
    if not is_id(text):
        raise BadInput(
            "%s is not the id of a backup; ids look like 20261120T063000Z-3f9a1c, and a list shows them." % shown(text)
        )
    return text
