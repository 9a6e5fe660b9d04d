# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""``holdfast.json``: what makes a directory a repository, and how one becomes it."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import secrets
from dataclasses import dataclass
from datetime import datetime, timezone

from ..accounts import Account, account_of
from ..errors import Damaged, RepositoryError, shown
from ..folders import Folder
from ..units import format_time
from .names import SETTINGS
from .records import encode_json, read_object
from .troubles import explained

FORMAT = 1
_NOT_FOREIGN = frozenset(["lost+found"])
_LEFTOVER = re.compile(r"\.holdfast\.json\.[0-9a-f]{8}\.tmp")


@dataclass(frozen=True)
class Settings:
    """What ``holdfast.json`` says: the random id, and the user that everything here belongs to."""

    id: str
    owner: Account


def open_root(location: str) -> Folder:
    """The directory of a repository; raises RepositoryError with the way out where there is none."""
    try:
        return Folder.open(location)
    except OSError as reason:
        if reason.errno == errno.ENOENT:
            raise RepositoryError(
                "There is no directory %s; if it should be mounted, mount it, and if it is to be a new repository, "
                "make it with init: true." % shown(location)
            ) from None
        if reason.errno == errno.ENOTDIR:
            raise RepositoryError(
                "The repository %s is not a directory; name the directory that holds the backups." % shown(location)
            ) from None
        if reason.errno == errno.EACCES:
            raise RepositoryError(
                "The repository %s may not be read by user %s; run as its owner or as root."
                % (shown(location), account_of(os.geteuid()).name)
            ) from None
        raise RepositoryError("The repository %s cannot be opened: %s." % (shown(location), reason.strerror)) from None


def read_settings(root: Folder) -> Settings:
    """What makes ``root`` a repository; raises RepositoryError where it is none or is written by a later version."""
    where = shown(root.path)
    try:
        data = read_object(root, SETTINGS)
    except FileNotFoundError:
        raise RepositoryError(
            "The directory %s is not a repository, for it has no holdfast.json: if a share should be mounted there, "
            "mount it, and if it is to become a repository, make it one with init: true." % where
        ) from None
    except Damaged as reason:
        raise RepositoryError("%s Restore it from a copy; the backups beside it are untouched." % reason) from None
    except OSError as reason:
        raise RepositoryError(
            "The repository %s may not be read by user %s (%s); run as its owner or as root."
            % (where, account_of(os.geteuid()).name, reason.strerror)
        ) from None
    number = data.get("format")
    if isinstance(number, int) and number > FORMAT:
        raise RepositoryError(
            "The repository %s is written in format %d, and this version of holdfast reads format %d; use a newer one."
            % (where, number, FORMAT)
        )
    owner = data.get("owner")
    uid = owner.get("uid") if isinstance(owner, dict) else None
    if number != FORMAT or not isinstance(data.get("id"), str) or not isinstance(uid, int) or uid < 0:
        raise RepositoryError(
            "The file %s lacks format, id or owner; restore it from a copy, the backups beside it are untouched."
            % shown(os.path.join(root.path, SETTINGS))
        )
    return Settings(data["id"], account_of(uid))


def found_repository(location: str, owner: Account) -> None:
    """Make ``location`` a repository that belongs to ``owner``; nothing where it is one already.

    Only a missing or empty directory becomes one, and never its parents. Raises RepositoryError.
    """
    if os.path.lexists(os.path.join(location, SETTINGS)):
        return
    if os.geteuid() not in (0, owner.uid):
        raise RepositoryError(
            "Only root or user %s can make the repository %s for that user; run as one of them or name another owner."
            % (owner.name, shown(location))
        )
    _make_directory(location)
    with open_root(location) as root, explained("Making the repository", location):
        # Two that make it at once must not both write an id.
        fcntl.flock(root.descriptor, fcntl.LOCK_EX)
        if root.has(SETTINGS):
            return
        _refuse_foreign(root)
        if os.geteuid() == 0:
            os.fchown(root.descriptor, owner.uid, owner.gid)
        os.fchmod(root.descriptor, 0o700)
        root.remove_temporaries()
        root.owner = (owner.uid, owner.gid)
        root.write(SETTINGS, encode_json(_new_settings(owner)))


def would_found(location: str) -> bool:
    """Whether ``found_repository`` would make a repository; False where one is there. Writes nothing.

    Raises RepositoryError where it would refuse.
    """
    if os.path.lexists(os.path.join(location, SETTINGS)):
        return False
    if os.path.lexists(location):
        with open_root(location) as root:
            _refuse_foreign(root)
    elif not os.path.isdir(os.path.dirname(location.rstrip("/"))):
        raise _no_parent(location)
    return True


def _make_directory(location: str) -> None:
    try:
        os.mkdir(location, 0o700)
    except FileExistsError:
        return
    except FileNotFoundError:
        raise _no_parent(location) from None
    except OSError as reason:
        raise RepositoryError(
            "The repository %s cannot be made: %s; make the directory as root and give it to the owner."
            % (shown(location), reason.strerror)
        ) from None


def _no_parent(location: str) -> RepositoryError:
    return RepositoryError(
        "The directory %s in which the repository is to be made does not exist; make it, or mount it."
        % shown(os.path.dirname(location.rstrip("/")))
    )


def _refuse_foreign(root: Folder) -> None:
    foreign = [name for name in root.names() if name not in _NOT_FOREIGN and not _LEFTOVER.fullmatch(name)]
    if foreign:
        found = ", ".join(shown(name) for name in foreign[:3]) + (" and more" if len(foreign) > 3 else "")
        raise RepositoryError(
            "The directory %s is not empty and not a repository, it holds %s; name an empty directory."
            % (shown(root.path), found)
        )


def _new_settings(owner: Account) -> dict[str, object]:
    return {
        "format": FORMAT,
        "id": secrets.token_hex(16),
        "owner": {"uid": owner.uid, "name": owner.name},
        "created": format_time(datetime.now(timezone.utc)),
    }
