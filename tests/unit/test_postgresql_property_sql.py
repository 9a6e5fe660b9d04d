"""The SQL that brings a database's own properties back."""

from __future__ import annotations

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.property_sql import (
    creation_options,
    grant_statement,
    ordered_grants,
)
from ansible_collections.holdfast.db.plugins.module_utils.errors import Refused

LIBC = {
    "encoding": "UTF8",
    "locale_provider": "libc",
    "collate": "nl_NL.UTF-8",
    "ctype": "C",
    "locale": None,
    "icu_rules": None,
    "tablespace": 'fa"st',
}


def row(grantor: str, grantee: str | None, privilege: str = "CONNECT", *, grantable: bool = False) -> dict[str, object]:
    return {"grantor": grantor, "grantee": grantee, "privilege": privilege, "grantable": grantable}


def test_a_copy_is_made_with_the_locale_and_tablespace_of_the_source() -> None:
    words = creation_options(LIBC, 130000)
    assert words == ("TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE 'nl_NL.UTF-8' LC_CTYPE 'C' TABLESPACE \"fa\"\"st\"")
    assert "LOCALE_PROVIDER libc" in creation_options(LIBC, 150000)


def test_icu_and_builtin_locales_come_back_where_servers_know_them() -> None:
    icu = dict(LIBC, locale_provider="icu", locale="de-u-co-phonebk", icu_rules="& V << w <<< W")
    assert "LOCALE_PROVIDER icu ICU_LOCALE 'de-u-co-phonebk' ICU_RULES '& V << w <<< W'" in creation_options(
        icu, 160000
    )
    builtin = dict(LIBC, locale_provider="builtin", locale="C.UTF-8")
    assert "LOCALE_PROVIDER builtin BUILTIN_LOCALE 'C.UTF-8'" in creation_options(builtin, 170000)


@pytest.mark.parametrize(("provider", "version"), [("icu", 140000), ("builtin", 160000), ("new one", 180000)])
def test_a_locale_that_the_server_cannot_have_is_refused(provider: str, version: int) -> None:
    with pytest.raises(Refused):
        creation_options(dict(LIBC, locale_provider=provider, locale="C"), version)


def test_grants_come_after_those_that_they_rest_on() -> None:
    rows = [row("b", "c"), row("a", "b", grantable=True), row("owner", "a", grantable=True), row("owner", None)]
    ordered, missing = ordered_grants(rows, "owner", {"a", "b", "c", "owner"})
    assert [one["grantee"] for one in ordered] == ["a", None, "b", "c"]
    assert missing == []


def test_grants_to_or_through_missing_roles_are_named() -> None:
    rows = [row("owner", "gone", grantable=True), row("gone", "c"), row("owner", "c")]
    ordered, missing = ordered_grants(rows, "owner", {"c", "owner"})
    assert [(one["grantor"], one["grantee"]) for one in ordered] == [("owner", "c")]
    assert missing == ["gone"]


def test_a_privilege_that_is_none_is_never_written_as_sql() -> None:
    with pytest.raises(Refused):
        grant_statement('"d"', row("owner", "a", "CONNECT ON DATABASE x TO y; --"))
