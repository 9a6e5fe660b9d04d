# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Telling what kind of dump a file from elsewhere is.

Custom archives begin with ``PGDMP`` (pg_backup_archiver.c). A tar archive of pg_dump holds ``toc.dat`` as its first
member, a directory holds it as a file. Anything else that reads as text is taken for SQL.
"""

from __future__ import annotations

import os
import re

from ...errors import BadInput, Refused, shown
from ...external import ExternalFile

CUSTOM = "custom"
DIRECTORY = "directory"
TAR = "tar"
PLAIN = "plain"

_MAGIC = b"PGDMP"
_TAR_MAGIC = slice(257, 262)
_FIRST_MEMBER = b"toc.dat\0"
_COMPRESSED = {b"\x28\xb5\x2f\xfd": "zstd", b"\x04\x22\x4d\x18": "lz4", b"BZh": "bzip2", b"\xfd7zXZ": "xz"}
_CLUSTER_DUMP = "PostgreSQL database cluster dump"
_ELSEWHERE = re.compile(
    rb"^[ \t]*(?:\\c(?:onnect)?[ \t\r\n]|(?:CREATE|DROP|ALTER)[ \t]+DATABASE[ \t])", re.IGNORECASE | re.MULTILINE
)


def form_of(file: ExternalFile) -> str:
    """``custom``, ``directory``, ``tar`` or ``plain``; raises BadInput for what is none of them."""
    if file.is_directory:
        if not os.path.isfile(os.path.join(file.path, "toc.dat")):
            raise BadInput(
                "The directory %s holds no toc.dat, so pg_dump did not write it; name the directory that it did write."
                % shown(file.path)
            )
        return DIRECTORY
    head = file.head()
    if head.startswith(_MAGIC):
        return CUSTOM
    if head[_TAR_MAGIC] == b"ustar":
        if head.startswith(_FIRST_MEMBER):
            return TAR
        raise BadInput(
            "The tar archive %s was not written by pg_dump; unpack it and name the dump inside." % shown(file.path)
        )
    _check_text(file.path, head)
    return PLAIN


def check_plain_head(path: str, head: bytes) -> None:
    """Refuse SQL that leaves the database it is loaded into, as far as its beginning shows.

    The guard of psql stops what comes later in the file; this only gives the better sentence before anything is made.
    """
    if _CLUSTER_DUMP.encode() in head:
        raise Refused(
            "%s is a dump of a whole server (pg_dumpall), which cannot be restored into one database; dump the one"
            " database with pg_dump." % shown(path)
        )
    if _ELSEWHERE.search(head):
        raise Refused(
            "%s creates or connects to a database by itself (pg_dump --create), so it could reach another one than"
            " was named; make it without --create." % shown(path)
        )


def _check_text(path: str, head: bytes) -> None:
    for magic, program in _COMPRESSED.items():
        if head.startswith(magic):
            raise BadInput("The file %s is packed with %s; unpack it first." % (shown(path), program))
    if not head:
        raise BadInput("The file %s is empty." % shown(path))
    if b"\0" in head:
        raise BadInput(
            "The file %s is no dump of PostgreSQL: neither an archive of pg_dump nor SQL text." % shown(path)
        )
