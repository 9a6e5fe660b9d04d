# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a restore is given to load: a backup of ours, or a file from elsewhere."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from ..artifacts import ArtifactReader
from ..errors import BadInput, Damaged, Refused, shown
from ..model import Artifact, Fingerprint, Manifest
from .base import LoadOrder
from .sqlite_header import (
    HEADER,
    LEFTOVERS,
    MAGIC,
    WAL,
    FileFacts,
    check_magic,
    encoding_of,
    journal_mode_of,
    page_count_of,
    page_size_of,
)


@dataclass(frozen=True)
class Expected:
    """What is known of a database before it is loaded; None where it is not. ``size`` in bytes."""

    size: int
    page_size: int | None
    encoding: str | None
    journal_mode: str | None


def expected_of(order: LoadOrder) -> Expected:
    """Look at the manifest, or at the first bytes of a file; raises BadInput where that is no database."""
    if order.file is None:
        known = order.manifest.properties
        size = order.manifest.logical_size
        return Expected(size, known.get("page_size"), known.get("encoding"), known.get("journal_mode"))
    if order.file.is_directory:
        raise BadInput("%s is a directory; name an SQLite file." % shown(order.file.path))
    head = order.file.head(HEADER)
    if not head:
        raise BadInput("The file %s is empty; name an SQLite database." % shown(order.file.path))
    check_magic(head, order.file.path)
    size = max(order.file.size, page_size_of(head) * page_count_of(head))
    return Expected(size, page_size_of(head), encoding_of(head), journal_mode_of(head))


def dump_of(manifest: Manifest) -> Artifact:
    """The artifact that holds the database; raises Damaged where there is none."""
    dump = manifest.artifact("dump")
    if dump is None:
        raise Damaged("The backup %s has no artifact with a database." % shown(manifest.id))
    return dump


def fingerprint_of(manifest: Manifest, reader: ArtifactReader) -> Fingerprint | None:
    """The fingerprint of a backup; None where there is none."""
    artifact = manifest.artifact("fingerprint")
    if artifact is None:
        return None
    try:
        return Fingerprint.from_json(json.loads(reader.text(artifact)))
    except (KeyError, TypeError, ValueError, AttributeError, RecursionError):
        raise Damaged("The artifact %s cannot be understood." % shown(artifact.name), artifact.name) from None


def was_damaged(order: LoadOrder) -> bool:
    """Whether the backup is a safety backup of a database that was damaged already, as its manifest says."""
    return order.manifest is not None and order.manifest.properties.get("integrity", "ok") != "ok"


def refuse_page_size(database: str, facts: FileFacts, page_size: int | None) -> None:
    """Refuse what the backup interface could not write into this live file."""
    if facts.journal_mode == WAL and facts.size and page_size not in (None, facts.page_size):
        raise Refused(
            "%s is in WAL mode with pages of %d bytes and the backup has pages of %d, which SQLite cannot exchange;"
            " stop the application and set PRAGMA journal_mode=DELETE first, or restore under a new name and move that."
            % (shown(database), facts.page_size, page_size)
        )


def remarks_on(database: str, facts: FileFacts, expected: Expected) -> tuple[str, ...]:
    """What will be different for the programs that use the live file."""
    if not facts.size:
        return ()
    remarks = []
    if expected.encoding not in (None, facts.encoding):
        remarks.append(
            "%s holds text as %s and the backup as %s; programs that hold it open must be restarted after the restore."
            % (shown(database), facts.encoding, expected.encoding)
        )
    if expected.journal_mode == WAL and facts.journal_mode != WAL:
        remarks.append("%s will be in WAL mode after the restore, as the backup is." % shown(database))
    return tuple(remarks)


def has_more_beside(path: str) -> bool:
    """Whether a file from elsewhere has a WAL or a journal that belongs to its content."""
    with open(path, "rb") as stream:
        if stream.read(len(MAGIC)) != MAGIC:
            return False
    return any(os.path.exists(path + suffix) and os.path.getsize(path + suffix) for suffix in LEFTOVERS)
