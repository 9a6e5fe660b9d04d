# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: kept_database_info
short_description: List the old databases that restores kept beside
version_added: 0.1.0
description:
  - A restore with C(strategy=swap) leaves the database that it replaced beside the new one, under a dated name, until
    somebody removes it. This module lists them with their size and age, newest first.
  - With O(database), only those that were this database.
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
  - module: holdfast.db.kept_database
  - module: holdfast.db.restore
extends_documentation_fragment:
  - holdfast.db.attributes
  - holdfast.db.connection
  - holdfast.db.repository
author: holdfast.db maintainers (@holdfast-db)
"""

EXAMPLES = r"""
---
- name: List the databases that restores kept beside the shop's
  holdfast.db.kept_database_info:
    engine: postgresql
    database: shop
  register: beside

- name: Show how much room they take
  ansible.builtin.debug:
    msg: "{{ item.name }} is {{ item.age_human }} old and takes {{ item.size_human }}"
  loop: "{{ beside.kept_databases }}"
  loop_control:
    label: "{{ item.name }}"
"""

RETURN = r"""
---
msg:
  description: How many were found.
  returned: always
  type: str
  sample: Found 1 kept database.
kept_databases:
  description: The kept databases, newest first.
  returned: success
  type: list
  elements: dict
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
from ..module_utils.operations.kept import list_kept
from ..module_utils.results.kept import kept_result

OPTIONS: dict = {}  # only those that every module takes


def main() -> None:
    run(AnsibleModule(argument_spec=argument_spec(OPTIONS), supports_check_mode=True), work)


def work(task: Task) -> Outcome:
    found = list_kept(task.engine(), task.settings(), task.params["database"])
    listed = [kept_result(one, task.now) for one in found]
    message = "Found %d kept %s." % (len(listed), "database" if len(listed) == 1 else "databases")
    return Outcome(changed=False, message=message, results={"kept_databases": listed})


if __name__ == "__main__":
    main()
