# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The version that manifests carry; it equals the one in galaxy.yml."""

from __future__ import annotations

VERSION = "0.1.0"
