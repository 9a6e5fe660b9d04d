# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the file system below a repository is weaker at than a local disk."""

from __future__ import annotations

import os
import re

from ..errors import shown

_MOUNTS = "/proc/self/mountinfo"
_NETWORK = frozenset(
    ["9p", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "gfs2", "gpfs", "lustre", "ncpfs", "nfs", "nfs4"]
    + ["ocfs2", "smb2", "smb3", "smbfs", "vboxsf", "virtiofs"]
)


def weaknesses(path: str, mounts: str | None = None) -> tuple[str, ...]:
    """One sentence where ``path`` lies on a network or FUSE file system, nothing elsewhere.

    ``mounts``: the text of a mount table, by default the one of this process (proc(5), /proc/pid/mountinfo).
    """
    kind = type_of(os.path.realpath(path), _mount_table() if mounts is None else mounts)
    if kind not in _NETWORK and not kind.startswith("fuse"):
        return ()
    return (
        "The repository %s lies on the file system %s: a lock may hold on this host alone and a finished write may "
        "not be on a disk yet, so let no other host write to or prune the same sources." % (shown(path), kind),
    )


def type_of(real_path: str, mounts: str) -> str:
    """The type of the file system that ``real_path`` lies on, ``unknown`` where the table does not say."""
    best, kind = "", "unknown"
    for line in mounts.splitlines():
        before, _dash, after = line.partition(" - ")
        fields = before.split(" ")
        if len(fields) < 5 or not after:
            continue
        point = re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), fields[4])
        inside = real_path == point or real_path.startswith(point.rstrip("/") + "/")
        # Of two mounts on one point the later one covers the earlier.
        if inside and len(point) >= len(best):
            best, kind = point, after.split(" ")[0]
    return kind


def _mount_table() -> str:
    try:
        with open(_MOUNTS, encoding="utf-8", errors="surrogateescape") as stream:
            return stream.read()
    except FileNotFoundError:
        return ""
