# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: backup_info
short_description: List the backups in a repository
version_added: 0.1.0
description:
  - Lists the backups of one host or of all, newest first, with tries that failed or were interrupted and with backups
    whose manifest cannot be read.
  - Reads the repository alone. No database is contacted, and nothing is written.
options:
  id:
    description:
      - List only the backup with this id.
    type: str
  status:
    description:
      - List only what has one of these states. Everything by default.
    type: list
    elements: str
    choices: [running, completed, failed, interrupted, damaged]
    default: []
  limit:
    description:
      - List at most so many, the newest.
    type: int
attributes:
  check_mode:
    support: full
    details:
      - Never changes anything.
  diff_mode:
    support: N/A
    details:
      - Never changes anything.
  idempotent:
    support: N/A
    details:
      - Never changes anything.
seealso:
  - module: holdfast.db.backup
  - module: holdfast.db.verify
  - plugin: holdfast.db.backup_table
    plugin_type: filter
extends_documentation_fragment:
  - holdfast.db.attributes
  - holdfast.db.connection
  - holdfast.db.repository
author: holdfast.db maintainers (@holdfast-db)
"""

EXAMPLES = r"""
---
- name: List all backups of this host
  holdfast.db.backup_info:
    repository: /var/backups/holdfast
  register: found

- name: Show them as a table
  ansible.builtin.debug:
    msg: "{{ found.backups | holdfast.db.backup_table }}"

- name: Look at the newest completed backup of one database
  holdfast.db.backup_info:
    repository: /var/backups/holdfast
    policy: shop
    database: /srv/shop/shop.db
    status: [completed]
    limit: 1

- name: List tries that went wrong, of every host that has a folder in this repository
  holdfast.db.backup_info:
    repository: /var/backups/holdfast
    source_host: "*"
    status: [failed, interrupted, damaged]
"""

RETURN = r"""
---
msg:
  description: How many were found.
  returned: always
  type: str
  sample: "Found 12 backups and tries."
backups:
  description: What was found, newest first. Each has every key; what is not known is null.
  returned: success
  type: list
  elements: dict
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

from ..module_utils.adapter import Outcome, Task, argument_spec, run
from ..module_utils.operations.catalog import catalog
from ..module_utils.results.backups import backup_result

OPTIONS = {
    "id": {"type": "str"},
    "status": {
        "type": "list",
        "elements": "str",
        "choices": ["running", "completed", "failed", "interrupted", "damaged"],
        "default": [],
    },
    "limit": {"type": "int"},
}


def main() -> None:
    run(AnsibleModule(argument_spec=argument_spec(OPTIONS), supports_check_mode=True), work)


def work(task: Task) -> Outcome:
    found = catalog(task.place(), task.readable_sources())
    backup_id, states = task.params["id"], task.params["status"]
    wanted = [
        entry
        for entry in found.entries
        if (backup_id is None or entry.id == backup_id) and (not states or entry.status in states)
    ]
    listed = [backup_result(entry, task.now) for entry in wanted[: task.number("limit", 1)]]
    message = "Found %d backups and tries." % len(listed)
    return Outcome(changed=False, message=message, results={"backups": listed}, warnings=found.warnings)


if __name__ == "__main__":
    main()
