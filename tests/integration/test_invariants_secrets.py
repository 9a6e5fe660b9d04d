# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Passwords and age identities stay in the memory of our own process: looked for wherever anybody could look."""

from __future__ import annotations

import os
import pathlib
import socket
import subprocess
import threading
import urllib.parse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml
from ansible_collections.holdfast.db.plugins.module_utils.errors import HoldfastError
from integration.circle_support import PostgresqlCircle, Program, one_sentence
from integration.postgresql_support import Server, own_major, running_server, system_programs
from playing import Stage

pytestmark = [
    pytest.mark.postgresql,
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can look into the processes of everybody"),
]
PASSWORD = "gJ7:correct\\horse 'staple'"
KEEPER = "circle_keeper"
# Whatever a tool might make of it on its way.
FORMS = {PASSWORD, PASSWORD.replace("\\", "\\\\").replace(":", "\\:"), urllib.parse.quote(PASSWORD), "correct\\horse"}


@pytest.fixture(name="locked", scope="module")
def locked_fixture() -> Iterator[Server]:
    """A server that wants a password over TCP and over its socket, and writes down every statement."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    talkative = {"log_statement": "all", "log_min_duration_statement": "0", "log_connections": "on"}
    listening = {"listen_addresses": "127.0.0.1", "port": str(port)}
    with running_server(system_programs()[own_major()], **talkative, **listening) as server:
        yield server


@pytest.fixture(name="shop")
def shop_fixture(locked: Server, tmp_path: pathlib.Path) -> Iterator[PostgresqlCircle]:
    circle = PostgresqlCircle(tmp_path, locked, rows=2000)
    locked.psql("DROP ROLE IF EXISTS %s" % KEEPER)
    locked.psql("CREATE ROLE %s SUPERUSER LOGIN PASSWORD '%s'" % (KEEPER, PASSWORD.replace("'", "''")))
    (locked.base / "log").write_text("")
    rules = "local all all scram-sha-256\nhost all all 127.0.0.1/32 scram-sha-256\n"
    with locked.hba(rules):
        yield circle
    circle.remove()


@contextmanager
def watching(secrets: set[str]) -> Iterator[list[str]]:
    """Read the command line and the environment of every process as often as possible; where a secret was seen."""
    seen: list[str] = []
    stopped = threading.Event()
    rounds = 0

    def look() -> None:
        nonlocal rounds
        while not stopped.is_set():
            rounds += 1
            for pid in filter(str.isdigit, os.listdir("/proc")):
                for name in ("cmdline", "environ"):
                    try:
                        with open("/proc/%s/%s" % (pid, name), "rb") as file:
                            text = file.read().decode("utf-8", "surrogateescape")
                    except OSError:
                        continue
                    seen.extend("%s of %s" % (name, text[:80]) for secret in secrets if secret in text)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield seen
    finally:
        stopped.set()
        thread.join()
    assert rounds > 5


def traced(order: dict[str, Any], trace: pathlib.Path) -> tuple[dict[str, Any], str]:
    """Run the program under strace; what it said, and every argument and variable of all that was started."""
    prefix = ["strace", "-f", "-qq", "-v", "-s", "100000", "-e", "trace=execve", "-o", str(trace)]
    return Program(order, prefix=prefix).end(), trace.read_text(errors="surrogateescape")


def identity_in(file: str) -> str:
    lines = pathlib.Path(file).read_text().splitlines()
    return next(line for line in lines if line.startswith("AGE-SECRET-KEY"))


def stored_text(circle: PostgresqlCircle, identity_file: str) -> str:
    """Everything in the repository and the work directory, as it is and unpacked."""
    text = ""
    for path in [*circle.repository.rglob("*"), *circle.space.rglob("*")]:
        if not path.is_file():
            continue
        content = path.read_bytes()
        if path.name.endswith(".age"):
            decrypt = ["age", "-d", "-i", identity_file]
            content = subprocess.run(decrypt, input=content, capture_output=True, check=True).stdout
        if content[:4] == b"\x28\xb5\x2f\xfd":
            content = subprocess.run(["zstd", "-dc"], input=content, capture_output=True, check=True).stdout
        text += content.decode("utf-8", "surrogateescape")
    return text


@pytest.mark.parametrize("way", ["socket", "tcp"])
def test_a_password_and_an_identity_are_seen_nowhere(
    shop: PostgresqlCircle, age_key: tuple[str, str], tmp_path: pathlib.Path, way: str
) -> None:
    recipient, identity_file = age_key
    identity = identity_in(identity_file)
    secrets = {*FORMS, identity, identity.lower()}
    reached = {"unix_socket": shop.server.socket} if way == "socket" else {"host": "127.0.0.1"}
    connection = {**reached, "port": shop.server.port, "user": KEEPER, "password": PASSWORD}
    orders = [
        shop.order("create", init=True, recipients=[recipient], connection=connection),
        shop.order("create", connection=connection, settings={"form": "directory", "jobs": 2}, policy="plain"),
        shop.order("verify", identity=identity, connection=connection),
        shop.order("restore", identity=identity, connection=connection, confirm=shop.database),
        shop.order("restore", policy="plain", connection=connection, target=shop.copy, strategy="new"),
    ]
    with watching(secrets) as seen:
        for order in orders:
            said, started = traced(order, tmp_path / "trace")
            assert said["error"] is None, said
            assert "pg_" in started
            for secret in secrets:
                assert secret not in started
                assert secret.encode().hex() not in started
    assert seen == []
    log = shop.server.log()
    assert "holdfast_load_" in log, "the log does not show statements, so that this test could not fail"
    stored = stored_text(shop, identity_file)
    assert "CREATE TABLE" in stored or "filled" in stored
    for secret in secrets:
        assert secret not in log
        assert secret not in stored
    assert "SCRAM-SHA-256$" not in stored


def test_errors_and_records_of_failed_tries_do_not_tell(shop: PostgresqlCircle, age_key: tuple[str, str]) -> None:
    recipient, identity_file = age_key
    identity = identity_in(identity_file)
    connection = {"unix_socket": shop.server.socket, "port": shop.server.port, "user": KEEPER, "password": PASSWORD}
    shop.create(recipients=[recipient], connection=connection)
    said = []
    wrong = "wrong" + PASSWORD
    for do in (
        lambda: shop.create(connection={**connection, "password": wrong}),
        lambda: shop.create(connection=connection, settings={"tools": "/nowhere"}),
        lambda: shop.create(connection=connection, database=PASSWORD),
        lambda: shop.restore(identity="AGE-SECRET-KEY-1" + "Q" * 58, connection=connection),
        lambda: shop.restore(identity=identity[:-1], connection=connection),
        lambda: shop.restore(identity="nonsense " + PASSWORD, connection=connection),
    ):
        with pytest.raises(HoldfastError) as caught:
            do()
        said.append(one_sentence(caught.value))
    told = "\n".join(one for number, one in enumerate(said) if number != 2)
    for secret in {*FORMS, identity, identity[:-1]}:
        assert secret not in told
    assert wrong not in stored_text(shop, identity_file)
    problems = [one.problem for one in shop.entries() if one.status == "failed"]
    assert sorted(problems) == sorted(said[:2])


def test_ansible_shows_neither(shop: PostgresqlCircle, age_key: tuple[str, str], tmp_path: pathlib.Path) -> None:
    recipient, identity_file = age_key
    identity = identity_in(identity_file)
    given = {
        "engine": "postgresql",
        "database": shop.database,
        "repository": str(shop.repository),
        "login_unix_socket": shop.server.socket,
        "login_port": shop.server.port,
        "login_user": KEEPER,
        "login_password": "{{ a_password }}",
    }
    copy = {"id": "latest", "strategy": "new", "target": shop.copy, "age_identity": "{{ an_identity }}"}
    tasks = [
        ("backup", {"init": True, "age_recipients": [recipient]}),
        ("restore", copy),
        ("backup", {"login_password": "wrong {{ a_password }}"}),
    ]
    stage = Stage(tmp_path / "controller")
    inventory = yaml.safe_load(stage.inventory.read_text())
    # In the inventory, for Ansible shows the lines of a playbook around a task that fails.
    inventory["all"]["vars"] = {"a_password": PASSWORD, "an_identity": identity}
    stage.inventory.write_text(yaml.safe_dump(inventory))
    with watching({*FORMS, identity}) as seen:
        played = stage.play(
            *({"name": "Try it", "holdfast.db.%s" % module: more, "ignore_errors": True} for module, more in tasks),
            defaults=given,
            verbosity=3,
            diff=True,
            environment={"ANSIBLE_INJECT_INVOCATION": "1"},
        )
    assert [result["failed"] for result in played.results] == [False, False, True], played.output
    assert "login_password" in played.output, "the invocation is not shown, so that this test could not fail"
    for secret in {*FORMS, identity}:
        assert secret not in played.output
        assert secret not in str(played.results)
    assert seen == []
