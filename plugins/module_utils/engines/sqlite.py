# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The engine ``sqlite``, method ``online_copy``: one database is one file, and the server is a library.

A backup is a copy through SQLite's backup interface, taken from the live file under its writers and checked before it
counts. A restore goes through the same interface into the existing file. Every file is opened in a child process
that has the rights of the file's owner; this process only moves bytes.

The identity of the "server" is that of the machine: a host built anew has another one, while a file that was
legitimately replaced on the same host (``VACUUM INTO`` and a rename, say) keeps it. A file that was made empty on the
same host is noticed by its size and rows.
"""

from __future__ import annotations

import json
import os
import shlex
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone

from ..accounts import Account, account_of
from ..artifacts import ArtifactReader, ArtifactWriter
from ..encodings import shell_decoding
from ..errors import Damaged, Refused, RestoreFailed, ToolFailed, ToolStopped, shown
from ..folders import Folder
from ..forked import call_as
from ..model import EngineSettings, Fingerprint, Manifest, Marker
from ..pipeline import Processes
from ..workspace import DEFAULT as WORKSPACES
from ..workspace import workspace as fresh_workspace
from .base import Engine, Facts, Loaded, LoadOrder, SafetyTaker, Swapped, Taken, Target
from .sqlite_describe import about_owner, client, machine, properties, server
from .sqlite_examine import Examination, differences
from .sqlite_header import WAL, FileFacts
from .sqlite_live import LiveFile
from .sqlite_new import NewFile, check_can_be_made, check_can_be_written, clear_unfinished
from .sqlite_order import (
    dump_of,
    expected_of,
    fingerprint_of,
    has_more_beside,
    refuse_page_size,
    remarks_on,
    was_damaged,
)
from .sqlite_private import COPY, OLD, check_room, decode, empty_file, examined, give, pad, private_folder
from .sqlite_swap import Swap

_ARTIFACT = "database.sqlite"
_NOBODY = 65534


@dataclass(frozen=True)
class LoadedFile(Loaded):
    """A loaded copy: the private ``folder`` that it lies in, and what it holds."""

    folder: Folder | None = None
    examination: Examination | None = None


class SqliteEngine(Engine):
    """One SQLite file, named by its absolute path."""

    name = "sqlite"
    method = "online_copy"
    keeps_beside = False

    def __init__(self, database: str, settings: EngineSettings, processes: Processes) -> None:
        super().__init__(database, settings, processes)
        self._live = LiveFile(database, settings)

    # Taking

    def look(self) -> Facts:
        """See Engine.look."""
        seen = self._live.look()
        _refuse(seen.obstacle)
        self._check_default_room(seen.facts.whole_size)
        return Facts(server(), client(), self.method, seen.facts.whole_size)

    def take(self, writer: ArtifactWriter, workspace: Folder) -> Taken:
        """See Engine.take; the moment of the snapshot is the first one after which no commit is in the copy."""
        seen = self._live.look()
        _refuse(seen.obstacle)
        check_room(workspace, seen.facts.whole_size)
        account = self._live.account()
        with private_folder(workspace, account) as folder:
            began = time.monotonic()
            moment = self._live.copy_into(folder)
            copied = time.monotonic()
            stored = folder.open_file(COPY)
            try:
                examination = self._examined(folder, COPY, account, forget=True)
                if examination.problems:
                    raise ToolFailed(
                        "The database %s is damaged, so no backup was made of it; its integrity check says: %s."
                        % (shown(self.database), examination.damage)
                    )
                durations = {"copy": copied - began, "check": time.monotonic() - copied}
                return self._store(writer, stored, moment, seen.facts, examination, durations)
            finally:
                os.close(stored)

    def _store(
        self,
        writer: ArtifactWriter,
        copied: int,
        moment: datetime,
        facts: FileFacts,
        examination: Examination,
        durations: Mapping[str, float],
    ) -> Taken:
        began = time.monotonic()
        os.lseek(copied, 0, os.SEEK_SET)
        dump, _tap = writer.stream(_ARTIFACT, "dump", (), source=copied)
        artifacts = [dump]
        fingerprint = None
        if self.settings.fingerprint != "none":
            fingerprint = examination.fingerprint
            text = json.dumps(fingerprint.to_json()) + "\n"
            artifacts.append(writer.text("fingerprint.json", "fingerprint", text))
        return Taken(
            artifacts=tuple(artifacts),
            snapshot=moment,
            server=server(),
            client=client(),
            method=self.method,
            logical_size=examination.size,
            fingerprint=fingerprint,
            properties=properties(facts, examination),
            warnings=examination.remarks,
            durations={**durations, "store": time.monotonic() - began},
            restore_by_hand=(
                "(umask 077; %s > /var/tmp/restored.sqlite)" % shell_decoding(dump),
                "sqlite3 /var/tmp/restored.sqlite 'PRAGMA integrity_check'",
                "sqlite3 %s '.restore /var/tmp/restored.sqlite'" % shlex.quote(self.database),
                "rm /var/tmp/restored.sqlite",
            ),
        )

    # Checking

    def check_structure(self, manifest: Manifest, reader: ArtifactReader, workspace: Folder) -> tuple[str, ...]:
        """See Engine.check_structure."""
        account = account_of(_NOBODY) if os.geteuid() == 0 else None
        dump = dump_of(manifest)
        check_room(workspace, manifest.logical_size)
        with private_folder(workspace, account) as folder:
            try:
                with reader.plain(dump) as (descriptor, commands):
                    decode(self.processes, commands, descriptor, folder, account)
            except ToolStopped:
                raise
            except ToolFailed as reason:
                raise Damaged("The artifact %s is damaged: %s" % (shown(dump.name), reason), dump.name) from None
            examination = self._examined(folder, COPY, account)
        if examination.problems and manifest.properties.get("integrity") == "ok":
            text = "The artifact %s is damaged; its integrity check says: %s."
            raise Damaged(text % (shown(dump.name), examination.damage), dump.name)
        sentences = ["integrity_check found no damage."]
        if examination.problems:
            sentences = ["The database was damaged already when this copy of it was made: %s." % examination.damage]
        expected = fingerprint_of(manifest, reader)
        if expected is not None:
            found = differences(examination, expected)
            if found:
                raise Damaged(
                    "The artifact %s differs from its fingerprint: %s" % (shown(dump.name), found[0]), dump.name
                )
            sentences.append("%d tables hold the rows that they held in the snapshot." % len(expected.tables))
        return tuple(sentences)

    # Restoring

    def target(self) -> Target:
        """See Engine.target."""
        if not self._live.exists:
            self._live.account()
            return Target(self.database, exists=False, is_empty=False, size=0, identity=machine())
        seen = self._live.look()
        unfinished = None
        if seen.is_unfinished:
            unfinished = "A restore into %s was cut off before it had noted its end." % shown(self.database)
        return Target(
            display=self.database,
            exists=True,
            is_empty=seen.facts.is_empty,
            size=seen.facts.whole_size,
            identity=machine(),
            # The number of a deleted file is given to new ones, so the marker of an empty file is nobody's.
            marker=None if seen.facts.is_empty else seen.marker,
            changed=datetime.fromtimestamp(seen.facts.changed, timezone.utc),
            unfinished=unfinished,
        )

    def settle(self, *, force: bool) -> None:
        """See Engine.settle; the content of the file decides how an interrupted swap has ended."""
        if not self._live.exists:
            return
        seen = self._live.look()
        if not seen.is_unfinished:
            return
        account = self._live.account()
        with fresh_workspace(self.settings.workspace) as space, private_folder(space, account) as folder:
            check_room(space, seen.facts.whole_size)
            is_settled = self._live.settle(folder, force=force)
        if not is_settled:
            raise Refused(
                "A restore into %s was cut off and its content is now neither the old nor the new one, perhaps because"
                " it was written to since; look at it, and give a new request to restore over it anyway."
                % shown(self.database)
            )

    def preflight(self, order: LoadOrder) -> tuple[str, ...]:
        """See Engine.preflight."""
        expected = expected_of(order)
        path = self._live.path
        if not self._live.exists:
            self._check_default_room(expected.size)
            call_as(self._live.account(), lambda _parent: check_can_be_made(path, expected.size))
            return ()
        seen = self._live.look()
        _refuse(seen.obstacle)
        facts = seen.facts
        refuse_page_size(self.database, facts, expected.page_size)
        # The copy that goes in and the one of what goes out lie there at the same time.
        self._check_default_room(expected.size + facts.whole_size)
        # A WAL takes the whole new content; a journal the old one, while the file grows to the new size.
        needed = expected.size if facts.journal_mode == WAL else max(facts.size, expected.size)
        call_as(self._live.account(), lambda _parent: check_can_be_written(path, needed))
        return remarks_on(self.database, facts, expected)

    def _check_default_room(self, size: int) -> None:
        """Refuse where the workspace, which a look does not make, could not take ``size`` bytes."""
        place = self.settings.workspace or WORKSPACES
        if os.path.isdir(place):
            with Folder.open(place) as folder:
                check_room(folder, size)

    @contextmanager
    def loaded(self, order: LoadOrder, workspace: Folder) -> Iterator[Loaded]:
        """See Engine.loaded; the copy lies in ``workspace`` and belongs to the owner of the target."""
        account = self._live.account()
        call_as(account, lambda _parent: clear_unfinished(self._live.path))
        check_room(workspace, expected_of(order).size)
        with private_folder(workspace, account) as folder:
            began = time.monotonic()
            self._load(order, folder, account)
            loaded = time.monotonic()
            examination = self._examined(folder, COPY, account)
            if examination.problems and not was_damaged(order):
                raise RestoreFailed(
                    "What was loaded for %s is damaged, and the live database is as it was; the integrity check"
                    " says: %s." % (shown(self.database), examination.damage)
                )
            durations = {"load": loaded - began, "check": time.monotonic() - loaded}
            yield LoadedFile("the copy of " + shown(self.database), examination.remarks, durations, folder, examination)

    def _load(self, order: LoadOrder, folder: Folder, account: Account | None) -> None:
        if order.file is None:
            with order.reader.plain(dump_of(order.manifest)) as (descriptor, commands):
                decode(self.processes, commands, descriptor, folder, account)
        elif has_more_beside(order.file.path):
            # What was committed last lies in the files beside, and only SQLite can put it in.
            LiveFile(os.path.abspath(order.file.path), self.settings).copy_into(folder)
            give(folder, COPY, account)
        else:
            with order.file.plain() as (descriptor, commands):
                decode(self.processes, commands, descriptor, folder, account)
        pad(folder)

    def _examined(self, folder: Folder, name: str, account: Account | None, *, forget: bool = False) -> Examination:
        return examined(folder, name, account, self.database, self.settings.time_limit, forget=forget)

    def differences(self, loaded: Loaded, expected: Fingerprint) -> tuple[str, ...]:
        """See Engine.differences."""
        return differences(_of_ours(loaded).examination, expected)

    def swap(self, loaded: Loaded, order: LoadOrder, marker: Marker, take_safety: SafetyTaker | None) -> Swapped:
        """See Engine.swap; the database is locked for as long as its content takes to be copied out and in."""
        copy = _of_ours(loaded)
        source = os.path.join(copy.folder.handle, COPY)
        account = self._live.account()
        if not self._live.exists:
            began = time.monotonic()
            new = NewFile(self._live.path, source, marker)
            call_as(account, new.run, prepare=new.prepare)
            return Swapped(seconds=time.monotonic() - began, warnings=about_owner(self._live.path, order.manifest))
        seen = self._live.look()
        if not (order.replaces or seen.facts.is_empty):
            raise Refused("The file %s appeared meanwhile and was left as it is." % shown(self.database))
        refuse_page_size(self.database, seen.facts, copy.examination.page_size)
        check_room(copy.folder, seen.facts.whole_size)
        old = empty_file(copy.folder, OLD, account)
        safety: list[str] = []

        def keep(question: Mapping[str, str]) -> None:
            if take_safety is not None:
                moment = datetime.fromisoformat(question["moment"])
                safety.append(
                    take_safety(
                        lambda writer, _space: self._store_old(writer, copy.folder, account, moment, seen.facts)
                    )
                )

        work = Swap(self._live.path, source, old, marker, self.settings.lock_wait)
        try:
            done = call_as(account, work.run, prepare=work.prepare, answer=keep)
        finally:
            copy.folder.remove_file(OLD)
        return Swapped(seconds=done["seconds"], safety=safety[0] if safety else None)

    def _store_old(
        self, writer: ArtifactWriter, folder: Folder, account: Account | None, moment: datetime, facts: FileFacts
    ) -> Taken:
        """Store what is about to be replaced, damaged or not: damage may be the very reason for the restore."""
        copied = folder.open_file(OLD)
        try:
            examination = self._examined(folder, OLD, account)
            return self._store(writer, copied, moment, facts, examination, {})
        finally:
            os.close(copied)


def _refuse(obstacle: str | None) -> None:
    if obstacle is not None:
        raise Refused(obstacle)


def _of_ours(loaded: Loaded) -> LoadedFile:
    if not isinstance(loaded, LoadedFile):
        raise TypeError("not loaded by this engine")
    return loaded
