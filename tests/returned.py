# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Compare what a module answered with the RETURN block that explains it."""

from __future__ import annotations

import importlib

import yaml

KINDS = {"str": str, "int": int, "float": (int, float), "bool": bool, "list": list, "dict": dict}
# What Ansible itself puts beside a module's own keys.
OF_ANSIBLE = {"changed", "failed", "diff", "warnings", "invocation", "exception", "ansible_facts", "deprecations"}


def assert_explained(module: str, result: dict) -> None:
    """Each key of ``result`` is in RETURN with its type, and each key in RETURN is there."""
    source = importlib.import_module("ansible_collections.holdfast.db.plugins.modules.%s" % module)
    documented = yaml.safe_load(source.RETURN)
    own = {key: value for key, value in result.items() if key not in OF_ANSIBLE and not key.startswith("_ansible")}
    _compare(own, documented, module)


def _compare(found: dict, documented: dict, where: str) -> None:
    assert set(found) == set(documented), where
    for key, value in found.items():
        _compare_value(value, documented[key], "%s.%s" % (where, key))


def _compare_value(value: object, documented: dict, where: str) -> None:
    if value is None:
        return
    assert isinstance(value, KINDS[documented["type"]]), where
    inner = documented.get("contains")
    if inner and isinstance(value, dict):
        _compare(value, inner, where)
    if inner and isinstance(value, list):
        for one in value:
            _compare(one, inner, where + "[]")
