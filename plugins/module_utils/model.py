# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The things that travel between the layers: sources, artifacts, manifests, fingerprints, markers.

Plain immutable values. Nothing here reads a file, a clock or a server.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from .errors import BadInput, shown

FULL = "full"
ORDINARY = "ordinary"
SAFETY = "safety"


@dataclass(frozen=True)
class Source:
    """What was backed up: one database of one policy of one host."""

    host: str
    policy: str
    database: str

    def __post_init__(self) -> None:
        for word, value in (("source_host", self.host), ("policy", self.policy), ("database", self.database)):
            if not value:
                raise BadInput("The option %s is empty; name the %s that is meant." % (word, word))
            if "\0" in value:
                raise BadInput("The option %s holds a NUL byte, which no name can have; remove it." % word)

    def __str__(self) -> str:
        return "%s of policy %s on %s" % (shown(self.database), shown(self.policy), shown(self.host))


@dataclass(frozen=True)
class Connection:
    """How to reach a server. None means: the tool's own default. Secrets never appear in ``repr``."""

    host: str | None = None
    port: int | None = None
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    unix_socket: str | None = None
    password_file: str | None = None
    service: str | None = None
    service_file: str | None = None
    ssl_mode: str | None = None
    ca_cert: str | None = None
    client_cert: str | None = None
    client_key: str | None = None
    maintenance_database: str | None = None


@dataclass(frozen=True)
class EngineSettings:
    """All that an engine is told from outside.

    ``jobs``: parallel workers, None for the engine's own choice. ``form``: ``auto``, ``directory`` or ``stream``.
    ``fingerprint``: ``rows`` or ``none``. ``lock_wait`` and ``time_limit`` in seconds. ``tools``: a directory
    with the client programs, None to search. ``workspace``: a directory for plain temporary copies.
    ``load_as``: ``auto``, ``owner`` or ``superuser``. ``trusted``: external SQL may run without the client's guard.
    """

    connection: Connection = field(default_factory=Connection)
    jobs: int | None = None
    form: str = "auto"
    fingerprint: str = "rows"
    lock_wait: float = 60.0
    time_limit: float | None = None
    tools: str | None = None
    workspace: str | None = None
    load_as: str = "auto"
    trusted: bool = False


@dataclass(frozen=True)
class Compression:
    """``kind``: ``zstd`` or ``none``. ``threads``: 0 uses every core."""

    kind: str = "zstd"
    level: int = 1
    threads: int = 0


@dataclass(frozen=True)
class Artifact:
    """One stored file of a backup, or one directory of files.

    ``name``: its file name inside the backup. ``role``: what it is for (``dump``, ``fingerprint``, ``contents``,
    ``roles``). ``kind``: ``file`` or ``directory``. ``size`` in bytes as stored. ``sha256``: of the file, and for a
    directory of its index file. ``index``: for a directory the artifact that lists its files and their sums.
    ``encoding``: what was applied to the native bytes, in order, such as ``("zstd", "age")``.
    """

    name: str
    role: str
    kind: str
    size: int
    sha256: str
    encoding: tuple[str, ...] = ()
    index: str | None = None


@dataclass(frozen=True)
class TableRows:
    """How many rows a table held in the snapshot; partitions and inheritance children are counted by themselves."""

    schema: str
    name: str
    rows: int


@dataclass(frozen=True)
class Fingerprint:
    """What the database held inside the very snapshot that was dumped.

    ``objects`` counts the objects of each kind, by the engine's own words for them.
    """

    tables: tuple[TableRows, ...]
    objects: Mapping[str, int]

    @property
    def rows(self) -> int:
        """The rows of all tables together."""
        return sum(table.rows for table in self.tables)

    def to_json(self) -> dict[str, Any]:
        """The stored form."""
        return {
            "format": 1,
            "tables": [[table.schema, table.name, table.rows] for table in self.tables],
            "objects": dict(self.objects),
        }

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Fingerprint:
        """The inverse of ``to_json``; raises KeyError, TypeError or ValueError on anything else."""
        tables = tuple(TableRows(str(schema), str(name), int(rows)) for schema, name, rows in data["tables"])
        return cls(tables=tables, objects={str(kind): int(count) for kind, count in data["objects"].items()})


@dataclass(frozen=True)
class Server:
    """``version``: as the server says it. ``identity``: what tells this server or file from every other."""

    version: str
    identity: str | None


@dataclass(frozen=True)
class Client:
    """The native tool that made the dump."""

    tool: str
    version: str


@dataclass(frozen=True)
class Manifest:
    """The JSON that describes a backup; ``repository/manifests.py`` reads and writes it.

    Times are aware, in UTC. ``snapshot`` is the time of consistency. ``durations``: seconds by phase. Sizes in bytes:
    ``logical_size`` of the database, ``stored_size`` of all artifacts. ``rows`` and ``tables``: totals, None where no
    fingerprint was taken. ``properties``: what the engine needs to bring the database back (encoding, locale,
    extensions, owners, settings), JSON types only. ``flags``: sentences that say how far the backup departs from
    its predecessors. ``restore_by_hand``: shell commands, in order.
    """

    id: str
    source: Source
    engine: str
    method: str
    started: datetime
    snapshot: datetime
    finished: datetime
    server: Server
    client: Client
    artifacts: tuple[Artifact, ...]
    logical_size: int
    stored_size: int
    compression: str
    type: str = FULL
    parent: str | None = None
    purpose: str = ORDINARY
    recipients: tuple[str, ...] = ()
    rows: int | None = None
    tables: int | None = None
    durations: Mapping[str, float] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    warnings: tuple[str, ...] = ()
    flags: tuple[str, ...] = ()
    restore_by_hand: tuple[str, ...] = ()
    holdfast_version: str = ""

    def artifact(self, role: str) -> Artifact | None:
        """The artifact with this role, or None."""
        return next((one for one in self.artifacts if one.role == role), None)


@dataclass(frozen=True)
class Marker:
    """What says that a database already holds its declared restore state.

    ``backup``: the id that was restored, None for a file from elsewhere. ``declared``: what was asked for, as
    ``latest``, an id, ``before <time>`` or ``file <path>``. ``request``: the string of the declaration.
    ``at``: when the swap happened, ISO 8601. ``repository``: the id of the repository the backup came from.
    """

    declared: str
    at: str
    source: Source | None = None
    backup: str | None = None
    request: str | None = None
    repository: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The stored form, without what is not known."""
        data: dict[str, Any] = {"declared": self.declared, "at": self.at}
        if self.source:
            data["source"] = [self.source.host, self.source.policy, self.source.database]
        for word in ("backup", "request", "repository"):
            if getattr(self, word) is not None:
                data[word] = getattr(self, word)
        return data

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Marker:
        """The inverse of ``to_json``; raises KeyError or TypeError on anything else."""
        source = Source(*data["source"]) if data.get("source") else None
        return cls(
            data["declared"],
            data["at"],
            source,
            data.get("backup"),
            data.get("request"),
            data.get("repository"),
        )
