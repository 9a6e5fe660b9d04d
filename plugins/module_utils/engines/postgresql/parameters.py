# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Settings of roles and databases as SQL.

Some settings are lists of names that are quoted one by one (GUC_LIST_QUOTE in guc_tables.c): written as one string
they would name a single schema called ``"$user", public``.
"""

from __future__ import annotations

import re

from .session import identifier, literal

OWN_PREFIX = "holdfast."
_LISTS = frozenset(
    (
        "local_preload_libraries",
        "search_path",
        "session_preload_libraries",
        "shared_preload_libraries",
        "temp_tablespaces",
        "unix_socket_directories",
    )
)
_ITEM = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^",]*))\s*(?:,|$)')


def set_clause(name: str, value: str) -> str:
    """``SET name TO value`` for ALTER ROLE and ALTER DATABASE; ``value`` as pg_db_role_setting keeps it."""
    quoted_name = identifier(*name.split("."))
    if name.lower() in _LISTS and value:
        return "SET %s TO %s" % (quoted_name, ", ".join(literal(item) for item in list_items(value)))
    return "SET %s TO %s" % (quoted_name, literal(value))


def list_items(value: str) -> list[str]:
    """The names in a list setting; those without quotes are folded to lower case, as the server does."""
    items = []
    position = 0
    while position < len(value):
        match = _ITEM.match(value, position)
        if match is None or match.end() == position:
            # Not a list of names after all: hand it on as a single one, so that nothing is taken for SQL.
            return [value]
        quoted, bare = match.groups()
        items.append(quoted.replace('""', '"') if quoted is not None else bare.strip().lower())
        position = match.end()
    return items


def split_settings(settings: list[str]) -> list[tuple[str, str]]:
    """(name, value) of each ``name=value``, without those that holdfast itself keeps in a database."""
    pairs = [setting.partition("=")[::2] for setting in settings]
    return [(name, value) for name, value in pairs if not name.lower().startswith(OWN_PREFIX)]
