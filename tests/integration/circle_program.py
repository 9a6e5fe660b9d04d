# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One verb over one database, described by a JSON object: for tests, and as a program of its own that tests kill.

usage: circle_program.py, with the order on its standard input

As a program it says ``ready`` when everything is imported, then does the work (again and again for ``seconds``, where
the order has that) and says one line of JSON: ``seconds``, ``done``, ``peak`` of its memory in bytes, and ``error``
with the sentence for the user where there is one. Anything that is no HoldfastError is a traceback.
"""

from __future__ import annotations

import json
import pathlib
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from ansible_collections.holdfast.db.plugins.module_utils.encodings import Identity
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError
from ansible_collections.holdfast.db.plugins.module_utils.model import Compression, Connection, EngineSettings, Source
from ansible_collections.holdfast.db.plugins.module_utils.operations.catalog import catalog
from ansible_collections.holdfast.db.plugins.module_utils.operations.create import CreateRequest, create
from ansible_collections.holdfast.db.plugins.module_utils.operations.declaration import Declaration
from ansible_collections.holdfast.db.plugins.module_utils.operations.prune import PruneRequest, prune
from ansible_collections.holdfast.db.plugins.module_utils.operations.requests import Place, Selection
from ansible_collections.holdfast.db.plugins.module_utils.operations.restore import RestoreRequest, restore
from ansible_collections.holdfast.db.plugins.module_utils.operations.verify import VerifyRequest, verify
from ansible_collections.holdfast.db.plugins.module_utils.retention import Rules

Order = dict[str, Any]


def peak() -> int:
    """Bytes that this very program held at the most; getrusage would count what it was forked from as well."""
    status = pathlib.Path("/proc/self/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024


def place_of(order: Order) -> Place:
    """The repository that is meant."""
    return Place(order["repository"], order.get("repository_id"), order.get("lock_wait", 30.0))


def source_of(order: Order) -> Source:
    """What is backed up, and where its backups are filed."""
    return Source(order.get("host", "db1"), order.get("policy", "shop"), order["database"])


def settings_of(order: Order) -> EngineSettings:
    """What the engine is told."""
    return EngineSettings(
        connection=Connection(**order.get("connection", {})),
        workspace=order["workspace"],
        **order.get("settings", {}),
    )


def identity_of(order: Order) -> Identity | None:
    """The age identity, by its file or as it is."""
    if "identity" in order or "identity_file" in order:
        return Identity(file=order.get("identity_file"), key=order.get("identity"))
    return None


def do_create(order: Order, now: datetime) -> object:
    """Make a backup."""
    request = CreateRequest(
        place_of(order),
        source_of(order),
        order["engine"],
        settings_of(order),
        compression=Compression(**order.get("compression", {})),
        recipients=tuple(order.get("recipients", ())),
        pinned=order.get("pinned", False),
        init=order.get("init", False),
    )
    return create(request, now, predict=order.get("predict", False))


def do_restore(order: Order, now: datetime) -> object:
    """Restore ``target`` (the database itself where none is named)."""
    file = order.get("file")
    target = order.get("target", order["database"])
    declaration = Declaration(
        source=None if file else source_of(order),
        backup=None if file or order.get("before") else order.get("backup", "latest"),
        before=datetime.fromisoformat(order["before"]) if order.get("before") else None,
        file=file,
        request=order.get("request"),
    )
    request = RestoreRequest(
        order["engine"],
        target,
        declaration,
        settings_of(order),
        place=place_of(order) if order.get("repository") else None,
        strategy=order.get("strategy", "swap"),
        confirm=order.get("confirm"),
        safety_backup=order.get("safety_backup"),
        safety_source=Source(order.get("host", "db1"), order.get("policy", "shop"), target),
        identity=identity_of(order),
    )
    return restore(request, now, predict=order.get("predict", False))


def do_verify(order: Order, now: datetime) -> object:
    """Verify ``backup``, or all."""
    request = VerifyRequest(
        place_of(order), Selection(), settings_of(order), order.get("backup", "all"), identity_of(order)
    )
    return verify(request, now, predict=order.get("predict", False))


def do_prune(order: Order, now: datetime) -> object:
    """Keep the newest ``keep_last`` backups."""
    request = PruneRequest(place_of(order), Selection(), Rules(keep_last=order.get("keep_last", 2)))
    return prune(request, now, predict=order.get("predict", False))


def do_list(order: Order, now: datetime) -> object:
    """Every entry."""
    return catalog(place_of(order), Selection())


VERBS = {"create": do_create, "restore": do_restore, "verify": do_verify, "prune": do_prune, "list": do_list}


def perform(order: Order) -> Any:
    """Do what ``order`` says and return what the operation returned; ``ahead``: seconds that the clock is wrong."""
    now = datetime.now(UTC) + timedelta(seconds=order.get("ahead", 0))
    return VERBS[order["verb"]](order, now)


def main() -> int:
    """Work as the program; 1 where a user would be told an error."""
    order = json.loads(sys.stdin.readline())
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    began = time.monotonic()
    repeated = order.get("seconds")
    error, done = None, 0
    try:
        while True:
            perform(order)
            done += 1
            if repeated is None or time.monotonic() - began > repeated:
                break
    except HoldfastError as reason:
        error = str(reason)
    said = {"seconds": time.monotonic() - began, "error": error, "done": done, "peak": peak()}
    sys.stdout.write(json.dumps(said) + "\n")
    sys.stdout.flush()
    return 1 if error else 0


if __name__ == "__main__":
    sys.exit(main())
