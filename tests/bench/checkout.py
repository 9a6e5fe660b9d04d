# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where the checkout is. Importing this lets the helpers of the tests be imported too, as pytest does for them."""

from __future__ import annotations

import pathlib
import sys

CHECKOUT = pathlib.Path(__file__).resolve().parents[2]
sys.path[1:1] = [str(CHECKOUT / name) for name in ("tests", "tests/integration", "collections")]
