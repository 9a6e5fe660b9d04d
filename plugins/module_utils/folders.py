# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Directories that are worked in through a descriptor, so that no link and no rename can lead elsewhere."""

from __future__ import annotations

import errno
import os
import re
import secrets
import stat
from collections.abc import Iterator

from .errors import Damaged, RepositoryError, shown

_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8}\.tmp", re.DOTALL)
_CREATE = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Folder:
    """An open directory. ``path`` is for messages only; all work goes through the descriptor.

    ``owner``: the (uid, gid) that everything made here is given to, None to leave it ours. Files are made 0600 and
    directories 0700. Functions raise OSError as the system gives it, save where they say otherwise.
    """

    def __init__(self, descriptor: int, path: str, owner: tuple[int, int] | None) -> None:
        self.descriptor = descriptor
        self.path = path
        self.owner = owner

    @classmethod
    def open(cls, path: str, owner: tuple[int, int] | None = None) -> Folder:
        """The directory at ``path``; links on the way are followed, for this is the user's own word."""
        return cls(os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), path, owner)

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.descriptor)

    def __enter__(self) -> Folder:
        return self

    def __exit__(self, *_reason: object) -> None:
        self.close()

    @property
    def handle(self) -> str:
        """A path that works for children that inherit the descriptor, whatever the rights of the parents are."""
        return "/proc/self/fd/%d" % self.descriptor

    def child(self, name: str) -> Folder:
        """The directory ``name`` inside this one; never a link."""
        return Folder(os.open(name, _DIRECTORY, dir_fd=self.descriptor), os.path.join(self.path, name), self.owner)

    def make_child(self, name: str, *, exist_ok: bool = False) -> Folder:
        """Make the directory ``name``, with ``exist_ok`` unless it is there, and open it.

        One that root made and had no time to give away, because it was killed in between, is given away now.
        """
        try:
            os.mkdir(name, 0o700, dir_fd=self.descriptor)
        except FileExistsError:
            if not exist_ok:
                raise
        else:
            self.sync()
        child = self.child(name)
        self.give(child.descriptor)
        return child

    def names(self) -> list[str]:
        """The names of all entries, sorted."""
        return sorted(os.listdir(self.descriptor))

    def has(self, name: str) -> bool:
        """Whether there is an entry of this name, a dangling link included."""
        try:
            os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)
        except FileNotFoundError:
            return False
        return True

    def is_directory(self, name: str) -> bool:
        """Whether ``name`` is a directory, which a link to one is not."""
        try:
            return stat.S_ISDIR(self.stat(name).st_mode)
        except FileNotFoundError:
            return False

    def stat(self, name: str) -> os.stat_result:
        """The status of ``name`` itself, not of what it may link to."""
        return os.stat(name, dir_fd=self.descriptor, follow_symlinks=False)

    def open_file(self, name: str, *, writable: bool = False) -> int:
        """A descriptor on an existing regular file; Damaged where it is something else, such as a link or a pipe."""
        try:
            flags = (_READ & ~os.O_RDONLY) | os.O_RDWR if writable else _READ
            descriptor = os.open(name, flags | os.O_NONBLOCK, dir_fd=self.descriptor)
        except OSError as reason:
            if reason.errno == errno.ELOOP:
                raise Damaged("%s is a link, and nothing here may be one." % self._shown(name), name) from None
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise Damaged("%s is not a regular file." % self._shown(name), name)
        return descriptor

    def create_file(self, name: str) -> int:
        """A descriptor on the new file ``name``; FileExistsError where there is one."""
        descriptor = os.open(name, _CREATE, 0o600, dir_fd=self.descriptor)
        self.give(descriptor)
        return descriptor

    def read(self, name: str, limit: int) -> bytes:
        """The whole of a small file; Damaged where it is larger than ``limit`` bytes."""
        descriptor = self.open_file(name)
        try:
            data = os.read(descriptor, min(os.fstat(descriptor).st_size, limit) + 1)
            while len(data) <= limit:
                more = os.read(descriptor, limit + 1 - len(data))
                if not more:
                    return data
                data += more
        finally:
            os.close(descriptor)
        raise Damaged("%s is larger than the %d bytes that it may have." % (self._shown(name), limit), name)

    def write(self, name: str, data: bytes) -> None:
        """Put ``data`` into the file ``name`` at once or not at all, and onto the disk."""
        temporary = ".%s.%s.tmp" % (name, secrets.token_hex(4))
        descriptor = self.create_file(temporary)
        try:
            with os.fdopen(descriptor, "wb") as stream:
                stream.write(data)
                stream.flush()
                os.fsync(stream.fileno())
            self.rename(temporary, name)
        except OSError:
            self.remove_file(temporary)
            raise
        self.sync()

    def remove_temporaries(self) -> None:
        """Remove what a killed ``write`` left behind."""
        for name in self.names():
            if _TEMPORARY.fullmatch(name):
                self.remove_file(name)

    def rename(self, old: str, new: str) -> None:
        """Rename inside this directory."""
        os.rename(old, new, src_dir_fd=self.descriptor, dst_dir_fd=self.descriptor)

    def remove_file(self, name: str) -> None:
        """Remove a file or link; nothing where there is none."""
        try:
            os.unlink(name, dir_fd=self.descriptor)
        except FileNotFoundError:
            pass

    def remove_tree(self, name: str) -> None:
        """Remove the directory ``name`` and all in it, following no link; nothing where there is none."""
        try:
            folder = self.child(name)
        except FileNotFoundError:
            return
        with folder:
            folder.take_over()
            for entry in folder.names():
                folder.remove_entry(entry)
        os.rmdir(name, dir_fd=self.descriptor)

    def remove_entry(self, name: str) -> None:
        """Remove ``name``, whether it is a file, a link or a directory with all in it."""
        if self.is_directory(name):
            self.remove_tree(name)
        else:
            self.remove_file(name)

    def sync(self) -> None:
        """Wait until the entries of this directory are on the disk."""
        os.fsync(self.descriptor)

    def free_bytes(self) -> int:
        """The room that an unprivileged user has left on this file system."""
        state = os.fstatvfs(self.descriptor)
        return state.f_bavail * state.f_frsize

    def is_writable(self) -> bool:
        """Whether this process may add and remove entries here."""
        return os.access(self.handle, os.W_OK | os.X_OK, effective_ids=True)

    def is_on_read_only_mount(self) -> bool:
        """Whether the mount that this directory was opened through is read-only."""
        return bool(os.fstatvfs(self.descriptor).f_flag & os.ST_RDONLY)

    def files(self) -> Iterator[tuple[str, os.stat_result]]:
        """Name and status of every entry; RepositoryError where one is neither file nor directory."""
        for name in self.names():
            status = self.stat(name)
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
                raise RepositoryError("%s is neither a file nor a directory; remove it." % self._shown(name))
            yield name, status

    def give(self, descriptor: int) -> None:
        """Give what root made here to the owner of this directory; what belongs to somebody already stays theirs."""
        if not self.owner or os.geteuid() != 0:
            return
        status = os.fstat(descriptor)
        # A file with a second name may be a system's file that somebody linked here.
        is_only_here = stat.S_ISDIR(status.st_mode) or status.st_nlink == 1
        if status.st_uid == 0 and is_only_here:
            os.fchown(descriptor, *self.owner)

    def take_over(self) -> None:
        """Make a directory that somebody else filled, or closed, removable for us.

        Root in a service may have no capability but those for changing owners and for reading.
        """
        if not self.is_writable():
            if os.geteuid() == 0:
                os.fchown(self.descriptor, 0, 0)
            os.fchmod(self.descriptor, 0o700)

    def _shown(self, name: str) -> str:
        return shown(os.path.join(self.path, name))
