# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The marker of an SQLite file, and the intent that says that a swap is under way.

Both are extended attributes of the file: they move with it, vanish with it, and a copy of the file has none. Where
the file system has no such attributes (or no room in them), they lie in ``.NAME.holdfast`` beside the file and count
only as long as the file is the same inode of the same device.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import secrets
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from ..errors import BadInput, RestoreFailed, shown
from ..model import Marker

RESTORED = "restored"
INTENT = "intent"
_ATTRIBUTE = "user.holdfast."
_NO_ATTRIBUTES = (errno.ENOTSUP, errno.ENOSPC, errno.E2BIG, errno.ERANGE, errno.EDQUOT)
_NAME_LIMIT = 200
_SIZE_LIMIT = 1 << 20


@dataclass(frozen=True)
class Intent:
    """``old`` and ``new``: the content digests before and after; ``marker``: what is to be written when it is new."""

    old: str
    new: str
    marker: Marker

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {"old": self.old, "new": self.new, "marker": self.marker.to_json()}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Intent:
        """The inverse of ``to_json``; raises KeyError or TypeError on anything else."""
        return cls(str(data["old"]), str(data["new"]), Marker.from_json(data["marker"]))


def read_marker(path: str) -> Marker | None:
    """The marker of the file at ``path``; None where there is none that can be understood."""
    data = _read(path, RESTORED)
    try:
        return None if data is None else Marker.from_json(data)
    except (AttributeError, KeyError, TypeError, ValueError, BadInput):
        return None


def read_intent(path: str) -> Intent | None:
    """The intent of a swap that did not come to its end; None where there is none.

    One that cannot be understood fits no content, so that a person has to decide.
    """
    data = _read(path, INTENT)
    try:
        return None if data is None else Intent.from_json(data)
    except (AttributeError, KeyError, TypeError, ValueError, BadInput):
        return Intent("", "", Marker(declared="", at=""))


def write_note(descriptor: int, path: str, word: str, data: Mapping[str, Any] | None) -> None:
    """Write the note ``word`` (None removes it) of the file that is open as ``descriptor``, onto the disk.

    ``descriptor``: one that was opened before SQLite opened the file and is closed after it. Raises RestoreFailed.
    """
    try:
        if _write_attribute(descriptor, word, data):
            _write_beside(descriptor, path, word, None)
        else:
            _write_beside(descriptor, path, word, data)
        os.fsync(descriptor)
    except OSError as reason:
        raise RestoreFailed(
            "The marker of the database %s could not be written as an extended attribute nor as %s: %s."
            % (shown(path), shown(hidden_name(path)), reason.strerror)
        ) from None


def hidden_name(path: str) -> str:
    """The name beside ``path`` under which what cannot be kept in the file itself is kept."""
    folder, name = os.path.split(path)
    if len(os.fsencode(name)) > _NAME_LIMIT:
        name = hashlib.sha256(os.fsencode(name)).hexdigest()
    return os.path.join(folder, ".%s.holdfast" % name)


def _read(path: str, word: str) -> Any:
    """The note as it was written, an empty text where it is no JSON, None where there is none."""
    try:
        return json.loads(os.getxattr(path, _ATTRIBUTE + word))
    except ValueError:
        return ""
    except OSError:
        return _read_beside(os.stat(path), path).get(word)


def _write_attribute(descriptor: int, word: str, data: Mapping[str, Any] | None) -> bool:
    """Whether the attribute now says what it should; False where this file system cannot keep it."""
    try:
        if data is None:
            os.removexattr(descriptor, _ATTRIBUTE + word)
        else:
            os.setxattr(descriptor, _ATTRIBUTE + word, json.dumps(data).encode("ascii"))
    except OSError as reason:
        if reason.errno == errno.ENODATA:
            return True
        if reason.errno not in _NO_ATTRIBUTES:
            raise
        if reason.errno != errno.ENOTSUP:
            # An older note must not go on to speak for the file.
            with suppress(OSError):
                os.removexattr(descriptor, _ATTRIBUTE + word)
        return False
    return True


def _read_beside(status: os.stat_result, path: str) -> dict[str, Any]:
    """The notes in the file beside; none where they are about another file or cannot be understood."""
    try:
        descriptor = os.open(hidden_name(path), os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as stream:
            notes = json.loads(stream.read(_SIZE_LIMIT))
    except (OSError, ValueError):
        return {}
    if not isinstance(notes, dict) or notes.get("of") != [status.st_dev, status.st_ino]:
        return {}
    return notes


def _write_beside(descriptor: int, path: str, word: str, data: Mapping[str, Any] | None) -> None:
    status = os.fstat(descriptor)
    notes = _read_beside(status, path)
    beside = hidden_name(path)
    notes.pop(word, None)
    if data is not None:
        notes[word] = data
    elif not set(notes) - {"of"}:
        if os.path.lexists(beside):
            os.unlink(beside)
        return
    notes["of"] = [status.st_dev, status.st_ino]
    temporary = "%s.%s" % (beside[: -len(".holdfast")], secrets.token_hex(4))
    writing = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(writing, "wb") as stream:
            stream.write(json.dumps(notes).encode("ascii"))
            stream.flush()
            os.fsync(stream.fileno())
        os.rename(temporary, beside)
    except OSError:
        os.unlink(temporary)
        raise
    sync_folder(os.path.dirname(beside))


def sync_folder(path: str) -> None:
    """Wait until the entries of the directory ``path`` are on the disk."""
    descriptor = os.open(path or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
