"""Short ways to restore in tests: a stored backup or a file, onto a private server."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, replace

from ansible_collections.holdfast.db.plugins.module_utils.engines.base import Loaded, LoadOrder, Swapped
from ansible_collections.holdfast.db.plugins.module_utils.external import ExternalFile
from ansible_collections.holdfast.db.plugins.module_utils.model import Manifest, Marker, Source
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Processes
from ansible_collections.holdfast.db.plugins.module_utils.workspace import workspace
from integration.postgresql_support import Server, Stored

MARKER = Marker("latest", "2026-11-20T06:30:00+00:00", Source("db1", "shop", "shop"), "20261120T063000Z-3f9a1c")


@dataclass(frozen=True)
class Done:
    """What a restore said on its way."""

    warnings: tuple[str, ...]
    loaded: Loaded
    differences: tuple[str, ...]
    swapped: Swapped


def manifest_of(stored: Stored) -> Manifest:
    """The manifest that a repository would keep of it, after a way through JSON as there."""
    import json

    taken = stored.taken
    return Manifest(
        id="20261120T063000Z-3f9a1c",
        source=Source("db1", "shop", "shop"),
        engine="postgresql",
        method=taken.method,
        started=taken.snapshot,
        snapshot=taken.snapshot,
        finished=taken.snapshot,
        server=taken.server,
        client=taken.client,
        artifacts=taken.artifacts,
        logical_size=taken.logical_size,
        stored_size=sum(one.size for one in taken.artifacts),
        compression="zstd",
        properties=json.loads(json.dumps(dict(taken.properties))),
    )


def order_of(stored: Stored, **about: object) -> LoadOrder:
    """The order to load ``stored``; ``about``: ``replaces``, ``is_foreign``."""
    order = LoadOrder(manifest=manifest_of(stored), reader=stored.reader(), fingerprint=stored.taken.fingerprint)
    return replace(order, **about)


def order_of_file(path: pathlib.Path, **about: object) -> LoadOrder:
    """The order to load a file from elsewhere."""
    return replace(LoadOrder(file=ExternalFile(str(path), Processes()), is_foreign=True), **about)


def restore(server: Server, target: str, order: LoadOrder, place: pathlib.Path, **settings: object) -> Done:
    """Preflight, load, compare and swap, as the verb does."""
    engine = server.engine(target, **settings)
    warnings = engine.preflight(order)
    with workspace("/var/tmp") as space, engine.loaded(order, space) as loaded:
        differences = engine.differences(loaded, order.fingerprint) if order.fingerprint else ()
        swapped = engine.swap(loaded, order, MARKER, None)
    return Done(warnings, loaded, differences, swapped)
