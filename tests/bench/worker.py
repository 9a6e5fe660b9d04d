# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A process of ours that does one piece of work and prints its figures: ``worker.py VERB JSON``.

Calls the operations as the modules do, so that what is timed is the work and not Ansible.
"""

from __future__ import annotations

import dataclasses
import json
import os
import pathlib
import re
import sys
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from ansible_collections.holdfast.db.plugins.module_utils.accounts import account_of
from ansible_collections.holdfast.db.plugins.module_utils.encodings import Identity
from ansible_collections.holdfast.db.plugins.module_utils.model import Connection, EngineSettings, Source
from ansible_collections.holdfast.db.plugins.module_utils.operations.catalog import catalog
from ansible_collections.holdfast.db.plugins.module_utils.operations.create import CreateRequest, create
from ansible_collections.holdfast.db.plugins.module_utils.operations.declaration import Declaration
from ansible_collections.holdfast.db.plugins.module_utils.operations.manage import remove
from ansible_collections.holdfast.db.plugins.module_utils.operations.prune import PruneRequest, prune
from ansible_collections.holdfast.db.plugins.module_utils.operations.requests import Place, Selection
from ansible_collections.holdfast.db.plugins.module_utils.operations.restore import RestoreRequest, restore
from ansible_collections.holdfast.db.plugins.module_utils.repository.base import Attempt
from ansible_collections.holdfast.db.plugins.module_utils.repository.names import new_id
from ansible_collections.holdfast.db.plugins.module_utils.repository.registry import init_repository
from ansible_collections.holdfast.db.plugins.module_utils.retention_rules import Rules

HOST = "bench"
Told = Mapping[str, object]


def make_backup(told: Told) -> dict[str, float]:
    """One backup of one database."""
    request = CreateRequest(
        Place(told["repository"]),
        _source(told),
        told["engine"],
        _settings(told),
        recipients=(told["recipient"],) if told["recipient"] else (),
    )
    manifest = create(request, datetime.now(UTC)).entry.manifest
    return {**manifest.durations, "stored": manifest.stored_size}


def restore_newest(told: Told) -> dict[str, float]:
    """The newest backup of the source, into ``target``; always asked anew, so that no marker satisfies it."""
    identity = told.get("identity")
    request = RestoreRequest(
        told["engine"],
        told["target"],
        Declaration(_source(told), "latest", request=datetime.now(UTC).isoformat()),
        _settings(told),
        Place(told["repository"]),
        strategy=told.get("strategy", "new"),
        confirm=told.get("confirm"),
        safety_backup=False,
        identity=Identity(file=identity) if identity else None,
    )
    return dict(restore(request, datetime.now(UTC)).durations)


def forget(told: Told) -> dict[str, float]:
    """Delete every backup of the source; where there is no repository yet, make it."""
    init_repository(told["repository"], account_of(os.geteuid())).close()
    place = Place(told["repository"])
    for entry in catalog(place, Selection(HOST, told["policy"], told["database"])).entries:
        remove(place, entry.source, entry.id)
    return {}


def fill(told: Told) -> dict[str, float]:
    """A repository with ``sources`` times ``each`` backups, one a day, like the newest backup in ``sample``.

    Published as every backup is; only their artifacts are left out, at which neither a list nor a plan looks.
    """
    model = next(iter(catalog(Place(told["sample"]), Selection()).entries)).manifest
    repository = init_repository(told["repository"], account_of(os.geteuid()))
    today = datetime.now(UTC)
    for number in range(told["sources"]):
        source = Source("db%d.example.com" % (number % 10), "nightly", "database%d" % number)
        with repository.writing(source, 0) as writing:
            for days in range(told["each"], 0, -1):
                when = today - timedelta(days=days)
                attempt = Attempt(new_id(when), model.engine, model.method, model.purpose, when)
                moved = {"started": when, "snapshot": when, "finished": when}
                with writing.begin(attempt) as work:
                    work.publish(dataclasses.replace(model, id=attempt.id, source=source, artifacts=(), **moved))
    return {}


def list_all(told: Told) -> dict[str, float]:
    """Every backup of a repository."""
    return {"backups": len(catalog(Place(told["repository"]), Selection()).entries)}


def plan_pruning(told: Told) -> dict[str, float]:
    """What prune would do in a whole repository, as in check mode."""
    rules = Rules(keep_daily=7, keep_weekly=4, keep_monthly=12)
    decided = prune(PruneRequest(Place(told["repository"]), Selection(), rules), datetime.now(UTC), predict=True)
    return {"backups": sum(len(one.decisions) for one in decided.sources)}


def _source(told: Told) -> Source:
    return Source(HOST, told["policy"], told["database"])


def _settings(told: Told) -> EngineSettings:
    connection = Connection(unix_socket=told["socket"], user="postgres") if told["socket"] else Connection()
    return EngineSettings(connection=connection, **told.get("settings", {}))


def _peak_memory() -> float:
    """MiB that this very process, without its children, ever held (VmHWM in proc(5))."""
    text = pathlib.Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s*(\d+) kB", text)[1]) / 1024


VERBS = {
    "create": make_backup,
    "restore": restore_newest,
    "forget": forget,
    "fill": fill,
    "list": list_all,
    "plan": plan_pruning,
}

if __name__ == "__main__":
    os.umask(0o077)
    figures = VERBS[sys.argv[1]](json.loads(sys.argv[2]))
    print(json.dumps({**figures, "memory": _peak_memory()}))
