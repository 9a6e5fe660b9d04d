# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A live SQLite file, touched only by children that have the rights of its owner."""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..accounts import Account, account_of
from ..errors import BadInput, NotFound, Refused, shown
from ..folders import Folder
from ..forked import Parent, call_as
from ..model import EngineSettings, Marker
from .sqlite_header import FileFacts, obstacle_to_opening, read_facts
from .sqlite_library import READ_WRITE, connect, copy_now, in_words, library, make_scratch
from .sqlite_marker import read_intent, read_marker
from .sqlite_private import COPY, empty_file
from .sqlite_swap import settle

_LINKS = 40  # as many as Linux follows


@dataclass(frozen=True)
class Seen:
    """What a look showed. ``obstacle``: a sentence where the owner could read the file but not open the database."""

    facts: FileFacts
    marker: Marker | None
    is_unfinished: bool
    obstacle: str | None


class LiveFile:
    """The file at ``database``, an absolute path; links are followed once, here.

    ``path``: where it really is. Raises BadInput for a path that cannot be meant.
    """

    def __init__(self, database: str, settings: EngineSettings) -> None:
        if not os.path.isabs(database) or "\0" in database:
            raise BadInput("The SQLite database %s must be named by its absolute path." % shown(database))
        plain = os.path.normpath(database)
        if plain != database:
            raise BadInput(
                "The SQLite database %s has a shorter name, %s; write that, for its backups are filed under its name."
                % (shown(database), shown(plain))
            )
        self.database = database
        self.path = os.path.realpath(database)
        self._settings = settings

    @property
    def exists(self) -> bool:
        """Whether anything lies there."""
        return os.path.lexists(self.path)

    def account(self) -> Account | None:
        """Who the file belongs to, or will; None where we cannot become anybody else.

        Raises NotFound where there is no directory for it, Refused where a link was laid by somebody else.
        """
        folder = os.path.dirname(self.path)
        if not os.path.isdir(folder):
            raise NotFound(
                "There is no directory %s that this user may enter, where the SQLite database %s would be;"
                " make it, or name the right path." % (shown(folder), shown(self.database))
            )
        owner = os.lstat(self.path if self.exists else folder).st_uid
        if os.geteuid() != 0:
            return None
        _check_links(self.database, owner)
        _check_folders(self.path, owner)
        return account_of(owner)

    def look(self) -> Seen:
        """Look without opening the database; writes nothing. Raises NotFound, BadInput."""
        library()
        seen = call_as(self.account(), lambda _parent: _look(self.path))
        marker = Marker.from_json(seen["marker"]) if seen["marker"] else None
        return Seen(FileFacts.from_json(seen["facts"]), marker, seen["is_unfinished"], seen["obstacle"])

    def copy_into(self, folder: Folder) -> datetime:
        """Copy the database into ``folder`` as COPY, which then belongs to the owner of the file.

        Returns a moment after which nothing in the copy was committed. Raises Busy, ToolFailed.
        """
        account = self.account()
        name = empty_file(folder, COPY, account)
        opened: list[Any] = []

        def prepare() -> None:
            opened.append(connect(name, READ_WRITE))

        def copy(_parent: Parent) -> str:
            with in_words(self.database, "copied"):
                make_scratch(opened[0])
                live = connect(self.path, READ_WRITE)
                try:
                    return copy_now(live, opened[0], self._settings.lock_wait).isoformat()
                finally:
                    live.close()

        moment = call_as(account, copy, prepare=prepare, time_limit=self._settings.time_limit)
        return datetime.fromisoformat(moment)

    def settle(self, folder: Folder, *, force: bool) -> bool:
        """Bring an interrupted swap to one of its ends, working in ``folder``; see ``sqlite_swap.settle``."""
        account = self.account()
        name = empty_file(folder, COPY, account)
        opened: list[Any] = []

        def prepare() -> None:
            opened.extend((connect(name, READ_WRITE), os.open(name, os.O_RDONLY | os.O_CLOEXEC)))

        def decide(_parent: Parent) -> bool:
            return settle(self.path, opened[0], opened[1], self._settings.lock_wait, force=force)

        return call_as(account, decide, prepare=prepare, time_limit=self._settings.time_limit)


def _look(path: str) -> dict[str, Any]:
    facts = read_facts(path)
    marker = read_marker(path)
    return {
        "facts": facts.to_json(),
        "marker": marker.to_json() if marker else None,
        "is_unfinished": read_intent(path) is not None,
        "obstacle": obstacle_to_opening(path, facts),
    }


def _check_folders(path: str, owner: int) -> None:
    """Refuse a file in a directory of somebody who is neither root nor the file's owner.

    Whoever owns a directory may put another user's file in the place of this one between two of our looks, and root
    would work in it with that user's rights. ``path``: without links.
    """
    folder = os.path.dirname(path)
    while folder != "/":
        status = os.lstat(folder)
        if not stat.S_ISDIR(status.st_mode) or status.st_uid not in (0, owner):
            raise Refused(
                "The directory %s, in which %s lies, belongs to user %s and the file to user %s; run the task as the"
                " file's owner (become_user), or give the directory to that user or to root."
                % (shown(folder), shown(path), account_of(status.st_uid).name, account_of(owner).name)
            )
        folder = os.path.dirname(folder)


def _check_links(path: str, owner: int) -> None:
    """Refuse a way to the file over a link that neither root nor the file's owner has laid.

    Root works with the rights of the file's owner, so whoever lays a link would choose in whose files it works.
    """
    done, ahead, links = "/", path.split("/"), 0
    while ahead and links <= _LINKS:
        part = ahead.pop(0)
        here = os.path.dirname(done) if part == ".." else os.path.normpath(os.path.join(done, part))
        if not os.path.islink(here):
            done = here
            continue
        if os.lstat(here).st_uid not in (0, owner):
            raise Refused(
                "On the way to %s, the link %s belongs neither to root nor to the owner of the file it leads to; name"
                " the file itself." % (shown(path), shown(here))
            )
        links += 1
        leads_to = os.readlink(here)
        done = "/" if leads_to.startswith("/") else done
        ahead = leads_to.split("/") + ahead
