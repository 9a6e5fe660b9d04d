# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: restore
short_description: Bring a database into a declared state from a backup or a file
version_added: 0.1.0
description:
  - Restores a backup of this host, of another host's folder in the repository, or a dump that was made elsewhere.
  - The copy is loaded completely, compared with what was counted when the backup was taken, and only then put in the
    place of the live database in one short step. Whatever fails before leaves the live database untouched.
  - A marker that travels with the data says what a database holds. Playing the same declaration twice restores once.
    That stays so when newer backups are made. To restore once more, give another O(request).
options:
  id:
    description:
      - V(latest) for the newest good backup, or the id of one.
      - V(latest) is satisfied by a database that was restored from any backup of the same source.
      - Exactly one of O(id), O(before) and O(file) must be given. One that is given without a value is refused; leave
        it out with C(default(omit)).
    type: str
  before:
    description:
      - The newest good backup that holds a state of this time or earlier. Written as in ISO 8601 with an offset from
        UTC, in quotes. It must lie in the past.
      - Exactly one of O(id), O(before) and O(file) must be given. One that is given without a value is refused; leave
        it out with C(default(omit)).
    type: str
  file:
    description:
      - The path, on the host, of a dump that was made elsewhere, compressed or not. For SQLite a database file, for
        PostgreSQL what C(pg_dump) writes in any of its formats.
      - Exactly one of O(id), O(before) and O(file) must be given. One that is given without a value is refused; leave
        it out with C(default(omit)).
    type: path
  target:
    description:
      - The database to restore into, by its name, for SQLite by the absolute path of its file, written without C(//),
        C(.) or C(..).
      - A PostgreSQL database that is a template, of which new databases are made, is refused. If it is really meant,
        run C(ALTER DATABASE ... IS_TEMPLATE false) first.
      - By default O(database). Given without a value it is refused.
    type: str
  strategy:
    description:
      - V(swap) puts the restored copy in the place of O(target), which may exist.
      - V(new) makes O(target), which must not exist.
    type: str
    choices: [swap, new]
    default: swap
  confirm:
    description:
      - The name of the database that may be replaced, once more, for SQLite its path. Needed where O(target) is not
        empty.
      - Let the person who runs the playbook type it. Do not keep it in an inventory.
    type: str
  safety_backup:
    description:
      - Whether to back up O(target) into the O(repository) before it is replaced.
      - By default the engine decides. It is done where the old database cannot be kept beside the new one.
    type: bool
  request:
    description:
      - Any text, such as a date and the reason. A declaration with another text asks for the restore once more.
      - An empty text is refused; leave it out with C(default(omit)).
    type: str
  target_host:
    description:
      - The inventory's name of the host on which the restore happens, under which a safety backup is filed.
      - By default the host that the task runs on, with C(delegate_to) the one that it is delegated to.
    type: str
  age_identity_file:
    description:
      - A file on the host with the secret half of an age key that the backup or the file was encrypted to.
    type: path
  age_identity:
    description:
      - The secret half itself. It is handed to age in private, never on a command line or through a file on disk.
      - Mutually exclusive with O(age_identity_file).
    type: str
  load_as:
    description:
      - As whom the dump is loaded, for restoring runs code that the dump brings along. V(owner) logs in as the owner of
        the database, V(superuser) as the administrator.
      - V(auto) loads as the owner where the server lets it in. Otherwise it loads as superuser what was backed up on
        the same server, and says so, and refuses what comes from elsewhere.
    type: str
    choices: [auto, owner, superuser]
    default: auto
  trusted:
    description:
      - Load a plain SQL file even where the client cannot be kept from running commands that the file contains.
    type: bool
    default: false
  time_limit:
    description:
      - How long taking a safety backup may take, such as V(2h). Without it, as long as it takes.
    type: str
  compression:
    description:
      - How a safety backup is compressed before it is stored.
    type: str
    choices: [zstd, none]
    default: zstd
  compression_level:
    description:
      - From V(1), the fastest, to V(22), the smallest.
    type: int
    default: 1
  compression_threads:
    description:
      - How many threads compress. V(0) uses every core.
    type: int
    default: 0
  age_recipients:
    description:
      - The age public keys that a safety backup is encrypted to. By default those of the backup that is restored.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    support: full
    details:
      - Goes through all checks, says what would be replaced and what would be lost since, and writes nothing.
      - It cannot foretell that the server refuses a statement in SQL text from elsewhere (O(file)). The restore then
        fails while it loads beside, and the live database is as it was.
  diff_mode:
    support: full
    details:
      - Shows what the target holds before and after.
  idempotent:
    support: full
    details:
      - The marker in the database says that it holds the declared state already.
seealso:
  - module: holdfast.db.backup
  - module: holdfast.db.kept_database
extends_documentation_fragment:
  - holdfast.db.attributes
  - holdfast.db.connection
  - holdfast.db.repository
author: holdfast.db maintainers (@holdfast-db)
"""

EXAMPLES = r"""
---
- name: Put the newest good backup in the place of the shop's database, once
  holdfast.db.restore:
    engine: sqlite
    database: /srv/shop/shop.db
    policy: shop
    repository: /var/backups/holdfast
    id: latest
    request: after the drop of 20 November
    confirm: "{{ holdfast_confirm }}" # typed by the person who runs this, with -e

- name: Make a copy of how it was at half past six, beside the original
  holdfast.db.restore:
    engine: sqlite
    database: /srv/shop/shop.db
    policy: shop
    repository: /var/backups/holdfast
    before: "2026-11-20T06:30:00+01:00"
    target: /srv/shop/shop-at-half-past-six.db
    strategy: new

- name: Say what a restore would replace, and what would be lost
  holdfast.db.restore:
    engine: postgresql
    database: shop
    policy: shop
    repository: /var/backups/holdfast
    id: latest
    confirm: shop # for a look only; nothing is replaced
  check_mode: true
  register: plan

- name: Load a dump that was made elsewhere into an empty database, with no more rights than its owner has
  holdfast.db.restore:
    engine: postgresql
    file: /srv/incoming/shop.dump
    target: shop_from_partner
    load_as: owner
"""

RETURN = r"""
---
msg:
  description: One sentence on what was done and why, or why nothing was to be done.
  returned: always
  type: str
  sample: >-
    The backup 20261120T063000Z-3f9a1c replaced the database "shop". Changes made in the last 1h 30m are not in it.
restore:
  description: What was done, or would be in check mode. Every key is there; what is not known is null.
  returned: success
  type: dict
  contains:
    target:
      description: The database that was aimed at, as it was before.
      type: dict
      contains:
        database:
          description: Its name or path.
          type: str
          sample: shop
        existed:
          description: Whether it existed.
          type: bool
          sample: true
        empty:
          description: Whether it was without a single object.
          type: bool
          sample: false
        size:
          description: Its size in bytes.
          type: int
          sample: 1610612736
        size_human:
          description: The same for people.
          type: str
          sample: 1.5 GiB
    backup:
      description: The backup that was chosen. Null for a file, or when nothing was to be done.
      type: dict
      contains:
        id:
          description: The id of the backup.
          type: str
          sample: 20261120T063000Z-3f9a1c
        source_host:
          description: The host that it is of.
          type: str
          sample: db1
        policy:
          description: The policy that it belongs to.
          type: str
          sample: shop
        database:
          description: The database that it is of.
          type: str
          sample: shop
        engine:
          description: The kind of database.
          type: str
          sample: postgresql
        snapshot:
          description: The moment whose state the backup holds, in UTC.
          type: str
          sample: "2026-11-20T06:30:01Z"
        age:
          description: Seconds since that moment.
          type: float
          sample: 93784.0
        age_human:
          description: The same for people.
          type: str
          sample: 1d 2h
    file:
      description: The file that was asked for.
      type: str
      sample: null
    replaces:
      description: Whether content was replaced.
      type: bool
      sample: true
    lost_since:
      description: The span, in seconds, whose changes were in the replaced database and are not in the restored one.
      type: float
      sample: 5400.0
    lost_since_human:
      description: The same for people.
      type: str
      sample: 1h 30m
    kept:
      description: The name under which the replaced database was kept beside.
      type: str
      sample: shop_holdfast_20261120T080000Z
    safety_backup:
      description: The id of the safety backup of the replaced database.
      type: str
      sample: null
    unavailable:
      description: For how many seconds the database could not be used.
      type: float
      sample: 0.084
    unavailable_human:
      description: The same for people.
      type: str
      sample: 84ms
    durations:
      description: Seconds by phase.
      type: dict
      sample: {checksums: 0.3, load: 12.5, compare: 0.6, swap: 0.084}
    marker:
      description: What the database says of itself.
      type: dict
      contains:
        declared:
          description: The declaration that was fulfilled.
          type: str
          sample: latest
        at:
          description: When, in UTC.
          type: str
          sample: "2026-11-20T08:00:00Z"
        backup:
          description: The id of the backup that was restored, or null for a file.
          type: str
          sample: 20261120T063000Z-3f9a1c
        request:
          description: The request that was fulfilled.
          type: str
          sample: after the drop of 20 November
        repository:
          description: The id of the repository that the backup came from.
          type: str
          sample: 7b0c6f2e9d1a4f35
"""

from datetime import timedelta

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.adapter import Outcome, Task, argument_spec, compression_options, identity_options, run
from ..module_utils.encodings import Identity
from ..module_utils.engines.base import Target
from ..module_utils.errors import BadInput
from ..module_utils.model import Marker, Source
from ..module_utils.operations.declaration import Declaration
from ..module_utils.operations.restore import Restored, RestoreRequest, restore
from ..module_utils.results.backups import backup_reference, span, volume

OPTIONS = {
    "id": {"type": "str"},
    "before": {"type": "str"},
    "file": {"type": "path"},
    "target": {"type": "str"},
    "strategy": {"type": "str", "choices": ["swap", "new"], "default": "swap"},
    "confirm": {"type": "str"},
    "safety_backup": {"type": "bool"},
    "request": {"type": "str"},
    "target_host": {"type": "str"},
    **identity_options(),
    "load_as": {"type": "str", "choices": ["auto", "owner", "superuser"], "default": "auto"},
    "trusted": {"type": "bool", "default": False},
    "time_limit": {"type": "str"},
    **compression_options(),
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(OPTIONS),
        mutually_exclusive=[["id", "before", "file"], ["age_identity_file", "age_identity"]],
        required_one_of=[["id", "before", "file"]],
        supports_check_mode=True,
    )
    run(module, work)


def work(task: Task) -> Outcome:
    request = _request(task)
    restored = restore(request, task.now, predict=task.predict)
    before = after = None
    if task.wants_diff:
        before = _holding(restored.target)
        after = _will_hold(restored, task) if restored.changed else before
    return Outcome(
        changed=restored.changed,
        message=restored.reason,
        results={"restore": _result(restored, task)},
        warnings=restored.warnings,
        before=before,
        after=after,
        header=restored.target.display,
    )


def _request(task: Task) -> RestoreRequest:
    target = task.params["target"] or task.params["database"]
    if target is None:
        raise BadInput("The option target is missing; name the database to restore into.")
    file, key = task.params["age_identity_file"], task.params["age_identity"]
    return RestoreRequest(
        engine=task.engine(),
        target=target,
        declaration=_declaration(task),
        settings=task.settings(),
        place=None if task.params["repository"] is None else task.place(),
        strategy=task.params["strategy"],
        confirm=task.params["confirm"],
        safety_backup=task.params["safety_backup"],
        safety_source=Source(task.params["target_host"] or task.host(), task.policy(), target),
        identity=Identity(file, key) if file or key else None,
        compression=task.compression(),
        recipients=task.recipients(),
    )


def _declaration(task: Task) -> Declaration:
    if task.params["file"] is not None:
        return Declaration(file=task.params["file"], request=task.params["request"])
    task.place()  # named here, where the repository is needed and not only useful
    before = task.moment("before")
    if before is not None and before > task.now:
        raise BadInput("The option before names a time that has not come yet; write one in the past, or id: latest.")
    return Declaration(
        source=task.source(),
        backup=task.params["id"],
        before=before,
        request=task.params["request"],
    )


def _result(restored: Restored, task: Task) -> dict:
    target, unavailable = restored.target, restored.seconds_unavailable
    return {
        "target": {
            "database": target.display,
            "existed": target.exists,
            "empty": target.is_empty,
            **volume("size", target.size if target.exists else None),
        },
        "backup": None if restored.backup is None else backup_reference(restored.backup, task.now),
        "file": task.params["file"],
        "replaces": restored.replaces,
        **span("lost_since", restored.lost_since),
        "kept": restored.kept,
        "safety_backup": restored.safety,
        **span("unavailable", None if unavailable is None else timedelta(seconds=unavailable)),
        "durations": {phase: round(seconds, 3) for phase, seconds in restored.durations.items()},
        "marker": None if restored.marker is None else _marker(restored.marker),
    }


def _marker(marker: Marker) -> dict:
    return {
        "declared": marker.declared,
        "at": marker.at,
        "backup": marker.backup,
        "request": marker.request,
        "repository": marker.repository,
    }


def _holding(target: Target) -> dict:
    """What a target holds before the restore, as far as it says so itself."""
    if not target.exists:
        return {"exists": False}
    marker = None if target.marker is None else _marker(target.marker)
    return {"exists": True, "empty": target.is_empty, **volume("size", target.size), "restored_from": marker}


def _will_hold(restored: Restored, task: Task) -> dict:
    if restored.backup is None:
        return {"exists": True, "restored_from": {"file": task.params["file"]}}
    backup = backup_reference(restored.backup, task.now)
    return {"exists": True, "restored_from": {"backup": backup["id"], "snapshot": backup["snapshot"]}}


if __name__ == "__main__":
    main()
