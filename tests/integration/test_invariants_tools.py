# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A native tool that fails, lies or is too old never leads to a backup; the good one before it stays the latest.

The client programs here are scripts around the real ones, in a directory that is named as ``tools``.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import tempfile
from collections.abc import Iterator

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError, Refused
from integration.circle_support import PostgresqlCircle, one_sentence
from integration.postgresql_support import Server

pytestmark = pytest.mark.postgresql
STREAM = {"form": "stream"}
DIRECTORY = {"form": "directory", "jobs": 2}
HERE = 'for word; do case "$word" in --file=*) here="${word#--file=}";; esac; done; '


class Tools:
    """A directory of client programs that the servers' account can run."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.path = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-tools-", dir="/tmp"))
        self.path.chmod(0o755)
        self.ran = self.path / "ran"
        self.ran.write_text("")
        self.ran.chmod(0o666)
        for tool in ("psql", "pg_dump", "pg_restore"):
            self.write(tool, 'exec %s "$@"' % server.client(tool))

    def write(self, tool: str, script: str, version: str = "") -> None:
        """Replace one program by a script; asked for its version it answers as the real one, or with ``version``."""
        real = self.server.client(tool)
        answer = "echo '%s'" % version if version else '%s "$@"' % real
        file = self.path / tool
        file.write_text(
            '#!/bin/bash\nREAL=%s\ncase "$*" in *--version*) %s; exit;; esac\necho %s >> %s\n%s\n'
            % (real, answer, tool, self.ran, script)
        )
        file.chmod(0o755)

    def runs(self, tool: str) -> int:
        """How often a program was run for its work."""
        return self.ran.read_text().split().count(tool)


@pytest.fixture(name="tools")
def tools_fixture(server: Server) -> Iterator[Tools]:
    made = Tools(server)
    yield made
    shutil.rmtree(made.path)


@pytest.fixture(name="shop")
def shop_fixture(server: Server, tmp_path: pathlib.Path) -> Iterator[PostgresqlCircle]:
    circle = PostgresqlCircle(tmp_path, server, rows=2000)
    circle.execute("CREATE TABLE others AS SELECT 1 AS a")
    circle.create()
    yield circle
    circle.remove()


def assert_no_backup_comes_of_it(shop: PostgresqlCircle, tools: Tools, settings: dict, *words: str) -> None:
    """It fails in one sentence with these words, the try is recorded with it, and what was there stays."""
    before = shop.good()
    with pytest.raises(HoldfastError) as caught:
        shop.create(settings={**settings, "tools": str(tools.path)})
    sentence = one_sentence(caught.value)
    for word in words:
        assert word in sentence
    assert shop.good() == before
    (failed,) = [entry for entry in shop.entries() if entry.status == "failed"]
    assert failed.problem == sentence
    assert shop.unfinished() == []
    assert not list(shop.repository.rglob("%s/*" % failed.id))


LIES = [
    pytest.param(STREAM, '$REAL "$@"; echo "no more disk" >&2; exit 3', ["status 3", "no more disk"], id="fails last"),
    pytest.param(STREAM, "exit 0", ["pg_"], id="writes nothing"),
    pytest.param(STREAM, "echo garbage", ["pg_"], id="writes garbage"),
    pytest.param(STREAM, '$REAL "$@" | head -c 100', ["pg_"], id="is cut off in the table of contents"),
    pytest.param(STREAM, '$REAL "$@" | head -c -3000', ["cut off"], id="is cut off in the rows"),
    pytest.param(STREAM, '$REAL "$@" --exclude-table=public.filled', ["lacks", "filled"], id="omits a table"),
    pytest.param(
        STREAM, '$REAL "$@" --exclude-table-data=public.filled', ["lacks", "rows of", "filled"], id="omits rows"
    ),
    pytest.param(STREAM, '$REAL "$@" --schema-only', ["lacks", "rows of"], id="omits all rows"),
    pytest.param(STREAM, '$REAL "${@/circle_shop/postgres}"', ["pg_dump"], id="dumps another database"),
    pytest.param(STREAM, '$REAL "$@" --table=public.others', ["lacks", "filled"], id="dumps one table alone"),
    pytest.param(STREAM, '$REAL "$@"; kill -9 $$', ["signal 9"], id="is killed"),
    pytest.param(DIRECTORY, '$REAL "$@"; exit 3', ["status 3"], id="directory: fails last"),
    pytest.param(DIRECTORY, "exit 0", ["pg_restore"], id="directory: writes nothing"),
    pytest.param(
        DIRECTORY, '$REAL "$@" --exclude-table=public.filled', ["lacks", "filled"], id="directory: omits a table"
    ),
    pytest.param(DIRECTORY, HERE + '$REAL "$@"; rm -- $(ls $here/*.gz | head -n 1)', ["lacks"], id="directory: a file"),
    pytest.param(
        DIRECTORY, HERE + '$REAL "$@"; truncate -s 40 $here/toc.dat', ["pg_restore"], id="directory: its list"
    ),
]


@pytest.mark.parametrize(("settings", "script", "words"), LIES)
def test_a_pg_dump_that(shop: PostgresqlCircle, tools: Tools, settings: dict, script: str, words: list[str]) -> None:
    tools.write("pg_dump", script)
    assert_no_backup_comes_of_it(shop, tools, settings, *words)
    assert shop.create().changed


def test_the_scripts_themselves_are_no_reason_to_fail(shop: PostgresqlCircle, tools: Tools) -> None:
    for settings in (STREAM, DIRECTORY):
        assert shop.create(settings={**settings, "tools": str(tools.path)}).entry.is_good
    assert shop.verify().damaged == ()
    assert tools.runs("pg_dump") == 2


@pytest.mark.parametrize(("program", "about"), [("zstd", {}), ("age", {"recipients": ["RECIPIENT"]})])
@pytest.mark.parametrize("script", ['$REAL "$@"; echo broken >&2; exit 1', "exit 0", "head -c 1000"])
def test_a_compressor_that_fails_or_lies(
    circle, tools: Tools, monkeypatch: pytest.MonkeyPatch, program: str, about: dict, script: str, age_key
) -> None:
    """Its exit status counts; and what it wrote with exit 0 is read back before it counts."""
    recipient, identity = age_key
    about = {name: [recipient] for name in about}
    circle.create(**about)
    good = circle.good()
    real = shutil.which(program)
    (tools.path / program).write_text("#!/bin/bash\nREAL=%s\n%s\n" % (real, script))
    (tools.path / program).chmod(0o755)
    with monkeypatch.context() as patched:
        patched.setenv("PATH", "%s:%s" % (tools.path, os.environ["PATH"]))
        try:
            circle.create(**about)
        except HoldfastError as reason:
            one_sentence(reason)
            assert circle.good() == good
            return
    # Where it said that all went well, verification is what finds it out.
    assert "exit 1" not in script
    assert len(circle.verify(identity_file=identity).damaged) == 1
    assert circle.good() == good


def test_an_older_client_is_refused_by_name_before_it_runs(shop: PostgresqlCircle, tools: Tools) -> None:
    for tool in ("psql", "pg_dump", "pg_restore"):
        tools.write(tool, 'exec $REAL "$@"', version="%s (PostgreSQL) 9.6.24" % tool)
    for predict in (True, False):
        with pytest.raises(Refused, match=r"PostgreSQL %d\..*pg_dump on this host is 9\.6\.24" % shop.server.major):
            shop.create(settings={"tools": str(tools.path)}, predict=predict)
    assert tools.runs("pg_dump") == 0


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ('$REAL "$@"; echo "error: lost it" >&2; exit 1', ["lost it"]),
        ('$REAL "$@" --exclude-schema=none --section=pre-data', ["filled"]),
        ("cat >/dev/null; exit 0", []),
        ('head -c 4000 | $REAL "$@"', []),
        ('$REAL "$@"; kill -9 $$', ["signal 9"]),
    ],
)
def test_a_pg_restore_that_loads_a_part_leaves_the_live_database(
    shop: PostgresqlCircle, tools: Tools, script: str, words: list[str]
) -> None:
    shop.change("live")
    tools.write("pg_restore", 'case "$*" in *--list*|*-l*) exec $REAL "$@";; esac; ' + script)
    with pytest.raises(HoldfastError) as caught:
        shop.restore(settings={"tools": str(tools.path), "jobs": 1})
    sentence = one_sentence(caught.value)
    assert all(word in sentence for word in words)
    assert shop.word() == "live"
    assert shop.unfinished() == []
    assert shop.kept() == []
    assert shop.restore().changed
    assert shop.word() == "first"


def test_a_missing_or_killed_tool_is_not_called_damage(circle, tools: Tools, monkeypatch: pytest.MonkeyPatch) -> None:
    """Verification says what hindered it, and the backup stays the latest."""
    circle.create(compression={"kind": "zstd"})
    good = circle.good()
    for script in ("exec /nowhere/zstd", "kill -9 $$"):
        (tools.path / "zstd").write_text("#!/bin/bash\n%s\n" % script)
        (tools.path / "zstd").chmod(0o755 if "kill" in script else 0o644)
        with monkeypatch.context() as patched:
            patched.setenv(
                "PATH", str(tools.path) if "nowhere" in script else "%s:%s" % (tools.path, os.environ["PATH"])
            )
            with pytest.raises(HoldfastError, match="zstd") as caught:
                circle.verify()
        one_sentence(caught.value)
        assert "damaged" not in str(caught.value)
        assert circle.good() == good
