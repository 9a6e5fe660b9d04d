# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  policy:
    description:
      - The policy that the backups belong to. One database may be backed up under several.
      - When not given, V(default) where one source is meant or backups may be removed, and any policy where backups
        are only read.
    type: str
  source_host:
    description:
      - The host whose backups are meant, by its name in the inventory.
      - When not given, the C(inventory_hostname) of the task's host. With C(delegate_to) that is still the host that
        the task is about, not the one that it is delegated to.
      - Where backups are only read, V(*) means every host.
    type: str
  repository:
    description:
      - The absolute path, on the host, of the directory in which the backups live.
    type: path
  repository_id:
    description:
      - The id of the repository that must be found at O(repository). Any other is refused.
    type: str
  lock_timeout:
    description:
      - How long to wait for what others hold, another writer of the same source or a lock on a table.
      - A whole number and one of C(s), C(m), C(h), C(d), C(w).
    type: str
    default: 60s
"""
