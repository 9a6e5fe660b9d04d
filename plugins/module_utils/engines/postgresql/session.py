# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Talking SQL to a server through ``psql``, which is the one driver that every host with PostgreSQL has.

A ``Session`` is one psql that stays connected. Rows come back as JSON, one line each, followed by a random mark and
the SQLSTATE, so that an error is told apart from output whatever the language of the server's messages.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from ...errors import BadInput, HoldfastError, NotFound, Refused, ToolFailed, shown
from ...pipeline import Command, Conversation, Processes
from .connection import Access

_SUCCESS = "00000"
_ROWS = "SELECT pg_catalog.row_to_json(holdfast_row) FROM (%s) AS holdfast_row"
_STOP_CHECK = 0.2
_PASSWORD_FROM = re.compile(r"\s*password retrieved from file \"[^\"]*\"")
_PROGRAM_PREFIX = re.compile(r"psql:(<stdin>:\d+:|\s*error:)\s*")


class SqlError(ToolFailed):
    """The server refused a statement. ``sqlstate``: the five letters of the manual's appendix on error codes."""

    def __init__(self, message: str, sqlstate: str) -> None:
        super().__init__(message)
        self.sqlstate = sqlstate


def literal(text: str) -> str:
    """``text`` as an SQL string; raises BadInput for a NUL byte."""
    _refuse_nul(text)
    return "'%s'" % text.replace("'", "''")


def identifier(*names: str) -> str:
    """``names`` as a quoted, dotted SQL name; raises BadInput for a NUL byte."""
    for name in names:
        _refuse_nul(name)
    return ".".join('"%s"' % name.replace('"', '""') for name in names)


def array(numbers: list[int]) -> str:
    """``numbers`` as an SQL array of oid."""
    return "'{%s}'::pg_catalog.oid[]" % ",".join(str(int(number)) for number in numbers)


class Session:
    """One connection to one database.

    ``server_version``: as ``server_version_num`` (150004 is 15.4). ``server_text``: as the server says it.
    ``user``: the role that the server took us for. After an SqlError outside a transaction the session goes on.
    """

    def __init__(self, conversation: Conversation, database: str) -> None:
        self.database = database
        self._conversation = conversation
        self._mark = "holdfast-" + secrets.token_hex(16)
        self._is_waiting = False
        self._rows: list[str] = []
        self._error: list[str] | None = None
        self._prepare()

    def _prepare(self) -> None:
        # A database in SQL_ASCII may hold names in no encoding at all: take its bytes as they are.
        self._conversation.say("\\set VERBOSITY terse")
        about = self.query(
            "SELECT pg_catalog.set_config('client_encoding', CASE pg_catalog.getdatabaseencoding()"
            " WHEN 'SQL_ASCII' THEN 'SQL_ASCII' ELSE 'UTF8' END, false) AS encoding,"
            " pg_catalog.current_setting('server_version_num')::int AS number,"
            " pg_catalog.current_setting('server_version') AS text, CURRENT_USER AS role,"
            " pg_catalog.pg_backend_pid() AS pid"
        )[0]
        self.server_version: int = about["number"]
        self.server_text: str = about["text"]
        self.user: str = about["role"]
        self.backend_pid: int = about["pid"]
        self.execute("SET client_min_messages = error")
        # A table that its owner swaps for a view after we have looked would run the owner's code as us. The setting
        # came with the fix of CVE-2024-7348; where it is not known, nothing is set.
        self.query(
            "SELECT pg_catalog.set_config(name, 'view, foreign-table', false) AS it FROM pg_catalog.pg_settings"
            " WHERE name = 'restrict_nonsystem_relation_kind'"
        )
        if self.server_version >= 140000:
            self.execute("SET idle_session_timeout = 0")
        if self.server_version >= 170000:
            self.execute("SET transaction_timeout = 0")

    @property
    def major(self) -> int:
        """The server's major version."""
        return self.server_version // 10000

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of one SELECT (no semicolon) by column; raises SqlError, or ToolFailed if the session broke."""
        self._send(_ROWS % sql)
        return [json.loads(line) for line in self._finish()]

    def value(self, sql: str) -> Any:
        """The first column of the first row of one SELECT; None where there is no row."""
        rows = self.query(sql)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, sql: str) -> None:
        """Run one statement (no semicolon) and wait for it; raises as ``query``."""
        self._send(sql)
        self._finish()

    def begin_async(self, sql: str) -> None:
        """Send one statement and return at once; ``poll`` tells when it is done."""
        self._send(sql)

    def poll(self, timeout: float) -> bool:
        """Whether the statement of ``begin_async`` is done, waiting up to ``timeout`` seconds; raises as ``query``."""
        if not self._listen(timeout):
            return False
        self._finish()
        return True

    def query_unless(self, sql: str, stopped: threading.Event) -> list[dict[str, Any]]:
        """As ``query``, given up with ToolFailed soon after ``stopped`` is set; the session is then of no more use."""
        self._send(_ROWS % sql)
        while not self._listen(_STOP_CHECK):
            if stopped.is_set():
                raise ToolFailed("A question to database %s was given up." % shown(self.database))
        return [json.loads(line) for line in self._finish()]

    @contextmanager
    def transaction(self, mode: str = "") -> Iterator[None]:
        """BEGIN with ``mode``, COMMIT at the end of the block, ROLLBACK where the block raised one of our errors."""
        self.execute("BEGIN " + mode)
        try:
            yield
        except HoldfastError:
            self._roll_back()
            raise
        self.execute("COMMIT")

    def _roll_back(self) -> None:
        # Where the connection is gone, the transaction is too; the first error is the one to show.
        with suppress(ToolFailed):
            self.execute("ROLLBACK")

    def _send(self, sql: str) -> None:
        if self._is_waiting:
            raise ToolFailed("A statement was sent while another one was still running in the same session.")
        self._is_waiting = True
        self._rows, self._error = [], None
        self._conversation.say(
            "\\set LAST_ERROR_SQLSTATE %s\n%s\n;\n" % (_SUCCESS, sql)
            + "\\echo %s\n\\echo :LAST_ERROR_SQLSTATE :LAST_ERROR_MESSAGE\n\\echo %s" % (self._mark, self._mark)
        )

    def _listen(self, timeout: float | None) -> bool:
        """Take in what psql says until the second mark; False when ``timeout`` passed first."""
        while True:
            try:
                line = self._conversation.hear(timeout)
            except ToolFailed as reason:
                raise ToolFailed(
                    "The connection to database %s broke: %s" % (shown(self.database), _spoken(str(reason)))
                ) from None
            if line is None:
                return False
            if line == self._mark:
                if self._error is not None:
                    return True
                self._error = []
            elif self._error is None:
                self._rows.append(line)
            else:
                self._error.append(line)

    def _finish(self) -> list[str]:
        if self._is_waiting and (self._error is None or not self._error):
            self._listen(None)
        self._is_waiting = False
        sqlstate, _gap, message = " ".join(self._error or []).partition(" ")
        if sqlstate != _SUCCESS:
            raise SqlError(
                "The server said, in database %s: %s." % (shown(self.database), message.strip().rstrip(".")),
                sqlstate,
            )
        return self._rows


@contextmanager
def connected(
    processes: Processes, access: Access, psql: str, database: str, *, user: str | None = None
) -> Iterator[Session]:
    """A session on ``database`` through the program ``psql``; ``user`` instead of the connection's own.

    Raises NotFound where there is no such database and Refused where the server cannot be reached or does not let
    us in, with the connection named.
    """
    argv = (psql, "-X", "-q", "-A", "-t", "-w", "--dbname=" + access.conninfo(database, user=user))
    command = Command(argv, access.environment, access.account, descriptors=access.descriptors, secrets=access.secrets)
    with processes.converse(command) as conversation:
        try:
            session = Session(conversation, database)
        except SqlError:
            raise
        except ToolFailed as reason:
            raise _not_connected(str(reason), access.place, database) from None
        yield session


def _not_connected(reason: str, place: str, database: str) -> HoldfastError:
    """Why the server did not let us in, in one sentence."""
    said = _spoken(reason)
    if re.search(r'database ".*" does not exist', said, re.DOTALL):
        return NotFound("There is no database %s on %s; correct its name or create it." % (shown(database), place))
    if "password authentication failed" in said:
        return Refused("The password was not accepted by %s; correct it. (%s)" % (place, said))
    if "no password supplied" in said:
        return Refused("A password is wanted by %s; give login_password or login_password_file." % place)
    if "Connection refused" in said or "No such file or directory" in said or "could not translate host" in said:
        return Refused("Nothing answers at %s; check that it runs and listens there. (%s)" % (place, said))
    return Refused("Database %s on %s cannot be opened: %s" % (shown(database), place, said))


def _spoken(reason: str) -> str:
    """The message of libpq or the server without psql's own decoration, and without how it gets its password."""
    text = _PROGRAM_PREFIX.sub("", _PASSWORD_FROM.sub("", reason.partition(": ")[2] or reason))
    return text.rstrip(".?") + "."


def _refuse_nul(text: str) -> None:
    if "\0" in text:
        raise BadInput("The name or text %s holds a NUL byte, which PostgreSQL cannot store." % shown(text))
