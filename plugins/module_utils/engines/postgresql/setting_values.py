# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The values of settings, kept out of the manifest: people store keys and passwords in ALTER DATABASE ... SET.

The manifest names the settings; their values lie in an artifact, which is encrypted where the dump is.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from ...errors import Damaged, shown
from ..base import LoadOrder

ROLE = "settings"
FILE = "settings.json"


def values_of(properties: Mapping[str, Any]) -> dict[str, Any] | None:
    """What goes into the artifact: the settings of the database and of each role; None where there are none."""
    of_roles = {role["name"]: role["settings"] for role in properties["roles"] if role["settings"]}
    if not (properties["settings"] or of_roles):
        return None
    return {"settings": properties["settings"], "roles": of_roles}


def without_values(properties: Mapping[str, Any]) -> dict[str, Any]:
    """``properties`` for the manifest: the same, with the names of the settings alone."""
    return dict(
        properties,
        settings=[{"role": row["role"], "name": row["name"]} for row in properties["settings"]],
        roles=[dict(role, settings=[name for name, _value in role["settings"]]) for role in properties["roles"]],
    )


def complete_properties(order: LoadOrder) -> dict[str, Any]:
    """The properties of the backup in ``order`` with the values; empty for a file. Raises Damaged, Refused."""
    if order.manifest is None:
        return {}
    properties = dict(order.manifest.properties)
    artifact = order.manifest.artifact(ROLE)
    if artifact is None:
        return properties
    try:
        values = json.loads(order.reader.text(artifact))
        of_roles = values["roles"]
        properties["settings"] = values["settings"]
        properties["roles"] = [dict(role, settings=of_roles.get(role["name"], [])) for role in properties["roles"]]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Damaged("The settings %s cannot be understood." % shown(artifact.name), artifact.name) from None
    return properties
