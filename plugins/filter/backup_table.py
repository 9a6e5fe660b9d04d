# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
name: backup_table
short_description: Show backups as a table of plain text
version_added: 0.1.0
author:
  - holdfast.db maintainers (@holdfast-db)
description:
  - Turns the list that M(holdfast.db.backup_info) returns into text for a person, one table for each source.
  - With its usual columns the table fits into 100 columns of a terminal. Times are in UTC.
  - A last column appears where a backup has something special to it. V(safety) is what a restore took of the database
    that it was about to replace, V(pinned) stays whatever retention says, and V(flagged) departs from the backups
    before it and waits to be acknowledged.
positional: columns
options:
  _input:
    description: The backups, as in RV(holdfast.db.backup_info#module:backups).
    type: list
    elements: dict
    required: true
  columns:
    description:
      - Which columns to show, in this order.
      - To restore one certain backup you need its V(id), which is left out by default for want of room.
    type: list
    elements: str
    choices: [id, engine, method, type, status, started, finished, duration, size, stored_size, rows, age]
    default: [method, type, status, started, duration, size, stored_size, age]
seealso:
  - module: holdfast.db.backup_info
"""

EXAMPLES = r"""
- name: Look into the repository
  holdfast.db.backup_info:
    repository: /var/backups/holdfast
  register: listed

- name: Show what is there
  ansible.builtin.debug:
    msg: "{{ listed.backups | holdfast.db.backup_table }}"

- name: Show the ids to choose from
  ansible.builtin.debug:
    msg: "{{ listed.backups | holdfast.db.backup_table(columns=['id', 'status', 'rows', 'stored_size', 'age']) }}"
"""

RETURN = r"""
_value:
  description: The table, lines separated by newlines; one sentence where there are no backups.
  type: str
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ansible.errors import AnsibleFilterError

from ..module_utils.errors import BadInput
from ..module_utils.tables import USUAL_COLUMNS, backup_table


def show_backups(backups: Sequence[Mapping[str, Any]], columns: Sequence[str] = USUAL_COLUMNS) -> str:
    """The filter: complaints become those of a template."""
    if isinstance(backups, (str, Mapping)) or not all(isinstance(backup, Mapping) for backup in backups):
        raise AnsibleFilterError("backup_table takes a list of backups, such as backups of backup_info; give it that.")
    try:
        return backup_table(backups, columns)
    except BadInput as reason:
        raise AnsibleFilterError(str(reason)) from None


class FilterModule:
    """What Ansible looks for in a file of filters."""

    def filters(self) -> dict[str, Callable[..., str]]:
        """Filters by their names."""
        return {"backup_table": show_backups}
