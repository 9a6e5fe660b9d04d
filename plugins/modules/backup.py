# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup
short_description: Make, delete, pin or acknowledge backups of a database
version_added: 0.1.0
description:
  - Makes a consistent backup of one database with the database's own tool, and publishes it in a repository whole or
    not at all. What the database held is counted inside the very snapshot that is dumped.
  - Deletes, pins or acknowledges a single backup.
options:
  state:
    description:
      - V(present) makes a backup; or, given O(id) or O(acknowledge), changes what is known about one.
      - V(absent) deletes the backup O(id).
    type: str
    choices: [present, absent]
    default: present
  id:
    description:
      - The id of an existing backup.
      - With O(state=absent) it is deleted. With O(state=present) its O(pinned) is set, and no backup is made.
    type: str
  if_older_than:
    description:
      - Make a backup only when the newest good one is older than this, such as V(26h) or V(7d).
    type: str
  pinned:
    description:
      - Keep the backup whatever retention says, or no longer.
      - Without O(id) the new backup is meant; no existing backup is changed.
    type: bool
  acknowledge:
    description:
      - The id of a backup that departs far from the backups before it. It is accepted as it is, and no backup is made.
      - Mutually exclusive with O(id), O(if_older_than) and O(pinned).
    type: str
  init:
    description:
      - Make the repository if there is none at O(repository).
      - Give it once, when the repository is set up. Otherwise a file system that is not mounted is filled by mistake.
    type: bool
    default: false
  repository_owner:
    description:
      - The operating-system user who is to own a repository that O(init) makes. Whoever runs, by default.
    type: str
  compression:
    description:
      - How the backup is compressed before it is stored.
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
      - The age public keys, each of which shall be able to read the backup. Without any it is stored in plain text.
    type: list
    elements: str
    default: []
  format:
    description:
      - V(directory) lets several workers dump at the same time, V(stream) writes a single stream.
      - V(auto) chooses. What is encrypted is always a single stream, so that nothing is written in plain text.
    type: str
    choices: [auto, directory, stream]
    default: auto
  fingerprint:
    description:
      - What is recorded of the content for the comparison after a restore. V(rows) counts the rows of every table.
    type: str
    choices: [rows, none]
    default: rows
  time_limit:
    description:
      - How long making the backup may take in all, such as V(2h). Without it, as long as it takes.
    type: str
attributes:
  check_mode:
    support: full
    details:
      - Goes through the whole preflight, connection, rights and space included, and writes nothing.
      - It cannot foretell that an SQLite file is corrupt inside, for only a real copy is checked through and through.
  diff_mode:
    support: full
    details:
      - Shows the newest good backup before and after, or what changed about the one that is named.
  idempotent:
    support: partial
    details:
      - Each run makes a new backup, unless O(if_older_than) says when one is needed.
seealso:
  - module: holdfast.db.backup_info
  - module: holdfast.db.prune
  - module: holdfast.db.restore
extends_documentation_fragment:
  - holdfast.db.attributes
  - holdfast.db.connection
  - holdfast.db.repository
author: holdfast.db maintainers (@holdfast-db)
"""

EXAMPLES = r"""
---
- name: Set up the repository and make the first backup
  holdfast.db.backup:
    engine: sqlite
    database: /srv/shop/shop.db
    policy: shop
    repository: /var/backups/holdfast
    init: true
  register: first

- name: Make a backup unless there is one of the last 26 hours
  holdfast.db.backup:
    engine: sqlite
    database: /srv/shop/shop.db
    policy: shop
    repository: /var/backups/holdfast
    if_older_than: 26h

- name: Keep a backup whatever retention says
  holdfast.db.backup:
    database: /srv/shop/shop.db
    policy: shop
    repository: /var/backups/holdfast
    id: "{{ first.backup.id }}"
    pinned: true

- name: Let retention have it again
  holdfast.db.backup:
    database: /srv/shop/shop.db
    policy: shop
    repository: /var/backups/holdfast
    id: "{{ first.backup.id }}"
    pinned: false

- name: Delete it
  holdfast.db.backup:
    database: /srv/shop/shop.db
    policy: shop
    repository: /var/backups/holdfast
    id: "{{ first.backup.id }}"
    state: absent

- name: Back up a big PostgreSQL database for up to two hours, without holding the connection to the host
  holdfast.db.backup:
    engine: postgresql
    database: shop
    policy: shop
    repository: /var/backups/holdfast
    jobs: 4
    time_limit: 2h
  async: 7500
  poll: 10

- name: Encrypt a backup so that this host cannot read it any more
  holdfast.db.backup:
    engine: postgresql
    database: shop
    policy: shop encrypted
    repository: /var/backups/holdfast
    age_recipients:
      - age1dkgmzt9p66kf9gp0zdlyy3t7h50hvjnnqnu890dztf2jh5vnq42qyyrksr
"""

RETURN = r"""
---
msg:
  description: One sentence on what was done and why, or why nothing was to be done.
  returned: always
  type: str
  sample: A backup was made.
backup:
  description:
    - The backup that was made, changed or found good enough. Every key is there; what is not known is null.
    - In check mode, of a backup that would be made, only what is known beforehand.
    - Of a backup that was deleted, only its id and source.
  returned: success
  type: dict
  contains:
    id:
      description: The id of the backup, which begins with the time at which it was started.
      type: str
      sample: 20261120T063000Z-3f9a1c
    source_host:
      description: The host that it is of, by its name in the inventory.
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
    method:
      description: The native tool or interface that made it.
      type: str
      sample: pg_dump
    type:
      description: V(full), or what kind of partial backup it is.
      type: str
      sample: full
    purpose:
      description: V(ordinary), or V(safety) for what a restore took of the database that it was about to replace.
      type: str
      sample: ordinary
    status:
      description: V(running), V(completed), V(failed), V(interrupted) or V(damaged).
      type: str
      sample: completed
    started:
      description: When the work began, in UTC.
      type: str
      sample: "2026-11-20T06:30:00Z"
    snapshot:
      description: The moment whose state the backup holds, in UTC.
      type: str
      sample: "2026-11-20T06:30:01Z"
    finished:
      description: When the work ended, in UTC.
      type: str
      sample: "2026-11-20T06:30:09Z"
    duration:
      description: Seconds from start to finish.
      type: float
      sample: 9.215
    duration_human:
      description: The same for people.
      type: str
      sample: 9.2s
    age:
      description: Seconds since the moment whose state it holds.
      type: float
      sample: 93784.0
    age_human:
      description: The same for people.
      type: str
      sample: 1d 2h
    size:
      description: Size of the database in bytes.
      type: int
      sample: 1610612736
    size_human:
      description: The same for people.
      type: str
      sample: 1.5 GiB
    stored_size:
      description: Size of all stored files in bytes.
      type: int
      sample: 322122547
    stored_size_human:
      description: The same for people.
      type: str
      sample: 307.2 MiB
    rows:
      description: How many rows all tables held together, where they were counted.
      type: int
      sample: 1204331
    tables:
      description: How many tables were counted.
      type: int
      sample: 42
    compression:
      description: How it is compressed.
      type: str
      sample: zstd
    encrypted:
      description: Whether it is encrypted.
      type: bool
      sample: false
    recipients:
      description: The age public keys that it is encrypted to.
      type: list
      elements: str
      sample: []
    server_version:
      description: The version of the database server.
      type: str
      sample: "15.8"
    client:
      description: The client program that made it, with its version.
      type: str
      sample: pg_dump 15.8
    pinned:
      description: Whether it is kept whatever retention says.
      type: bool
      sample: false
    flags:
      description:
        - Sentences on how far it departs from the backups before it.
        - A backup with flags is not V(latest), and nothing of its source is pruned, until it is acknowledged.
      type: list
      elements: str
      sample: []
    acknowledged:
      description: Whether its flags were looked at and accepted.
      type: bool
      sample: false
    problem:
      description: What went wrong with it, if anything.
      type: str
      sample: null
    last_drill:
      description: The record of the newest drill that restored it, if there was one.
      type: dict
      sample: null
    artifacts:
      description: Its stored files.
      type: list
      elements: dict
      contains:
        name:
          description: The name of the file, or of the directory, inside the backup.
          type: str
          sample: shop.dump.zst
        role:
          description: What it is for.
          type: str
          sample: dump
        size:
          description: Its size in bytes.
          type: int
          sample: 322122547
        sha256:
          description: Its checksum. Of a directory, that of the file that lists the checksums of its files.
          type: str
          sample: e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
    warnings:
      description: Sentences that the run that made it had to say.
      type: list
      elements: str
      sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.adapter import Outcome, Task, argument_spec, compression_options, run
from ..module_utils.errors import BadInput
from ..module_utils.model import Source
from ..module_utils.operations.catalog import catalog
from ..module_utils.operations.choosing import newest
from ..module_utils.operations.create import CreateRequest, create
from ..module_utils.operations.manage import Managed, acknowledge, pin, remove
from ..module_utils.operations.requests import Place, Selection
from ..module_utils.results.backups import backup_result, planned_backup

OPTIONS = {
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "id": {"type": "str"},
    "if_older_than": {"type": "str"},
    "pinned": {"type": "bool"},
    "acknowledge": {"type": "str"},
    "init": {"type": "bool", "default": False},
    "repository_owner": {"type": "str"},
    **compression_options(),
    "format": {"type": "str", "choices": ["auto", "directory", "stream"], "default": "auto"},
    "fingerprint": {"type": "str", "choices": ["rows", "none"], "default": "rows"},
    "time_limit": {"type": "str"},
}


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(OPTIONS),
        mutually_exclusive=[
            ["id", "acknowledge"],
            ["id", "if_older_than"],
            ["acknowledge", "if_older_than"],
            ["acknowledge", "pinned"],
        ],
        supports_check_mode=True,
    )
    run(module, work)


def work(task: Task) -> Outcome:
    if task.params["state"] == "absent":
        return delete(task)
    if task.params["acknowledge"] is not None:
        return accept(task)
    if task.params["id"] is not None:
        return set_pinned(task)
    return make(task)


def make(task: Task) -> Outcome:
    request = CreateRequest(
        place=task.place(),
        source=task.source(),
        engine=task.engine(),
        settings=task.settings(),
        compression=task.compression(),
        recipients=task.recipients(),
        if_older_than=task.duration("if_older_than"),
        pinned=bool(task.params["pinned"]),
        init=task.params["init"],
        repository_owner=task.params["repository_owner"],
    )
    created = create(request, task.now, predict=task.predict)
    if created.entry is not None:
        backup = backup_result(created.entry, task.now)
    else:
        backup = planned_backup(created.source, created.engine, created.method)
    before = after = None
    if task.wants_diff:
        # Read afterwards, for before there may be no repository yet; what this run made is left out.
        made = created.entry.id if created.changed and created.entry is not None else None
        would_be_first = created.initialised and task.predict
        before = {"newest_backup": None if would_be_first else _newest_but(made, task, request.place, request.source)}
        after = {"newest_backup": made or "a new backup"} if created.changed else before
    return Outcome(
        changed=created.changed,
        message=created.reason,
        results={"backup": backup},
        warnings=created.warnings,
        before=before,
        after=after,
        header=str(created.source),
    )


def set_pinned(task: Task) -> Outcome:
    if task.params["pinned"] is None:
        raise BadInput("The option id names an existing backup; give pinned with it, or state: absent to delete it.")
    backup_id, pinned = task.params["id"], task.params["pinned"]
    managed = pin(task.place(), task.source(), backup_id, pinned=pinned, predict=task.predict)
    return _managed(task, managed, backup_id, {"pinned": pinned}, {"pinned": not pinned})


def accept(task: Task) -> Outcome:
    backup_id = task.params["acknowledge"]
    managed = acknowledge(task.place(), task.source(), backup_id, predict=task.predict)
    return _managed(task, managed, backup_id, {"acknowledged": True}, {"acknowledged": False})


def delete(task: Task) -> Outcome:
    backup_id = task.needed("id", "the backup to delete; backup_info lists them")
    managed = remove(task.place(), task.source(), backup_id, predict=task.predict)
    return _managed(task, managed, backup_id, {"exists": False}, {"exists": True})


def _managed(task: Task, managed: Managed, backup_id: str, wanted: dict, otherwise: dict) -> Outcome:
    """The outcome for one existing backup that is as ``wanted`` now and was ``otherwise`` if it changed."""
    source = task.source()
    if managed.entry is not None:
        backup = backup_result(managed.entry, task.now)
    else:
        backup = {**planned_backup(source, None, None), "id": backup_id, "purpose": None}
    before = otherwise if managed.changed else wanted
    header = "%s of %s" % (backup_id, source)
    return Outcome(
        changed=managed.changed,
        message=managed.reason,
        results={"backup": backup},
        before=before,
        after=wanted,
        header=header,
    )


def _newest_but(made: str | None, task: Task, place: Place, source: Source) -> str | None:
    """The id of the newest good backup of the source, without the one that was just made."""
    found = catalog(place, Selection(source.host, source.policy, source.database))
    entry = newest([one for one in found.entries if one.id != made], task.now)
    return None if entry is None else entry.id


if __name__ == "__main__":
    main()
