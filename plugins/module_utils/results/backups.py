# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A backup as results show it: JSON types only, times in ISO 8601, each size and span also for people to read."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from ..model import ORDINARY, Manifest, Source
from ..repository.base import Entry
from ..units import format_duration, format_size, format_time


def backup_result(entry: Entry, now: datetime) -> dict[str, Any]:
    """One backup or attempt; what is not known about it is None. ``age`` is counted from the time of consistency."""
    result = {
        **_unknown(entry.source),
        "id": entry.id,
        "status": entry.status,
        "started": format_time(entry.started),
        "pinned": entry.pinned,
        "acknowledged": entry.acknowledged,
        "problem": entry.problem,
        "last_drill": None if entry.last_drill is None else dict(entry.last_drill),
    }
    moment = entry.started
    if entry.manifest is not None:
        moment = entry.manifest.snapshot
        result.update(_from_manifest(entry.manifest))
    elif entry.attempt is not None:
        attempt = entry.attempt
        result.update(engine=attempt.engine, method=attempt.method, purpose=attempt.purpose)
        if attempt.finished is not None:
            result.update(_finished(attempt.started, attempt.finished))
        if attempt.error is not None and entry.problem is None:
            result["problem"] = attempt.error
    result.update(span("age", now - moment))
    return result


def planned_backup(source: Source, engine: str | None, method: str | None) -> dict[str, Any]:
    """A backup that would be made: the same keys, and nothing known that only the run will show."""
    return {**_unknown(source), "engine": engine, "method": method, "purpose": ORDINARY}


def backup_reference(entry: Entry, now: datetime) -> dict[str, Any]:
    """Which backup is meant, in results that are about something else."""
    manifest = entry.manifest
    moment = entry.started if manifest is None else manifest.snapshot
    return {
        "id": entry.id,
        "source_host": entry.source.host,
        "policy": entry.source.policy,
        "database": entry.source.database,
        "engine": None if manifest is None else manifest.engine,
        "snapshot": None if manifest is None else format_time(manifest.snapshot),
        **span("age", now - moment),
    }


def span(name: str, duration: timedelta | None) -> dict[str, Any]:
    """``name`` in seconds and ``name_human``."""
    if duration is None:
        return {name: None, name + "_human": None}
    return {name: round(duration.total_seconds(), 3), name + "_human": format_duration(duration)}


def volume(name: str, size: int | None) -> dict[str, Any]:
    """``name`` in bytes and ``name_human``."""
    return {name: size, name + "_human": None if size is None else format_size(size)}


def _unknown(source: Source) -> dict[str, Any]:
    """Every key, so that a playbook can name each one whatever the status is."""
    return {
        "id": None,
        "source_host": source.host,
        "policy": source.policy,
        "database": source.database,
        "engine": None,
        "method": None,
        "type": None,
        "purpose": None,
        "status": None,
        "started": None,
        "snapshot": None,
        "finished": None,
        **span("duration", None),
        **span("age", None),
        **volume("size", None),
        **volume("stored_size", None),
        "rows": None,
        "tables": None,
        "compression": None,
        "encrypted": None,
        "recipients": [],
        "server_version": None,
        "client": None,
        "pinned": False,
        "flags": [],
        "acknowledged": False,
        "problem": None,
        "last_drill": None,
        "artifacts": [],
        "warnings": [],
    }


def _from_manifest(manifest: Manifest) -> dict[str, Any]:
    return {
        "engine": manifest.engine,
        "method": manifest.method,
        "type": manifest.type,
        "purpose": manifest.purpose,
        "snapshot": format_time(manifest.snapshot),
        **_finished(manifest.started, manifest.finished),
        **volume("size", manifest.logical_size),
        **volume("stored_size", manifest.stored_size),
        "rows": manifest.rows,
        "tables": manifest.tables,
        "compression": manifest.compression,
        "encrypted": bool(manifest.recipients),
        "recipients": list(manifest.recipients),
        "server_version": manifest.server.version,
        "client": "%s %s" % (manifest.client.tool, manifest.client.version),
        "flags": list(manifest.flags),
        "artifacts": [
            {"name": one.name, "role": one.role, "size": one.size, "sha256": one.sha256} for one in manifest.artifacts
        ],
        "warnings": list(manifest.warnings),
    }


def _finished(started: datetime, finished: datetime) -> dict[str, Any]:
    return {"finished": format_time(finished), **span("duration", finished - started)}
