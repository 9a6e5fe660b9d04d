# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The names of databases and roles that a restore makes on a server, and how they are told from the owner's own.

PostgreSQL cuts names at 63 bytes without an error worth the name, so everything here is shortened by us, with a hash.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from datetime import datetime, timezone

from ...errors import BadInput, shown

LONGEST = 63
RESTORED = "holdfast.restored"
LOADING = "holdfast.loading"
KEPT = "holdfast.kept"

_OF_A_LOAD = re.compile(r"holdfast_load_([0-9a-f]{16})_\d{8}T\d{6}Z_[0-9a-f]{6}", re.ASCII)
_KEPT = re.compile(r".+_holdfast_\d{8}T\d{6}Z", re.ASCII | re.DOTALL)


def check_length(name: str) -> None:
    """Raise BadInput for a database's name that the server would cut, for what is left may be another's."""
    size = len(_bytes(name))
    if size > LONGEST:
        raise BadInput(
            "The name %s has %d bytes, and PostgreSQL knows %d at most; it would be cut and lead to another database."
            % (shown(name), size, LONGEST)
        )


def load_name(target: str, now: datetime) -> str:
    """A fresh name for the copy that is loaded for ``target``, and for the role that loads it."""
    return "holdfast_load_%s_%s_%s" % (_hash(target), _stamp(now), secrets.token_hex(3))


def is_load_name(name: str, target: str | None = None) -> bool:
    """Whether ``name`` is one that ``load_name`` gives, for ``target`` where it is given."""
    match = _OF_A_LOAD.fullmatch(name)
    return match is not None and (target is None or match[1] == _hash(target))


def kept_name(target: str, now: datetime) -> str:
    """The name under which the old ``target`` stays beside: itself, ``_holdfast_`` and the time in UTC."""
    suffix = "_holdfast_" + _stamp(now)
    room = LONGEST - len(suffix)
    if len(target.encode("utf-8", "surrogateescape")) <= room:
        return target + suffix
    mark = "_" + _hash(target)[:8]
    kept = target.encode("utf-8", "surrogateescape")[: room - len(mark)]
    # A letter that the cut went through is left out as a whole.
    return kept.decode("utf-8", "ignore") + mark + suffix


def is_ours(name: str, settings: frozenset[str] = frozenset()) -> bool:
    """Whether a restore made the database ``name``, so that no policy's pattern may ever match it.

    ``settings``: the names of the settings that the database carries.
    """
    return is_load_name(name) or bool(settings & {LOADING, KEPT}) or _KEPT.fullmatch(name) is not None


def lock_key(target: str) -> int:
    """The number of the advisory lock that restores of ``target`` exclude each other with: 64 bits, signed."""
    return int.from_bytes(hashlib.sha256(b"holdfast restore " + _bytes(target)).digest()[:8], "big", signed=True)


def made_mark(target: str) -> str:
    """The comment that a role carries while the restore of ``target`` that made it is not finished."""
    return "holdfast: made for an unfinished restore, %s" % _hash(target)


def _hash(name: str) -> str:
    return hashlib.sha256(_bytes(name)).hexdigest()[:16]


def _bytes(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")


def _stamp(now: datetime) -> str:
    return now.astimezone(timezone.utc).strftime("%Y%m%dT%H%M%SZ")
