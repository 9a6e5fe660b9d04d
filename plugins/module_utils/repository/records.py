# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Small JSON files: how they are read and written, and the records that lie beside the backups.

``attempts/<id>.json`` a failed or interrupted try, ``marks/<id>.json`` pin, acknowledgement and known damage,
``drills/`` evidence, ``source.json`` the real names of a source whose folders carry encoded ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..errors import Damaged, shown
from ..folders import Folder
from ..model import ORDINARY, Source
from ..units import format_time
from .base import FAILED, INTERRUPTED, Attempt
from .names import ATTEMPTS, DRILLS, MARKS, SOURCE, is_id, time_of_id

FORMAT = 1
RECORD_LIMIT = 4 << 20
ATTEMPTS_KEPT = 100


def _no_constant(word: str) -> None:
    raise ValueError("%s is not JSON" % word)


_DECODER = json.JSONDecoder(parse_constant=_no_constant)


def encode_json(data: Mapping[str, Any]) -> bytes:
    """The stored form: keys in the order given, one space of indent, plain ASCII, a newline at the end."""
    return (json.dumps(data, indent=1, allow_nan=False) + "\n").encode("ascii")


def decode_json(raw: bytes, path: str, name: str) -> dict[str, Any]:
    """The object in ``raw``; raises Damaged where it is not one JSON object. ``path`` and ``name`` for the message."""
    try:
        data = _DECODER.decode(raw.decode("utf-8"))
    except (ValueError, RecursionError):
        raise Damaged("%s is not JSON." % shown(path), name) from None
    if not isinstance(data, dict):
        raise Damaged("%s is not a JSON object." % shown(path), name)
    return data


def parse_moment(text: object) -> datetime:
    """A moment as we write it, such as ``2026-11-20T06:30:00.250000Z``; raises ValueError for anything else."""
    if not isinstance(text, str) or text[-1:] != "Z" or len(text) not in (20, 27):
        raise ValueError("not a moment in UTC")
    return datetime.fromisoformat(text[:-1] + "+00:00")


def read_object(folder: Folder, name: str) -> dict[str, Any]:
    """The JSON object in the file ``name``; raises Damaged, or OSError as the system gives it."""
    return decode_json(folder.read(name, RECORD_LIMIT), "%s/%s" % (folder.path, name), name)


# ---- attempts ----


def attempt_to_json(attempt: Attempt, status: str) -> dict[str, Any]:
    """The stored form of a try; ``status`` is one of base.py's words."""
    return {
        "format": FORMAT,
        "id": attempt.id,
        "status": status,
        "engine": attempt.engine,
        "method": attempt.method,
        "purpose": attempt.purpose,
        "started": format_time(attempt.started, microseconds=True),
        "finished": attempt.finished and format_time(attempt.finished, microseconds=True),
        "error": attempt.error,
    }


def attempt_from_json(data: Mapping[str, Any]) -> tuple[Attempt, str]:
    """The inverse of ``attempt_to_json``; raises KeyError or ValueError on anything else."""
    words = {word: data[word] for word in ("id", "engine", "method", "purpose", "status")}
    if not all(isinstance(value, str) for value in words.values()) or not is_id(words["id"]):
        raise ValueError("not an attempt")
    if not isinstance(data["error"], (str, type(None))):
        raise ValueError("not an attempt")
    finished = data["finished"] and parse_moment(data["finished"])
    started = parse_moment(data["started"])
    attempt = Attempt(words["id"], words["engine"], words["method"], words["purpose"], started, finished, data["error"])
    return attempt, words["status"]


def unknown_attempt(backup_id: str) -> Attempt:
    """What the id alone tells of a try whose record is lost; engine and method are empty."""
    return Attempt(backup_id, "", "", ORDINARY, time_of_id(backup_id))


def write_attempt(database: Folder, attempt: Attempt, status: str) -> None:
    """Put the record of a failed or interrupted try beside the backups of ``database``; the oldest ones make room."""
    with database.make_child(ATTEMPTS, exist_ok=True) as folder:
        folder.write(attempt.id + ".json", encode_json(attempt_to_json(attempt, status)))
        recorded = [name for name in folder.names() if name.endswith(".json") and is_id(name[: -len(".json")])]
        for name in recorded[:-ATTEMPTS_KEPT]:
            folder.remove_file(name)


def read_attempts(database: Folder) -> dict[str, tuple[Attempt, str]]:
    """Every recorded try by its id; one whose record is unreadable is an interrupted one that says so."""
    found: dict[str, tuple[Attempt, str]] = {}
    for folder, name, backup_id in _records(database, ATTEMPTS):
        try:
            attempt, status = attempt_from_json(read_object(folder, name))
            if attempt.id != backup_id or status not in (FAILED, INTERRUPTED):
                raise ValueError("not a record of %s" % backup_id)
            found[backup_id] = attempt, status
        except FileNotFoundError:
            continue
        except (Damaged, KeyError, ValueError, OSError):
            found[backup_id] = unknown_attempt(backup_id), INTERRUPTED
    return found


# ---- marks ----


@dataclass(frozen=True)
class Marks:
    """What was decided or found out about a backup after it was published. ``damaged``: what a verification found."""

    pinned: bool = False
    acknowledged: bool = False
    damaged: str | None = None
    problem: str | None = None


def read_marks(database: Folder) -> dict[str, Marks]:
    """The marks by backup id. Unreadable ones count as a pin, for nothing is deleted in doubt."""
    found: dict[str, Marks] = {}
    for folder, name, backup_id in _records(database, MARKS):
        try:
            data = read_object(folder, name)
            damaged = data["damaged"]
            if not isinstance(damaged, (str, type(None))):
                raise ValueError("not a mark")
            found[backup_id] = Marks(data["pinned"] is True, data["acknowledged"] is True, damaged)
        except FileNotFoundError:
            continue
        except (Damaged, KeyError, ValueError, OSError):
            found[backup_id] = Marks(
                pinned=True,
                problem="The record of its pin, %s, is unreadable, so it counts as pinned; pin or unpin it anew."
                % shown("%s/%s" % (folder.path, name)),
            )
    return found


def write_marks(database: Folder, backup_id: str, marks: Marks) -> None:
    """Record ``marks``; where nothing is marked any more there is no record."""
    if not (marks.pinned or marks.acknowledged or marks.damaged):
        remove_record(database, MARKS, backup_id)
        return
    data = {
        "format": FORMAT,
        "backup": backup_id,
        "pinned": marks.pinned,
        "acknowledged": marks.acknowledged,
        "damaged": marks.damaged,
    }
    with database.make_child(MARKS, exist_ok=True) as folder:
        folder.write(backup_id + ".json", encode_json(data))


def has_record(database: Folder, kind: str, backup_id: str) -> bool:
    """Whether there is a record of ``kind`` (``attempts`` or ``marks``)."""
    try:
        with database.child(kind) as folder:
            return folder.has(backup_id + ".json")
    except FileNotFoundError:
        return False


def remove_record(database: Folder, kind: str, backup_id: str) -> bool:
    """Remove the record of ``kind`` (``attempts`` or ``marks``); whether there was one."""
    try:
        folder = database.child(kind)
    except FileNotFoundError:
        return False
    with folder:
        name = backup_id + ".json"
        if not folder.has(name):
            return False
        folder.remove_file(name)
        folder.sync()
        return True


# ---- evidence ----


def read_last_drills(database: Folder) -> dict[str, Mapping[str, Any]]:
    """The newest evidence of each backup; records that are not ours are passed over."""
    newest: dict[str, Mapping[str, Any]] = {}
    try:
        folder = database.child(DRILLS)
    except FileNotFoundError:
        return newest
    with folder:
        for name in folder.names():
            if name.startswith(".") or not name.endswith(".json"):
                continue
            try:
                data = read_object(folder, name)
                backup_id, finished = data["backup"], parse_moment(data["finished"])
            except (Damaged, KeyError, ValueError, OSError):
                continue
            if backup_id not in newest or parse_moment(newest[backup_id]["finished"]) < finished:
                newest[backup_id] = data
    return newest


# ---- the real names of a source ----


def write_source(database: Folder, source: Source) -> None:
    """Record the real names of ``source`` in its folder, where that is not done or no longer readable."""
    data = {"format": FORMAT, "host": source.host, "policy": source.policy, "database": source.database}
    try:
        if read_object(database, SOURCE) == data:
            return
    except (FileNotFoundError, Damaged):
        pass
    database.write(SOURCE, encode_json(data))


def _records(database: Folder, kind: str) -> Iterator[tuple[Folder, str, str]]:
    """(folder, file name, backup id) of each record of ``kind``; the folder is open while the loop runs."""
    try:
        folder = database.child(kind)
    except FileNotFoundError:
        return
    with folder:
        for name in folder.names():
            backup_id = name[: -len(".json")]
            if name.endswith(".json") and is_id(backup_id):
                yield folder, name, backup_id
