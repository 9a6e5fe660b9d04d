# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the system refuses, said in one sentence that a person can act on."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

from ..errors import RepositoryError, shown

_ADVICE = {
    errno.ENOSPC: "free some space or move the repository",
    errno.EDQUOT: "raise the quota or free some space",
    errno.EACCES: "run as the user that owns the repository, or as root",
    errno.EPERM: "run as the user that owns the repository, or as root",
    errno.EROFS: "mount it writable or use another repository",
    errno.ESTALE: "mount the share again",
    errno.EIO: "check the disk and the system's log",
    errno.ENOTDIR: "something that is not a directory, such as a link, stands in its place; look at it and remove it",
    errno.ELOOP: "a link stands in its place, and nothing inside a repository may be one; look at it and remove it",
}


@contextmanager
def explained(doing: str, path: str) -> Iterator[None]:
    """Turn an OSError of the block into a RepositoryError: "<doing> <path> failed: <reason>; <what to do>."."""
    try:
        yield
    except OSError as reason:
        raise RepositoryError(sentence(doing, path, reason)) from reason


def sentence(doing: str, path: str, reason: OSError) -> str:
    """The sentence for ``reason``; ``doing`` begins it, such as ``Reading``."""
    why = os.strerror(reason.errno) if reason.errno else str(reason)
    advice = _ADVICE.get(reason.errno or 0)
    return "%s %s failed: %s%s." % (doing, shown(path), why, "; " + advice if advice else "")
