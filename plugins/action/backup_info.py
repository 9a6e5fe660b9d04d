# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

from ansible_collections.holdfast.db.plugins.plugin_utils.source_host import HoldfastAction


class ActionModule(HoldfastAction):
    module = "holdfast.db.backup_info"
