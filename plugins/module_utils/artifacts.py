# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Writing and reading the stored files of one backup: compress, encrypt, hash, and the way back.

A writer puts native bytes into a backup's work folder and answers with ``Artifact`` values. A reader checks those
values against what lies there and hands out the plain bytes again. Neither knows any database.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

from .accounts import Account
from .encodings import SUFFIXES, Identity, compression_commands, decoding, encodings_of, encryption_commands
from .errors import BadInput, Damaged, ToolFailed, ToolStopped, shown
from .folders import Folder
from .model import Artifact, Compression
from .pipeline import PIECE, Command, Processes, Tap

INDEX_LIMIT = 64 << 20
INDEXSUFFIXES = ".sha256"
_WORTH_COMPRESSING = 64 << 10
_NEXT_TO_NOTHING = 4 << 20
_HASHERS = 2


class _HashingFile:
    """A sink that writes to a descriptor and keeps the sum and size of what passed."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._sum = hashlib.sha256()
        self.size = 0

    def write(self, piece: bytes) -> None:
        self._sum.update(piece)
        self.size += len(piece)
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self._descriptor, rest) :]

    @property
    def sha256(self) -> str:
        return self._sum.hexdigest()


class ArtifactWriter:
    """Writes the artifacts of one backup into ``folder``.

    ``recipients``: age public keys; none means that nothing is encrypted. ``time_limit``: seconds for one stream.
    """

    def __init__(
        self,
        folder: Folder,
        processes: Processes,
        compression: Compression,
        recipients: Sequence[str] = (),
        time_limit: float | None = None,
    ) -> None:
        self.processes = processes
        self.compression = compression
        self.is_encrypted = bool(recipients)
        self._folder = folder
        self._recipients = tuple(recipients)
        self._time_limit = time_limit
        self._made: list[str] = []

    def start_over(self) -> None:
        """Remove whatever was stored so far, where the engine finds that it does not fit together."""
        for name in self._made:
            if self._folder.has(name):
                self._folder.remove_entry(name)
        self._made = []

    def stream(
        self,
        name: str,
        role: str,
        chain: Sequence[Command],
        *,
        source: int | None = None,
        tap: Sequence[Command] = (),
    ) -> tuple[Artifact, Tap | None]:
        """Store what ``chain`` writes (without a chain: the bytes of the descriptor ``source``) as ``name``.

        ``tap``: commands that are shown the plain stream while it passes, before compression and encryption; what
        they printed is in the returned Tap's ``output``. Raises ToolFailed, also where the repository's disk is
        full; what was written so far is gone then, so that the tool can be run once more.
        """
        return self._store(name, role, chain, self.compression, source=source, tap=tap)

    def text(self, name: str, role: str, content: str) -> Artifact:
        """Store a text that is already in memory; a short one is left uncompressed, for starting zstd costs more."""
        data = content.encode("utf-8", "surrogateescape")
        compression = self.compression if len(data) >= _WORTH_COMPRESSING else Compression("none")
        descriptor = os.memfd_create("holdfast-text")
        try:
            with os.fdopen(os.dup(descriptor), "wb") as stream:
                stream.write(data)
            os.lseek(descriptor, 0, os.SEEK_SET)
            return self._store(name, role, (), compression, source=descriptor)[0]
        finally:
            os.close(descriptor)

    def _store(
        self,
        name: str,
        role: str,
        chain: Sequence[Command],
        compression: Compression,
        *,
        source: int | None = None,
        tap: Sequence[Command] = (),
    ) -> tuple[Artifact, Tap | None]:
        compress, encrypt = compression_commands(compression), encryption_commands(self._recipients)
        watching = Tap(tap) if tap else None
        # With a tap the plain bytes come past us; without one they go from the tool to the compressor directly.
        before, after = ([*chain], [*compress, *encrypt]) if tap else ([*chain, *compress], encrypt)
        encoding = encodings_of(compression, self._recipients)
        stored = "".join([name, *("." + SUFFIXES[one] for one in encoding)])
        descriptor = self._folder.create_file(stored)
        self._made.append(stored)
        try:
            file = _HashingFile(descriptor)
            self.processes.stream(
                before,
                file.write,
                source=source,
                tap=watching,
                after=after,
                time_limit=self._time_limit,
            )
            os.fsync(descriptor)
        except ToolFailed:
            self._folder.remove_file(stored)
            raise
        except OSError as reason:
            raise _no_room(reason, self._folder, stored) from None
        finally:
            os.close(descriptor)
        return Artifact(stored, role, "file", file.size, file.sha256, encoding), watching

    @contextmanager
    def directory(self, name: str, role: str, account: Account | None) -> Iterator[DirectoryBeingWritten]:
        """A directory that a native tool, running as ``account``, fills by itself; never with encryption.

        When the block ends well, ``artifacts`` holds the directory and its index, which is in the format of
        ``sha256sum`` so that ``sha256sum -c`` checks it by hand. After a ToolFailed the directory is gone, so that
        the tool can be run once more.
        """
        if self.is_encrypted:
            raise BadInput("A directory cannot be encrypted while it is written; use a single stream.")
        being_written = DirectoryBeingWritten(self._folder.make_child(name), name, role)
        self._made += [name, name + INDEXSUFFIXES]
        with being_written.folder:
            if account is not None and not account.is_current:
                os.fchown(being_written.folder.descriptor, account.uid, account.gid)
            try:
                yield being_written
                being_written.take_back(self._folder)
            except ToolFailed as reason:
                is_full = "No space left on device" in str(reason) and self._folder.free_bytes() < _NEXT_TO_NOTHING
                self._folder.remove_tree(name)
                if is_full:
                    raise _no_room(OSError(errno.ENOSPC, ""), self._folder, name) from None
                raise
            except OSError as reason:
                raise _no_room(reason, self._folder, name) from None


class DirectoryBeingWritten:
    """What ``ArtifactWriter.directory`` hands out. Start the tool with ``directory=path``; it writes to ``.``."""

    def __init__(self, folder: Folder, name: str, role: str) -> None:
        self.folder = folder
        self.artifacts: tuple[Artifact, ...] = ()
        self._name = name
        self._role = role

    @property
    def path(self) -> str:
        """Where the tool starts; reachable although the directories above belong to somebody else."""
        return self.folder.handle

    def take_back(self, parent: Folder) -> None:
        """Hash, own and sync every file, write the index and make the artifacts."""
        owner = parent.owner or (os.geteuid(), os.getegid())
        names = [name for name, _status in self.folder.files()]
        with ThreadPoolExecutor(_HASHERS) as pool:
            rows = list(pool.map(lambda name: _seal(self.folder, name, owner), names))
        if os.geteuid() == 0:
            os.fchown(self.folder.descriptor, *owner)
        self.folder.sync()
        lines = ["%s  %s/%s\n" % (sha256, self._name, name) for name, _size, sha256 in rows]
        index_name = self._name + INDEXSUFFIXES
        descriptor = parent.create_file(index_name)
        with os.fdopen(descriptor, "wb") as stream:
            data = "".join(lines).encode("utf-8")
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        sum_of_index = hashlib.sha256(data).hexdigest()
        size = sum(size for _name, size, _sha256 in rows)
        self.artifacts = (
            Artifact(self._name, self._role, "directory", size, sum_of_index, index=index_name),
            Artifact(index_name, "index", "file", len(data), sum_of_index),
        )


class ArtifactReader:
    """Reads the artifacts of one published backup in ``folder``. ``identity``: needed only for encrypted ones."""

    def __init__(self, folder: Folder, processes: Processes, identity: Identity | None = None) -> None:
        self.processes = processes
        self.can_decrypt = identity is not None
        self._folder = folder
        self._identity = identity

    def check(self, artifact: Artifact) -> None:
        """Compare size and sha256 with what lies there; raises Damaged that names the artifact."""
        with ThreadPoolExecutor(_HASHERS) as pool:
            for done in [pool.submit(_check_file, self._folder, *row) for row in self._expected(artifact)]:
                done.result()

    @contextmanager
    def plain(self, artifact: Artifact) -> Iterator[tuple[int, list[Command]]]:
        """An open descriptor on the stored file and the commands that make plain bytes of it.

        Run them with ``processes.stream(commands + own, sink, source=descriptor)``.
        """
        try:
            descriptor = self._folder.open_file(artifact.name)
        except FileNotFoundError:
            raise Damaged("The artifact %s is missing." % shown(artifact.name), artifact.name) from None
        try:
            with decoding(artifact.encoding, self._identity) as commands:
                yield descriptor, commands
        finally:
            os.close(descriptor)

    def text(self, artifact: Artifact) -> str:
        """The plain text of a small artifact; raises ToolFailed where it cannot be decoded.

        Raises Damaged where it unpacks to more than 64 MiB, which no text of ours does.
        """
        pieces: list[bytes] = []

        def take(piece: bytes) -> None:
            pieces.append(piece)
            if sum(map(len, pieces)) > INDEX_LIMIT:
                raise Damaged("The artifact %s unpacks to more than it may hold." % shown(artifact.name), artifact.name)

        with self.plain(artifact) as (descriptor, commands):
            self.processes.stream(commands, take, source=descriptor)
        return b"".join(pieces).decode("utf-8", "surrogateescape")

    @contextmanager
    def directory(self, artifact: Artifact, account: Account | None, workspace: Folder) -> Iterator[Folder]:
        """The files of a directory artifact where ``account`` may read them, checked.

        In place where we are that account; otherwise copied into ``workspace`` (hashed on the way, so that what is
        loaded is what was checked), which costs the stored size once. Raises Damaged.
        """
        if account is None or account.is_current:
            self.check(artifact)
            with self._folder.child(artifact.name) as folder:
                yield folder
            return
        with workspace.make_child(artifact.name) as copy:
            os.fchown(copy.descriptor, account.uid, account.gid)
            with self._folder.child(artifact.name) as original, ThreadPoolExecutor(_HASHERS) as pool:
                rows = [row for row in self._expected(artifact) if "/" in row[0]]
                try:
                    for done in [pool.submit(_copy_checked, original, copy, row, account) for row in rows]:
                        done.result()
                except OSError as reason:
                    raise _no_copy(reason, workspace, artifact.name) from None
            yield copy

    def _expected(self, artifact: Artifact) -> Iterator[tuple[str, str, int | None]]:
        """(name, sha256, size or None) of every file that belongs to ``artifact``."""
        if artifact.kind == "file":
            yield artifact.name, artifact.sha256, artifact.size
            return
        yield artifact.index, artifact.sha256, None
        _check_file(self._folder, artifact.index, artifact.sha256, None)
        listed = set()
        for line in self._folder.read(artifact.index, INDEX_LIMIT).decode("utf-8").splitlines():
            sha256, _gap, name = line.partition("  ")
            inside = name[len(artifact.name) + 1 :]
            if not name.startswith(artifact.name + "/") or "/" in inside or inside in ("", ".", ".."):
                raise Damaged(
                    "The index %s names a file outside its directory." % shown(artifact.index), artifact.index
                )
            listed.add(inside)
            yield name, sha256, None
        with self._folder.child(artifact.name) as folder:
            strangers = set(folder.names()) - listed
        if strangers:
            stranger = os.path.join(artifact.name, min(strangers))
            raise Damaged("The file %s is not in the index of its backup." % shown(stranger), stranger)


def _no_room(reason: OSError, folder: Folder, name: str) -> ToolFailed:
    if reason.errno in (errno.ENOSPC, errno.EDQUOT):
        return ToolFailed(
            "There is no space left in %s while writing %s; free some or move the repository."
            % (shown(folder.path), shown(name))
        )
    return ToolFailed("Writing %s in %s failed: %s." % (shown(name), shown(folder.path), reason.strerror))


def _no_copy(reason: OSError, folder: Folder, name: str) -> ToolStopped:
    if reason.errno in (errno.ENOSPC, errno.EDQUOT):
        return ToolStopped(
            "There is not enough space in %s for a copy of %s; free some, or name another directory in work_path."
            % (shown(folder.path), shown(name))
        )
    return ToolStopped("Copying %s to %s failed: %s." % (shown(name), shown(folder.path), reason.strerror))


def _sum_of(descriptor: int) -> tuple[str, int]:
    """sha256 and size of what lies behind ``descriptor``, from where it stands."""
    total, size = hashlib.sha256(), 0
    while True:
        piece = os.read(descriptor, PIECE)
        if not piece:
            return total.hexdigest(), size
        total.update(piece)
        size += len(piece)


def _seal(folder: Folder, name: str, owner: tuple[int, int]) -> tuple[str, int, str]:
    """Make the tool's file ours: owner, mode, disk; returns (name, size, sha256)."""
    descriptor = folder.open_file(name)
    try:
        if os.geteuid() == 0:
            os.fchown(descriptor, *owner)
        os.fchmod(descriptor, 0o600)
        sha256, size = _sum_of(descriptor)
        os.fsync(descriptor)
        return name, size, sha256
    finally:
        os.close(descriptor)


def _check_file(folder: Folder, name: str, sha256: str, size: int | None) -> None:
    directory, _slash, inside = name.rpartition("/")
    try:
        if directory:
            with folder.child(directory) as child:
                descriptor = child.open_file(inside)
        else:
            descriptor = folder.open_file(inside)
    except FileNotFoundError:
        raise Damaged("The artifact %s is missing." % shown(name), name) from None
    try:
        found_sum, found_size = _sum_of(descriptor)
    finally:
        os.close(descriptor)
    if size is not None and found_size != size:
        raise Damaged("The artifact %s has %d bytes instead of %d." % (shown(name), found_size, size), name)
    if found_sum != sha256:
        raise Damaged("The artifact %s is damaged: its sha256 is not the one that was recorded." % shown(name), name)


def _copy_checked(original: Folder, copy: Folder, row: tuple[str, str, int | None], account: Account) -> None:
    name, sha256, _size = row
    inside = name.rpartition("/")[2]
    reading, writing = original.open_file(inside), copy.create_file(inside)
    try:
        file = _HashingFile(writing)
        while True:
            piece = os.read(reading, PIECE)
            if not piece:
                break
            file.write(piece)
        os.fchown(writing, account.uid, account.gid)
    finally:
        os.close(reading)
        os.close(writing)
    if file.sha256 != sha256:
        raise Damaged("The artifact %s is damaged: its sha256 is not the one that was recorded." % shown(name), name)
