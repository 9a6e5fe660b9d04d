"""Short ways to restore in tests: a stored backup or a file, onto a private server."""

from __future__ import annotations

import pathlib
from dataclasses import dataclass, replace

from ansible_collections.holdfast.db.plugins.module_utils.engines.base import Loaded, LoadOrder, Swapped
from ansible_collections.holdfast.db.plugins.module_utils.external import ExternalFile
from ansible_collections.holdfast.db.plugins.module_utils.model import Marker, Source
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


def order_of(stored: Stored, **about: object) -> LoadOrder:
    """The order to load ``stored``; ``about``: ``replaces``, ``is_foreign``."""
    order = LoadOrder(manifest=stored.manifest(), reader=stored.reader(), fingerprint=stored.taken.fingerprint)
    return replace(order, **about)


def order_of_file(path: pathlib.Path, **about: object) -> LoadOrder:
    """The order to load a file from elsewhere."""
    return replace(LoadOrder(file=ExternalFile(str(path), Processes()), is_foreign=True), **about)


def restore(server: Server, target: str, order: LoadOrder, **settings: object) -> Done:
    """Preflight, load, compare and swap, as the verb does."""
    engine = server.engine(target, **settings)
    warnings = engine.preflight(order)
    with workspace("/var/tmp") as space, engine.loaded(order, space) as loaded:
        differences = engine.differences(loaded, order.fingerprint) if order.fingerprint else ()
        swapped = engine.swap(loaded, order, MARKER, None)
    return Done(warnings, loaded, differences, swapped)


def leftovers(server: Server) -> list[str]:
    """Databases and roles that a restore makes for itself and must not leave behind."""
    names = server.psql(
        "SELECT datname FROM pg_database WHERE datname LIKE 'holdfast_load_%' UNION ALL"
        " SELECT rolname FROM pg_roles WHERE rolname LIKE 'holdfast_load_%'"
        " OR shobj_description(oid, 'pg_authid') LIKE 'holdfast: made for%'"
    )
    return names.split()
