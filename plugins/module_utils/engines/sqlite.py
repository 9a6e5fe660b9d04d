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

import errno
import grp
import hashlib
import json
import os
import pwd
import secrets
import shlex
import stat
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from ..accounts import Account, account_of
from ..artifacts import ArtifactReader, ArtifactWriter, shell_decoding
from ..errors import BadInput, Damaged, NotFound, Refused, RestoreFailed, ToolFailed, shown
from ..folders import Folder
from ..forked import Parent, call_as
from ..model import Artifact, Client, EngineSettings, Fingerprint, Manifest, Marker, Server
from ..pipeline import Command, Processes
from ..workspace import workspace as fresh_workspace
from .base import Engine, Facts, Loaded, LoadOrder, SafetyTaker, Swapped, Taken, Target
from .sqlite_examine import Examination, differences, examine
from .sqlite_header import (
    HEADER,
    LEFTOVERS,
    MAGIC,
    WAL,
    FileFacts,
    check_magic,
    encoding_of,
    obstacle_to_opening,
    pad_single_page,
    page_count_of,
    page_size_of,
    read_facts,
)
from .sqlite_library import READ_WRITE, SEALED, connect, copy_now, in_words, library, make_scratch
from .sqlite_marker import read_intent, read_marker
from .sqlite_new import NewFile, check_can_be_made, check_can_be_written, clear_unfinished
from .sqlite_swap import Swap, settle

_ARTIFACT = "database.sqlite"
_COPY = "copy.sqlite"
_OLD = "old.sqlite"
_SPARE = 1 << 20
_NOBODY = 65534


@dataclass(frozen=True)
class LoadedFile(Loaded):
    """A loaded copy: the private ``folder`` that it lies in, and what it holds."""

    folder: Folder | None = None
    examination: Examination | None = None


@dataclass(frozen=True)
class _Seen:
    """What a look at the live file showed."""

    facts: FileFacts
    marker: Marker | None = None
    is_unfinished: bool = False
    obstacle: str | None = None


class SqliteEngine(Engine):
    """One SQLite file, named by its absolute path; links are followed once, here."""

    name = "sqlite"
    method = "online_copy"
    keeps_beside = False

    def __init__(self, database: str, settings: EngineSettings, processes: Processes) -> None:
        super().__init__(database, settings, processes)
        if not os.path.isabs(database) or "\0" in database:
            raise BadInput("The SQLite database %s must be named by its absolute path." % shown(database))
        self._path = os.path.realpath(database)

    # Taking

    def look(self) -> Facts:
        """See Engine.look."""
        seen = self._look()
        _refuse(seen.obstacle)
        return Facts(_server(), _client(), self.method, seen.facts.whole_size)

    def take(self, writer: ArtifactWriter, workspace: Folder) -> Taken:
        """See Engine.take; the moment of the snapshot is the first one after which no commit is in the copy."""
        seen = self._look()
        _refuse(seen.obstacle)
        _check_room(workspace, seen.facts.whole_size)
        account = self._account()
        with _private(workspace, account) as folder:
            began = time.monotonic()
            moment = self._copy_live(self._path, folder, account)
            copied = time.monotonic()
            stored = folder.open_file(_COPY)
            try:
                examination = self._examined(folder, _COPY, account, forget=True)
                if examination.problems:
                    raise ToolFailed(
                        "The database %s is damaged, so no backup was made of it; its integrity check says: %s."
                        % (shown(self.database), examination.damage)
                    )
                durations = {"copy": copied - began, "check": time.monotonic() - copied}
                return self._store(writer, stored, moment, seen.facts, examination, durations)
            finally:
                os.close(stored)

    def _copy_live(self, path: str, folder: Folder, account: Account | None) -> datetime:
        """Copy the database at ``path`` into ``folder`` as _COPY; returns the moment of the copy."""
        name = _empty_file(folder, _COPY, account)
        opened: list[Any] = []

        def prepare() -> None:
            opened.append(connect(name, READ_WRITE))

        def copy(_parent: Parent) -> str:
            with in_words(path, "copied"):
                make_scratch(opened[0])
                live = connect(path, READ_WRITE)
                try:
                    return copy_now(live, opened[0], self.settings.lock_wait).isoformat()
                finally:
                    live.close()

        return datetime.fromisoformat(call_as(account, copy, prepare=prepare, time_limit=self.settings.time_limit))

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
            server=_server(),
            client=_client(),
            method=self.method,
            logical_size=examination.size,
            fingerprint=fingerprint,
            properties=_properties(facts, examination),
            warnings=examination.remarks,
            durations={**durations, "store": time.monotonic() - began},
            restore_by_hand=(
                "%s > /var/tmp/restored.sqlite" % shell_decoding(dump),
                "sqlite3 /var/tmp/restored.sqlite 'PRAGMA integrity_check'",
                "sqlite3 %s '.restore /var/tmp/restored.sqlite'" % shlex.quote(self.database),
            ),
        )

    # Checking

    def check_structure(self, manifest: Manifest, reader: ArtifactReader, workspace: Folder) -> tuple[str, ...]:
        """See Engine.check_structure."""
        account = account_of(_NOBODY) if os.geteuid() == 0 else None
        dump = _dump_of(manifest)
        _check_room(workspace, manifest.logical_size)
        with _private(workspace, account) as folder:
            with reader.plain(dump) as (descriptor, commands):
                self._decode(commands, descriptor, folder, account)
            examination = self._examined(folder, _COPY, account)
        if examination.problems and manifest.properties.get("integrity") == "ok":
            text = "The artifact %s is damaged; its integrity check says: %s."
            raise Damaged(text % (shown(dump.name), examination.damage), dump.name)
        sentences = ["integrity_check found no damage."]
        if examination.problems:
            sentences = ["The database was damaged already when this copy of it was made: %s." % examination.damage]
        expected = _fingerprint_of(manifest, reader)
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
        if not os.path.lexists(self._path):
            self._account()
            return Target(self.database, exists=False, is_empty=False, size=0, identity=_machine())
        seen = self._look()
        unfinished = None
        if seen.is_unfinished:
            unfinished = "A restore into %s was cut off before it had noted its end." % shown(self.database)
        return Target(
            display=self.database,
            exists=True,
            is_empty=seen.facts.is_empty,
            size=seen.facts.whole_size,
            identity=_machine(),
            # The number of a deleted file is given to new ones, so the marker of an empty file is nobody's.
            marker=None if seen.facts.is_empty else seen.marker,
            changed=datetime.fromtimestamp(seen.facts.changed, timezone.utc),
            unfinished=unfinished,
        )

    def settle(self, *, force: bool) -> None:
        """See Engine.settle; the content of the file decides how an interrupted swap has ended."""
        if not os.path.lexists(self._path):
            return
        seen = self._look()
        if not seen.is_unfinished:
            return
        account = self._account()
        with fresh_workspace(self.settings.workspace) as space, _private(space, account) as folder:
            _check_room(space, seen.facts.whole_size)
            name = _empty_file(folder, _COPY, account)
            opened: list[Any] = []

            def prepare() -> None:
                opened.extend((connect(name, READ_WRITE), os.open(name, os.O_RDONLY | os.O_CLOEXEC)))

            def decide(_parent: Parent) -> bool:
                return settle(self._path, opened[0], opened[1], self.settings.lock_wait, force=force)

            is_settled = call_as(account, decide, prepare=prepare, time_limit=self.settings.time_limit)
        if not is_settled:
            raise Refused(
                "A restore into %s was cut off and its content is now neither the old nor the new one, perhaps because"
                " it was written to since; look at it, and give a new request to restore over it anyway."
                % shown(self.database)
            )

    def preflight(self, order: LoadOrder) -> tuple[str, ...]:
        """See Engine.preflight."""
        page_size, encoding, size = _expected_of(order)
        if not os.path.lexists(self._path):
            call_as(self._account(), lambda _parent: check_can_be_made(self._path, size))
            return ()
        seen = self._look()
        _refuse(seen.obstacle)
        facts = seen.facts
        _refuse_page_size(self.database, facts, page_size)
        # A WAL takes the whole new content; a journal the old one, while the file grows to the new size.
        needed = size if facts.journal_mode == WAL else facts.size + max(0, size - facts.size)
        call_as(self._account(), lambda _parent: check_can_be_written(self._path, needed))
        if encoding and facts.size and encoding != facts.encoding:
            return (
                "%s holds text as %s and the backup as %s; programs that hold it open must be restarted after the"
                " restore." % (shown(self.database), facts.encoding, encoding),
            )
        return ()

    @contextmanager
    def loaded(self, order: LoadOrder, workspace: Folder) -> Iterator[Loaded]:
        """See Engine.loaded; the copy lies in ``workspace`` and belongs to the owner of the target."""
        account = self._account()
        call_as(account, lambda _parent: clear_unfinished(self._path))
        _check_room(workspace, _expected_of(order)[2])
        with _private(workspace, account) as folder:
            began = time.monotonic()
            self._load(order, folder, account)
            loaded = time.monotonic()
            examination = self._examined(folder, _COPY, account)
            if examination.problems and not _was_damaged(order):
                raise RestoreFailed(
                    "What was loaded for %s is damaged, and the live database is as it was; the integrity check"
                    " says: %s." % (shown(self.database), examination.damage)
                )
            durations = {"load": loaded - began, "check": time.monotonic() - loaded}
            yield LoadedFile("the copy of " + shown(self.database), examination.remarks, durations, folder, examination)

    def _load(self, order: LoadOrder, folder: Folder, account: Account | None) -> None:
        if order.file is None:
            with order.reader.plain(_dump_of(order.manifest)) as (descriptor, commands):
                self._decode(commands, descriptor, folder, account)
        elif _has_more_beside(order.file.path):
            # What was committed last lies in the files beside, and only SQLite can put it in.
            self._copy_live(order.file.path, folder, _owner_account(order.file.path))
            _give(folder, _COPY, account)
        else:
            with order.file.plain() as (descriptor, commands):
                self._decode(commands, descriptor, folder, account)

    def differences(self, loaded: Loaded, expected: Fingerprint) -> tuple[str, ...]:
        """See Engine.differences."""
        return differences(_of_ours(loaded).examination, expected)

    def swap(self, loaded: Loaded, order: LoadOrder, marker: Marker, take_safety: SafetyTaker | None) -> Swapped:
        """See Engine.swap; the database is locked for as long as its content takes to be copied out and in."""
        copy = _of_ours(loaded)
        source = os.path.join(copy.folder.handle, _COPY)
        account = self._account()
        if not os.path.lexists(self._path):
            began = time.monotonic()
            new = NewFile(self._path, source, marker)
            call_as(account, new.run, prepare=new.prepare)
            return Swapped(seconds=time.monotonic() - began, warnings=_about_owner(self._path, order))
        seen = self._look()
        if not (order.replaces or seen.facts.is_empty):
            raise Refused("The file %s appeared meanwhile and was left as it is." % shown(self.database))
        _refuse_page_size(self.database, seen.facts, copy.examination.page_size)
        old = _empty_file(copy.folder, _OLD, account)
        safety: list[str] = []

        def keep(question: Mapping[str, str]) -> None:
            if take_safety is not None:
                moment = datetime.fromisoformat(question["moment"])
                safety.append(
                    take_safety(
                        lambda writer, _space: self._store_old(writer, copy.folder, account, moment, seen.facts)
                    )
                )

        work = Swap(self._path, source, old, marker, self.settings.lock_wait)
        try:
            done = call_as(account, work.run, prepare=work.prepare, answer=keep)
        finally:
            copy.folder.remove_file(_OLD)
        return Swapped(seconds=done["seconds"], safety=safety[0] if safety else None)

    def _store_old(
        self, writer: ArtifactWriter, folder: Folder, account: Account | None, moment: datetime, facts: FileFacts
    ) -> Taken:
        """Store what is about to be replaced, damaged or not: damage may be the very reason for the restore."""
        copied = folder.open_file(_OLD)
        try:
            examination = self._examined(folder, _OLD, account)
            return self._store(writer, copied, moment, facts, examination, {})
        finally:
            os.close(copied)

    # What all of these need

    def _account(self) -> Account | None:
        """Who the file belongs to, or will; None where we cannot become anybody else. Raises NotFound."""
        folder = os.path.dirname(self._path)
        if not os.path.isdir(folder):
            raise NotFound(
                "There is no directory %s on this host, where the SQLite database %s should be; make it, or name the"
                " right path." % (shown(folder), shown(self.database))
            )
        return _owner_account(self._path if os.path.exists(self._path) else folder)

    def _look(self) -> _Seen:
        """Look at the live file with its owner's rights, without opening it as a database."""
        library()
        path = self._path

        def look(_parent: Parent) -> dict[str, Any]:
            facts = read_facts(path)
            marker = read_marker(path)
            return {
                "facts": facts.to_json(),
                "marker": marker.to_json() if marker else None,
                "is_unfinished": read_intent(path) is not None,
                "obstacle": obstacle_to_opening(path, facts),
            }

        seen = call_as(self._account(), look)
        marker = Marker.from_json(seen["marker"]) if seen["marker"] else None
        return _Seen(FileFacts.from_json(seen["facts"]), marker, seen["is_unfinished"], seen["obstacle"])

    def _examined(self, folder: Folder, name: str, account: Account | None, *, forget: bool = False) -> Examination:
        """Examine a private file. ``forget``: its name goes as soon as it is open, so that a kill leaves nothing."""
        path = os.path.join(folder.handle, name)
        opened: list[Any] = []

        def prepare() -> None:
            opened.append(connect(path, SEALED))
            if forget:
                folder.remove_file(name)

        def work(_parent: Parent) -> dict[str, Any]:
            with in_words(self.database, "examined"):
                return examine(opened[0]).to_json()

        return Examination.from_json(call_as(account, work, prepare=prepare, time_limit=self.settings.time_limit))

    def _decode(self, commands: Sequence[Command], source: int, folder: Folder, account: Account | None) -> None:
        """Write the plain bytes of ``source`` into ``folder`` as _COPY and give it to ``account``."""
        descriptor = folder.create_file(_COPY)
        try:
            self.processes.stream(commands, lambda piece: _write_all(descriptor, piece), source=source)
            pad_single_page(descriptor)
        except OSError as reason:
            if reason.errno in (errno.ENOSPC, errno.EDQUOT):
                raise _no_room(folder) from None
            raise ToolFailed("Writing in %s failed: %s." % (shown(folder.path), reason.strerror)) from None
        finally:
            os.close(descriptor)
        _give(folder, _COPY, account)


def _server() -> Server:
    return Server(library().sqlite_version, _machine())


def _client() -> Client:
    return Client("python-sqlite3", library().sqlite_version)


def _machine() -> str | None:
    """A name for this machine that does not give away its machine-id (see machine-id(5)); None without one."""
    try:
        with open("/etc/machine-id", "rb") as stream:
            machine = stream.read(64).strip()
    except OSError:
        return None
    return "machine-" + hashlib.sha256(b"holdfast.db sqlite " + machine).hexdigest()[:32] if machine else None


def _owner_account(path: str) -> Account | None:
    return account_of(os.stat(path).st_uid) if os.geteuid() == 0 else None


def _refuse(obstacle: str | None) -> None:
    if obstacle is not None:
        raise Refused(obstacle)


def _refuse_page_size(database: str, facts: FileFacts, page_size: int | None) -> None:
    if facts.journal_mode == WAL and facts.size and page_size not in (None, facts.page_size):
        raise Refused(
            "%s is in WAL mode with pages of %d bytes and the backup has pages of %d, which SQLite cannot exchange;"
            " stop the application and set PRAGMA journal_mode=DELETE first, or restore under a new name and move that."
            % (shown(database), facts.page_size, page_size)
        )


def _expected_of(order: LoadOrder) -> tuple[int | None, str | None, int]:
    """(bytes a page, text encoding, bytes of the database) of what is to be loaded, as far as it is known."""
    if order.file is None:
        properties = order.manifest.properties
        return properties.get("page_size"), properties.get("encoding"), order.manifest.logical_size
    if order.file.is_directory:
        raise BadInput("%s is a directory; name an SQLite file." % shown(order.file.path))
    head = order.file.head(HEADER)
    if not head:
        raise BadInput("The file %s is empty; name an SQLite database." % shown(order.file.path))
    check_magic(head, order.file.path)
    return page_size_of(head), encoding_of(head), max(order.file.size, page_size_of(head) * page_count_of(head))


def _dump_of(manifest: Manifest) -> Artifact:
    dump = manifest.artifact("dump")
    if dump is None:
        raise Damaged("The backup %s has no artifact with a database." % shown(manifest.id))
    return dump


def _fingerprint_of(manifest: Manifest, reader: ArtifactReader) -> Fingerprint | None:
    """The fingerprint of a backup; None where there is none."""
    artifact = manifest.artifact("fingerprint")
    if artifact is None:
        return None
    try:
        return Fingerprint.from_json(json.loads(reader.text(artifact)))
    except (KeyError, TypeError, ValueError):
        raise Damaged("The artifact %s cannot be understood." % shown(artifact.name), artifact.name) from None


def _was_damaged(order: LoadOrder) -> bool:
    """Whether the backup is a safety backup of a database that was damaged already, as its manifest says."""
    return order.manifest is not None and order.manifest.properties.get("integrity", "ok") != "ok"


def _properties(facts: FileFacts, examination: Examination) -> dict[str, Any]:
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


def _about_owner(path: str, order: LoadOrder) -> tuple[str, ...]:
    """What to say about the owner and mode of a new file, where the backup's file had others."""
    if order.manifest is None:
        return ()
    status = os.stat(path)
    has = (_name_of_user(status.st_uid), _name_of_group(status.st_gid), "%04o" % stat.S_IMODE(status.st_mode))
    had = tuple(order.manifest.properties.get(word) for word in ("owner", "group", "mode"))
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


def _has_more_beside(path: str) -> bool:
    """Whether a file from elsewhere has a WAL or a journal that belongs to its content."""
    with open(path, "rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return False
    return any(os.path.exists(path + suffix) and os.path.getsize(path + suffix) for suffix in LEFTOVERS)


def _of_ours(loaded: Loaded) -> LoadedFile:
    if not isinstance(loaded, LoadedFile):
        raise TypeError("not loaded by this engine")
    return loaded


@contextmanager
def _private(workspace: Folder, account: Account | None) -> Iterator[Folder]:
    """A directory in ``workspace`` that belongs to ``account``, removed with all that is in it."""
    name = "sqlite-" + secrets.token_hex(4)
    folder = workspace.make_child(name)
    try:
        if account is not None:
            os.fchown(folder.descriptor, account.uid, account.gid)
        yield folder
    finally:
        folder.close()
        workspace.remove_tree(name)


def _empty_file(folder: Folder, name: str, account: Account | None) -> str:
    """Make the empty file ``name``, anew where there is one; returns a path for a child that has our rights."""
    folder.remove_file(name)
    os.close(folder.create_file(name))
    _give(folder, name, account)
    return os.path.join(folder.handle, name)


def _give(folder: Folder, name: str, account: Account | None) -> None:
    if account is not None:
        os.chown(name, account.uid, account.gid, dir_fd=folder.descriptor, follow_symlinks=False)


def _write_all(descriptor: int, piece: bytes) -> None:
    rest = memoryview(piece)
    while rest:
        rest = rest[os.write(descriptor, rest) :]


def _check_room(workspace: Folder, size: int) -> None:
    if workspace.free_bytes() < size + _SPARE:
        raise _no_room(workspace, size)


def _no_room(folder: Folder, size: int | None = None) -> ToolFailed:
    needed = "" if size is None else " for a copy of %d bytes" % size
    return ToolFailed(
        "There is not enough space in %s%s; free some, or set workspace to a directory that has it."
        % (shown(folder.path), needed)
    )
