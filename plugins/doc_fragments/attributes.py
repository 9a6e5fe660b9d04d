# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options: {}
attributes:
  action:
    description:
      - An action plugin of the same name runs on the controller. It passes the inventory's name of the host as
        O(source_host), and refuses numbers where a name is meant.
    support: full
  action_group:
    description: Use C(group/holdfast.db.holdfast) in C(module_defaults) to set options for this module.
    support: full
    membership:
      - holdfast.db.holdfast
  async:
    description:
      - Supports being used with the C(async) keyword.
      - The C(timeout) keyword does not stop a module that runs on. Let work on big databases run under C(async).
    support: full
  check_mode:
    description: Can run in C(check_mode) and say what would happen without writing anything.
  diff_mode:
    description: Returns details on what has changed, or would change in C(check_mode), when in diff mode.
  idempotent:
    description: When run twice in a row outside of check mode, with the same arguments, the second run changes nothing.
  platform:
    description: Operating systems on which the module runs.
    support: full
    platforms: posix
"""
