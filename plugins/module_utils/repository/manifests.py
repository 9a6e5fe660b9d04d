# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Manifests as JSON: the one place that knows the stored form (published as plugin_utils/schema/manifest.json).

Reading is strict, for what a manifest says is acted upon: a name in it becomes part of a path, a size is believed.
Keys that this version does not know are passed over, so that a later one may add some. The last key is a checksum of
all before it, for a flipped bit in a manifest could send a restore astray.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from ..errors import BadInput, Damaged, shown
from ..model import Artifact, Client, Manifest, Server, Source
from ..units import format_time
from .names import ATTEMPT, MANIFEST, is_id
from .records import decode_json, encode_json, parse_moment

FORMAT = 1
MANIFEST_LIMIT = 4 << 20
_SHA256 = re.compile(r"[0-9a-f]{64}")
_ENCODINGS = ((), ("zstd",), ("age",), ("zstd", "age"))
_SEAL = b',\n "sha256": "'
_END = b"\n}\n"


def encode_manifest(manifest: Manifest) -> bytes:
    """The content of ``manifest.json``."""
    return sealed(encode_json(manifest_to_json(manifest)))


def sealed(body: bytes) -> bytes:
    """``body``, an object as ``encode_json`` writes it, with the sum of its bytes as its last key."""
    return body[: -len(_END)] + _SEAL + hashlib.sha256(body).hexdigest().encode("ascii") + b'"' + _END


def decode_manifest(raw: bytes, path: str) -> Manifest:
    """The manifest in ``raw``; raises Damaged (artifact ``manifest.json``). ``path``: of the file, for the message."""
    data = decode_json(raw, path, MANIFEST)
    head, _seal, tail = raw.rpartition(_SEAL)
    if _take(data, "format", int, path) == FORMAT and tail != sealed(head + _END).rpartition(_SEAL)[2]:
        raise Damaged("%s is not as it was written: its own checksum does not fit." % shown(path), MANIFEST)
    return manifest_from_json(data, path)


def manifest_to_json(manifest: Manifest) -> dict[str, Any]:
    """The stored form, keys in the order in which a person wants to read them."""
    return {
        "format": FORMAT,
        "id": manifest.id,
        "source": {
            "host": manifest.source.host,
            "policy": manifest.source.policy,
            "database": manifest.source.database,
        },
        "engine": manifest.engine,
        "method": manifest.method,
        "type": manifest.type,
        "parent": manifest.parent,
        "purpose": manifest.purpose,
        "started": format_time(manifest.started, microseconds=True),
        "snapshot": format_time(manifest.snapshot, microseconds=True),
        "finished": format_time(manifest.finished, microseconds=True),
        "durations": dict(manifest.durations),
        "server": {"version": manifest.server.version, "identity": manifest.server.identity},
        "client": {"tool": manifest.client.tool, "version": manifest.client.version},
        "logical_size": manifest.logical_size,
        "stored_size": manifest.stored_size,
        "rows": manifest.rows,
        "tables": manifest.tables,
        "compression": manifest.compression,
        "recipients": list(manifest.recipients),
        "artifacts": [_artifact_to_json(artifact) for artifact in manifest.artifacts],
        "properties": dict(manifest.properties),
        "warnings": list(manifest.warnings),
        "flags": list(manifest.flags),
        "restore_by_hand": list(manifest.restore_by_hand),
        "holdfast_version": manifest.holdfast_version,
    }


def manifest_from_json(data: Mapping[str, Any], path: str) -> Manifest:
    """The inverse of ``manifest_to_json``; raises Damaged that names the file and the key."""
    if _take(data, "format", int, path) != FORMAT:
        raise Damaged(
            "%s is written in format %s, and this version of holdfast reads format %d; use the version that made it."
            % (shown(path), shown(data["format"]), FORMAT),
            MANIFEST,
        )
    source = _take(data, "source", dict, path)
    server = _take(data, "server", dict, path)
    client = _take(data, "client", dict, path)
    backup_id = _take(data, "id", str, path)
    _demand(is_id(backup_id), "id", path)
    names = [_take(source, word, str, path) for word in ("host", "policy", "database")]
    try:
        named = Source(*names)
    except BadInput:
        raise _damaged("source", path) from None
    return Manifest(
        id=backup_id,
        source=named,
        engine=_take(data, "engine", str, path),
        method=_take(data, "method", str, path),
        type=_take(data, "type", str, path),
        parent=_maybe(data, "parent", str, path),
        purpose=_take(data, "purpose", str, path),
        started=_moment(data, "started", path),
        snapshot=_moment(data, "snapshot", path),
        finished=_moment(data, "finished", path),
        durations=_durations(data, path),
        server=Server(_take(server, "version", str, path), _maybe(server, "identity", str, path)),
        client=Client(_take(client, "tool", str, path), _take(client, "version", str, path)),
        logical_size=_count(data, "logical_size", path),
        stored_size=_count(data, "stored_size", path),
        rows=None if data.get("rows", 0) is None else _count(data, "rows", path),
        tables=None if data.get("tables", 0) is None else _count(data, "tables", path),
        compression=_take(data, "compression", str, path),
        recipients=_texts(data, "recipients", path),
        artifacts=tuple([_artifact_from_json(one, path) for one in _take(data, "artifacts", list, path)]),
        properties=_take(data, "properties", dict, path),
        warnings=_texts(data, "warnings", path),
        flags=_texts(data, "flags", path),
        restore_by_hand=_texts(data, "restore_by_hand", path),
        holdfast_version=_take(data, "holdfast_version", str, path),
    )


def _artifact_to_json(artifact: Artifact) -> dict[str, Any]:
    return {
        "name": artifact.name,
        "role": artifact.role,
        "kind": artifact.kind,
        "size": artifact.size,
        "sha256": artifact.sha256,
        "encoding": list(artifact.encoding),
        "index": artifact.index,
    }


def _artifact_from_json(data: object, path: str) -> Artifact:
    if not isinstance(data, dict):
        raise _damaged("artifacts", path)
    artifact = Artifact(
        name=_take(data, "name", str, path),
        role=_take(data, "role", str, path),
        kind=_take(data, "kind", str, path),
        size=_count(data, "size", path),
        sha256=_take(data, "sha256", str, path),
        encoding=_texts(data, "encoding", path),
        index=_maybe(data, "index", str, path),
    )
    _demand(_is_file_name(artifact.name), "name", path)
    _demand(artifact.kind in ("file", "directory"), "kind", path)
    _demand(artifact.encoding in _ENCODINGS, "encoding", path)
    _demand(_SHA256.fullmatch(artifact.sha256) is not None, "sha256", path)
    _demand(_is_file_name(artifact.index) if artifact.index else artifact.kind == "file", "index", path)
    return artifact


def _is_file_name(name: str) -> bool:
    """Whether ``name`` stays inside the folder that it is looked up in, and is none of our own files."""
    return bool(name) and "/" not in name and "\0" not in name and name not in (".", "..", MANIFEST, ATTEMPT)


def _take(data: Mapping[str, Any], key: str, kind: type, path: str) -> Any:
    value = data.get(key)
    # bool is an int to Python, and no number here may be true.
    if not isinstance(value, kind) or value is True or value is False:
        raise _damaged(key, path)
    return value


def _maybe(data: Mapping[str, Any], key: str, kind: type, path: str) -> Any:
    if key in data and data[key] is None:
        return None
    return _take(data, key, kind, path)


def _count(data: Mapping[str, Any], key: str, path: str) -> int:
    value = _take(data, key, int, path)
    _demand(value >= 0, key, path)
    return value


def _texts(data: Mapping[str, Any], key: str, path: str) -> tuple[str, ...]:
    values = _take(data, key, list, path)
    for value in values:
        _demand(isinstance(value, str), key, path)
    return tuple(values)


def _moment(data: Mapping[str, Any], key: str, path: str) -> datetime:
    try:
        return parse_moment(data.get(key))
    except ValueError:
        raise _damaged(key, path) from None


def _durations(data: Mapping[str, Any], path: str) -> Mapping[str, float]:
    values = _take(data, "durations", dict, path)
    for value in values.values():
        _demand(isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0, "durations", path)
    return values


def _demand(condition: object, key: str, path: str) -> None:
    if not condition:
        raise _damaged(key, path)


def _damaged(key: str, path: str) -> Damaged:
    return Damaged("%s has no valid %s; the manifest is damaged." % (shown(path), shown(key)), MANIFEST)
