# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kept_database
short_description: Remove an old database that a restore kept beside
version_added: 0.1.0
description:
  - A restore with C(strategy=swap) leaves the database that it replaced beside the new one, under a dated name. This
    module removes it for good.
  - Only databases that a restore put aside are ever removed.
options:
  name:
    description:
      - The name of the kept database, as M(holdfast.db.kept_database_info) lists it.
    type: str
    required: true
  state:
    description:
      - V(absent) removes it.
    type: str
    choices: [absent]
    default: absent
  confirm:
    description:
      - The same name once more. Without it an existing database is not removed.
    type: str
attributes:
  check_mode:
    support: full
  diff_mode:
    support: full
  idempotent:
    support: full
seealso:
  - module: holdfast.db.kept_database_info
  - module: holdfast.db.restore
extends_documentation_fragment:
  - holdfast.db.attributes
  - holdfast.db.connection
  - holdfast.db.repository
author: holdfast.db maintainers (@holdfast-db)
"""

EXAMPLES = r"""
---
- name: List the databases that restores kept beside
  holdfast.db.kept_database_info:
    engine: postgresql
  register: beside

- name: Remove those that are older than two weeks
  holdfast.db.kept_database:
    engine: postgresql
    name: "{{ item.name }}"
    confirm: "{{ item.name }}"
  loop: "{{ beside.kept_databases | selectattr('age', 'gt', 14 * 24 * 3600) }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
---
msg:
  description: One sentence on what was done, or why nothing was to be done.
  returned: always
  type: str
  sample: The kept database "shop_holdfast_20261120T063000Z" was removed.
kept_database:
  description: The database that was removed, or would be in check mode. Where there was none, only its name is known.
  returned: success
  type: dict
  contains:
    name:
      description: The name of the kept database.
      type: str
      sample: shop_holdfast_20261120T063000Z
    database:
      description: The database that it was.
      type: str
      sample: shop
    since:
      description: When it was put aside, in UTC.
      type: str
      sample: "2026-11-20T06:30:00Z"
    age:
      description: Seconds since then.
      type: float
      sample: 93784.0
    age_human:
      description: The same for people.
      type: str
      sample: 1d 2h
    size:
      description: Its size in bytes.
      type: int
      sample: 1610612736
    size_human:
      description: The same for people.
      type: str
      sample: 1.5 GiB
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.adapter import Outcome, Task, argument_spec, run
from ..module_utils.operations.kept import drop_kept
from ..module_utils.results.kept import kept_result, unknown_kept

OPTIONS = {
    "name": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["absent"], "default": "absent"},
    "confirm": {"type": "str"},
}


def main() -> None:
    run(AnsibleModule(argument_spec=argument_spec(OPTIONS), supports_check_mode=True), work)


def work(task: Task) -> Outcome:
    name, confirm = task.params["name"], task.params["confirm"]
    dropped = drop_kept(task.engine(), task.settings(), name, confirm, predict=task.predict)
    kept = unknown_kept(name) if dropped.kept is None else kept_result(dropped.kept, task.now)
    return Outcome(
        changed=dropped.changed,
        message=dropped.reason,
        results={"kept_database": kept},
        before={"exists": dropped.changed},
        after={"exists": False},
        header=name,
    )


if __name__ == "__main__":
    main()
