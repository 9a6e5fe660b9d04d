# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""From one connection value to what PostgreSQL's own programs need: keywords, environment, files, an account.

The only place that knows libpq's words. What the user gave travels as connection keywords, because these win over
a service file, which in turn wins over the environment. Secrets travel as nameless files (``SecretFile``), never in
arguments nor in an environment. Sources: the manual's chapters "Database Connection Control Functions", "The
Password File" and "The Connection Service File".
"""

from __future__ import annotations

import os
import pwd
import re
import stat
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from ...accounts import Account, account_named, account_of
from ...errors import BadInput, shown
from ...model import Connection
from ...secret_files import SecretFile

APPLICATION = "holdfast"
_CONNECT_TIMEOUT = "30"
_SECRET_LIMIT = 1 << 16
_PGPASS_LINE = re.compile(r"(?:\\.|[^:\\])+:(?:\d+|\*):(?:\\.|[^:\\])+:(?:\\.|[^:\\])+:(?P<password>.*)")
_SOCKET_DIRECTORIES = ("/var/run/postgresql", "/tmp")

# Given at the start of a connection, these win over whatever a role or a database has set for itself.
_SERVER_OPTIONS = (
    "row_security=off",
    "statement_timeout=0",
    "lock_timeout=0",
    "idle_in_transaction_session_timeout=0",
    "default_transaction_read_only=off",
    "default_transaction_isolation=read\\ committed",
    "default_transaction_deferrable=off",
    "search_path=pg_catalog",
    "standard_conforming_strings=on",
    "DateStyle=ISO",
    "IntervalStyle=postgres",
    "TimeZone=UTC",
    "extra_float_digits=3",
    "bytea_output=hex",
    "lc_monetary=C",
)
# Limits that only newer servers know, with the first version (as server_version_num) that does.
_LIMITS_SINCE = {"idle_session_timeout": 140000, "transaction_timeout": 170000}


@dataclass(frozen=True)
class Access:
    """How programs reach the server.

    ``account``: who they run as, None for as we are. ``keywords``: libpq's, without the database. ``place``: the
    server in words for messages. ``secrets``: to be blacked out of what the programs print.
    """

    account: Account | None
    keywords: Mapping[str, str]
    environment: Mapping[str, str] = field(repr=False)
    descriptors: tuple[int, ...]
    secrets: tuple[str, ...] = field(repr=False)
    place: str

    def conninfo(self, database: str, *, user: str | None = None, server_version: int = 0) -> str:
        """A connection string for ``database``, safe for any name; ``user`` instead of the one that was given.

        ``server_version``: as ``server_version_num``, where it is known; limits that only newer servers know are then
        off from the beginning too, for tools that leave them on.
        """
        keywords = dict(self.keywords, dbname=database)
        for limit, since in _LIMITS_SINCE.items():
            if server_version >= since:
                keywords["options"] += " -c %s=0" % limit
        if user is not None:
            keywords["user"] = user
        return " ".join("%s=%s" % (word, _quoted(value)) for word, value in keywords.items())


@contextmanager
def opened(connection: Connection) -> Iterator[Access]:
    """Everything that programs need to reach the server of ``connection``, good while the block lasts.

    Raises BadInput for a password or file that cannot be used.
    """
    with ExitStack() as files:
        account = _account_for(connection)
        handed = _Handed(account, files)
        password = _password_of(connection)
        environment = {"PGCONNECT_TIMEOUT": _CONNECT_TIMEOUT}
        if password is not None:
            environment["PGPASSFILE"] = handed.content(password.passfile)
        if connection.service_file is not None:
            environment["PGSERVICEFILE"] = handed.file(connection.service_file, "service file")
        yield Access(
            account=account,
            keywords=_keywords(connection, handed),
            environment=environment,
            descriptors=tuple(handed.descriptors),
            secrets=password.secrets if password else (),
            place=_place(connection),
        )


class _Handed:
    """Contents that are handed to programs which could not read the original files themselves."""

    def __init__(self, account: Account | None, files: ExitStack) -> None:
        self._account = account
        self._files = files
        self.descriptors: list[int] = []

    def content(self, text: str) -> str:
        """The path under which the programs find ``text``."""
        secret = SecretFile(text, self._account)
        self._files.callback(secret.close)
        self.descriptors.append(secret.descriptor)
        return secret.path

    def file(self, path: str, word: str) -> str:
        """A path for the content of the file at ``path``: itself where the programs run as we do."""
        if self._account is None or self._account.is_current:
            if not os.access(path, os.R_OK):
                raise BadInput(
                    "The %s %s cannot be read by this user; check its path and rights." % (word, shown(path))
                )
            return path
        return self.content(_read_small(path, word))


def _keywords(connection: Connection, handed: _Handed) -> dict[str, str]:
    """What was given, under libpq's names, and what every connection of ours sets."""
    certificate = connection.ca_cert
    if certificate is not None and certificate != "system":
        certificate = handed.file(certificate, "CA certificate")
    words = {
        "service": connection.service,
        "host": connection.host or connection.unix_socket,
        "port": None if connection.port is None else str(connection.port),
        "user": connection.user,
        "sslmode": connection.ssl_mode,
        "sslrootcert": certificate,
        "sslcert": connection.client_cert and handed.file(connection.client_cert, "client certificate"),
        "sslkey": connection.client_key and handed.file(connection.client_key, "client key"),
        "application_name": APPLICATION,
        "options": " ".join("-c " + option for option in _SERVER_OPTIONS),
    }
    return {word: value for word, value in words.items() if value is not None}


def _account_for(connection: Connection) -> Account | None:
    """Who the programs run as: never root.

    As root: the owner of the server's socket, or ``postgres``, or ``nobody``. Otherwise as we are.
    """
    if os.geteuid() != 0:
        return None
    owner = _socket_owner(connection)
    if owner:
        return account_of(owner)
    for name in ("postgres", "nobody"):
        if _exists(name):
            return account_named(name)
    raise BadInput(
        "PostgreSQL's programs never run as root, and this host has neither postgres nor nobody to run them as."
    )


def _socket_owner(connection: Connection) -> int | None:
    """The user that owns the socket of the connection, where it goes over one that is there; never root."""
    directory = connection.host or connection.unix_socket
    if connection.service is not None or (directory is not None and not directory.startswith("/")):
        return None
    for candidate in (directory,) if directory else _SOCKET_DIRECTORIES:
        try:
            status = os.stat(os.path.join(candidate, ".s.PGSQL.%d" % (connection.port or 5432)))
        except OSError:
            continue
        if stat.S_ISSOCK(status.st_mode) and status.st_uid != 0 and _is_servers_own(candidate, status.st_uid):
            return status.st_uid
    return None


def _is_servers_own(directory: str, owner: int) -> bool:
    """Whether a socket there can be believed: in a directory where everybody may write, only the one of postgres."""
    if not os.stat(directory).st_mode & stat.S_IWOTH:
        return True
    return _exists("postgres") and account_named("postgres").uid == owner


def _exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


@dataclass(frozen=True)
class _Password:
    """``passfile``: the content of a password file for libpq. ``secrets``: the passwords in it."""

    passfile: str = field(repr=False)
    secrets: tuple[str, ...] = field(repr=False)


def _password_of(connection: Connection) -> _Password | None:
    """The password that was given, by itself or in a file.

    A file is either one in libpq's own format (``host:port:database:user:password`` on each line), or holds the
    password alone in its first line, as a credential of systemd does.
    """
    if connection.password is not None:
        return _alone(connection.password)
    if connection.password_file is None:
        return None
    text = _read_secret(connection.password_file)
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    entries = [_PGPASS_LINE.fullmatch(line) for line in lines]
    if entries and all(entries):
        found = (re.sub(r"\\(.)", r"\1", entry["password"]) for entry in entries)
        return _Password(text + "\n", tuple(password for password in found if password))
    return _alone(text.splitlines()[0])


def _alone(password: str) -> _Password:
    if "\n" in password or "\r" in password or "\0" in password:
        raise BadInput("The password holds a line break or a NUL byte, which PostgreSQL's programs cannot be given.")
    return _Password(_pgpass_line(password), (password,) if password else ())


def _read_secret(path: str) -> str:
    """The content of a file that nobody else may read; the group root counts as nobody (systemd's credentials)."""
    text = _read_small(path, "password file")
    status = os.stat(path)
    is_open_to_group = status.st_mode & stat.S_IRWXG and status.st_gid != 0
    if status.st_mode & stat.S_IRWXO or is_open_to_group:
        raise BadInput(
            "The password file %s can be read by other users (mode %04o); run chmod 0600 on it."
            % (shown(path), stat.S_IMODE(status.st_mode))
        )
    if not text.strip() or not text.splitlines()[0]:
        raise BadInput("The password file %s is empty; write the password into its first line." % shown(path))
    return text


def _read_small(path: str, word: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as stream:
            text = stream.read(_SECRET_LIMIT + 1)
    except OSError as reason:
        raise BadInput("The %s %s cannot be read: %s." % (word, shown(path), reason.strerror)) from None
    if len(text) > _SECRET_LIMIT:
        raise BadInput("The %s %s is larger than 64 KiB, which cannot be meant; name another." % (word, shown(path)))
    return text


def _pgpass_line(password: str) -> str:
    return "*:*:*:*:%s\n" % password.replace("\\", "\\\\").replace(":", "\\:")


def _quoted(value: str) -> str:
    return "'%s'" % value.replace("\\", "\\\\").replace("'", "\\'")


def _place(connection: Connection) -> str:
    """The server in words, without secrets."""
    where = connection.host or connection.unix_socket
    if connection.service is not None:
        words = "the server of service %s" % shown(connection.service)
    elif where is None:
        words = "the local server"
    elif where.startswith("/"):
        words = "the server at socket directory %s" % shown(where)
    else:
        words = "the server at host %s" % shown(where)
    if connection.port is not None:
        words += ", port %d" % connection.port
    if connection.user is not None:
        words += ", as user %s" % shown(connection.user)
    return words
