# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A temporary role that logs in with the rights of a database's owner, and with nothing more.

The role has a random password that only this process knows; the server is told its verifier alone, so that not even
a log of statements holds it. It may log in for a limited time, and becomes the owner as it does.
"""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import hmac
import secrets
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from ...errors import HoldfastError
from ...secret_files import SecretFile
from .connection import Access
from .context import ServerContext
from .naming import is_load_name
from .session import Session, connected, identifier, literal

_LIFETIME = "7 days"
_ITERATIONS = 4096
_IDENTITY = (
    "SELECT (SELECT system_identifier FROM pg_catalog.pg_control_system())::text AS server,"
    " pg_catalog.pg_postmaster_start_time()::text AS started, CURRENT_USER AS role,"
    " pg_catalog.current_setting('is_superuser') AS is_superuser"
)


class NoEntry(HoldfastError):
    """The server does not let the temporary role in; the message says what it said."""


@contextmanager
def acting_as_owner(context: ServerContext, session: Session, owner: str, copy: str) -> Iterator[Access]:
    """The way into the database ``copy`` as ``owner``; the role is gone when the block is left.

    ``session``: a superuser's, outside ``copy``. The role has the name of the copy. Raises NoEntry.
    """
    password = secrets.token_urlsafe(24)
    name = identifier(copy)
    with session.transaction():
        session.execute(
            "CREATE ROLE %s LOGIN PASSWORD %s VALID UNTIL %s"
            % (name, literal(_verifier(password)), literal(_expiry(session)))
        )
        session.execute("GRANT %s TO %s" % (identifier(owner), name))
        session.execute("ALTER ROLE %s SET role = %s" % (name, literal(owner)))
        # Errors are told apart by their words, so they must come in the one language that is known.
        session.execute("ALTER ROLE %s SET lc_messages = 'C'" % name)
    with ExitStack() as files:
        secret = SecretFile("*:*:*:*:%s\n" % password, context.access.account)
        files.callback(secret.close)
        try:
            yield _way_in(context, session, owner, copy, secret, password)
        finally:
            remove_loader(context, session, copy, owner)


def remove_loader(context: ServerContext, session: Session, copy: str, owner: str | None) -> None:
    """Drop the temporary role of ``copy``; what the loaded code may have made in its name goes to ``owner``."""
    if not session.query("SELECT 1 AS it FROM pg_catalog.pg_roles WHERE rolname = %s" % literal(copy)):
        return
    name = identifier(copy)
    session.query(
        "SELECT pg_catalog.pg_terminate_backend(pid) AS ended FROM pg_catalog.pg_stat_activity WHERE usename = %s"
        % literal(copy)
    )
    exists = session.query("SELECT 1 AS it FROM pg_catalog.pg_database WHERE datname = %s" % literal(copy))
    if exists and owner is not None:
        with context.session(copy) as inside:
            inside.execute("REASSIGN OWNED BY %s TO %s" % (name, identifier(owner)))
            inside.execute("DROP OWNED BY %s" % name)
    session.execute("DROP ROLE %s" % name)


def remove_leftover_loaders(session: Session, target: str) -> None:
    """Drop the temporary roles that killed restores of ``target`` left; their databases are gone already."""
    for row in session.query(
        "SELECT rolname AS name FROM pg_catalog.pg_roles WHERE rolname LIKE 'holdfast\\_load\\_%'"
    ):
        if is_load_name(row["name"], target):
            session.execute("DROP ROLE " + identifier(row["name"]))


def _way_in(
    context: ServerContext, session: Session, owner: str, copy: str, secret: SecretFile, password: str
) -> Access:
    """The first way that leads into ``copy`` on this very server as ``owner``."""
    psql = context.programs.path("psql")
    wanted = dict(session.query(_IDENTITY)[0], role=owner, is_superuser="off")
    refusals = []
    for keywords in _ways(context.access, session):
        access = dataclasses.replace(
            context.access,
            keywords=dict(keywords, user=copy),
            environment=dict(context.access.environment, PGPASSFILE=secret.path),
            descriptors=(*context.access.descriptors, secret.descriptor),
            secrets=(*context.access.secrets, password),
        )
        try:
            with connected(context.processes, access, psql, copy) as inside:
                if inside.query(_IDENTITY)[0] == wanted:
                    return access
                refusals.append("another server or role answered")
        except HoldfastError as reason:
            refusals.append(str(reason))
    raise NoEntry("the server did not let a temporary member of the owner log in (%s)" % refusals[-1].rstrip("."))


def _ways(access: Access, session: Session) -> Iterator[dict[str, str]]:
    """Connection keywords to try: the way we came, then over the loopback, where passwords are usual."""
    same = {word: value for word, value in access.keywords.items() if word not in ("sslcert", "sslkey")}
    yield same
    host = access.keywords.get("host", "/")
    if host.startswith("/"):
        port = session.value("SELECT pg_catalog.current_setting('port') AS port")
        for loopback in ("127.0.0.1", "::1"):
            yield dict(same, host=loopback, port=port)


def _expiry(session: Session) -> str:
    return session.value("SELECT (pg_catalog.now() + interval '%s')::text AS until" % _LIFETIME)


def _verifier(password: str) -> str:
    """What the server keeps of a password (RFC 5803, scram-common.c); only plain ASCII passwords."""
    salt = secrets.token_bytes(16)
    salted = hashlib.pbkdf2_hmac("sha256", password.encode("ascii"), salt, _ITERATIONS)
    client_key = hmac.new(salted, b"Client Key", hashlib.sha256).digest()
    stored_key = hashlib.sha256(client_key).digest()
    server_key = hmac.new(salted, b"Server Key", hashlib.sha256).digest()
    words = [base64.b64encode(one).decode("ascii") for one in (salt, stored_key, server_key)]
    return "SCRAM-SHA-256$%d:%s$%s:%s" % (_ITERATIONS, *words)
