# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The story of the demo, from top to bottom: a shop is backed up, harmed, restored, verified and pruned.

Every backup and restore is done by `ansible-playbook demo.yml`; what is printed here is what its tasks answered and
what the live databases themselves say when they are asked.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import shutil
import signal
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime
from typing import Any

import yaml
from ansible_collections.holdfast.db.plugins.module_utils.tables import Column, table
from databases import Contents, Database, PostgreSQLShop, SQLiteShop
from paper import Paper
from playbook import HERE, ROOT, Answer, Playbook, PlaybookError
from server import NoServerError, private_server
from shop import TABLES, Shop

PLACE = ROOT / ".demo"
REPOSITORY = PLACE / "backups"
_NEW_ORDERS = 40


def main() -> int:
    """Tell the story; return 0 when it ended well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # leave every block, so that the server is stopped
    paper = Paper()
    began = time.monotonic()
    try:
        with only_one_demo(), ExitStack() as stack:
            playbook = fresh_place()
            paper.heading("A small web shop loses its orders, and holdfast.db brings them back.")
            paper.say("What stands after a $ is run for real, in the folder demo; what follows it was answered.")
            databases = open_shop(paper, stack)
            circle(paper, playbook, databases)
    except BrokenPipeError:  # nobody reads on, as behind `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except (PlaybookError, OSError, RuntimeError) as error:
        paper.bad(f"The demo cannot go on. {error}")
        return 1
    except KeyboardInterrupt:
        paper.bad(f"Stopped; private servers are gone, and what was made so far lies in {PLACE}")
        return 130
    tell_the_rest(paper, playbook, databases, time.monotonic() - began)
    return 0


def circle(paper: Paper, playbook: Playbook, databases: Sequence[Database]) -> None:
    """Once around, for all databases together."""
    shop = Shop(datetime.now(UTC))
    make_shop(paper, shop, databases)
    back_up(paper, playbook, shop, databases)
    before = ask(databases)
    lose_data(paper, databases)
    harmed = ask(databases)
    suspects = back_up_harmed(paper, playbook)
    restore(paper, playbook, databases)
    compare(paper, databases, (before, harmed, ask(databases)))
    restore_again(paper, playbook)
    verify(paper, playbook)
    prune(paper, playbook, suspects)


@contextmanager
def only_one_demo() -> Iterator[None]:
    """Two demos in one checkout would write over each other."""
    descriptor = os.open(HERE, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        yield
    except BlockingIOError:
        raise PlaybookError("Another demo is running in this checkout; wait for its end.") from None
    finally:
        os.close(descriptor)


def fresh_place() -> Playbook:
    """The folder that everything lies in, emptied of what an earlier demo left."""
    if PLACE.exists():
        shutil.rmtree(PLACE)
    logs = PLACE / "log"
    logs.mkdir(parents=True)
    return Playbook(logs)


def open_shop(paper: Paper, stack: ExitStack) -> list[Database]:
    """The databases that can be had here, named in the inventory; PostgreSQL's server lives as long as ``stack``."""
    paper.step("The shop, once for each kind of database")
    databases: list[Database] = [SQLiteShop(PLACE / "shop.db")]
    try:
        server = stack.enter_context(private_server(PLACE / "log" / "postgresql.log"))
        databases.append(PostgreSQLShop(server))
    except NoServerError as reason:
        paper.say(f"PostgreSQL is left out: {reason}.")
    hosts = {database.host: database.variables() for database in databases}
    common = {
        "ansible_connection": "local",
        "ansible_python_interpreter": "{{ ansible_playbook_python }}",
        "shop_repository": str(REPOSITORY),
    }
    inventory = {"shops": {"hosts": hosts, "vars": common}}
    (PLACE / "inventory.yml").write_text(yaml.safe_dump(inventory, sort_keys=False), encoding="utf-8")
    return databases


def make_shop(paper: Paper, shop: Shop, databases: Sequence[Database]) -> None:
    """The same rows in each."""
    rows = shop.opening_rows()
    for database in databases:
        database.create(rows)
        paper.item(f"{database.host:<5}", f"{database.title}: {database.home}")
    counts = ", ".join(f"{len(rows[name]):,} {name.replace('_', ' ')}" for name in TABLES)
    paper.say(f"Each holds {counts}.")


def back_up(paper: Paper, playbook: Playbook, shop: Shop, databases: Sequence[Database]) -> None:
    """Three backups, while the shop goes on selling."""
    paper.step(f"Three backups, with {_NEW_ORDERS} new orders between one and the next")
    paper.command(playbook.command("--tags", "backup"))
    for number in range(3):
        if number:
            orders = shop.trade(_NEW_ORDERS)
            for database in databases:
                database.add(orders)
        for host, answer in in_order(playbook.run("--tags", "backup"), "Back up"):
            backup = answer["backup"]
            paper.item(
                f"{host:<5}",
                f"{backup['id']}   {backup['rows']:,} rows, {backup['size_human']}, stored as "
                f"{backup['stored_size_human']} in {backup['duration_human']}",
            )


def lose_data(paper: Paper, databases: Sequence[Database]) -> None:
    """The accidents, straight in the live databases."""
    paper.step("The accident")
    for database in databases:
        database.harm()
        paper.bad(f"{database.host:<5} {database.accident};   {database.excuse}")


def back_up_harmed(paper: Paper, playbook: Playbook) -> dict[str, str]:
    """The nightly backup comes before anybody has noticed; returns the ids of the flagged backups, by host."""
    paper.step("The nightly backup comes before anybody has noticed")
    arguments = ("--tags", "backup,list")
    paper.command(playbook.command(*arguments))
    answers = playbook.run(*arguments)
    suspects = {}
    for host, answer in in_order(answers, "Back up"):
        backup = answer["backup"]
        suspects[host] = backup["id"]
        paper.item(f"{host:<5}", f"{backup['id']}   flagged: {' '.join(backup['flags'])}")
    paper.say("They are kept, but a flagged backup is not what `latest` means, and nothing is pruned meanwhile.")
    for _host, answer in in_order(answers, "Show the list"):
        paper.block("\n" + answer["msg"])
    return suspects


def restore(paper: Paper, playbook: Playbook, databases: Sequence[Database]) -> None:
    """One database after the other, because each name is typed by a person."""
    paper.step("The newest good backup takes the place of the harmed database")
    for database in databases:
        arguments = ("--tags", "restore", "--limit", database.host, "-e", f"holdfast_confirm={database.name}")
        paper.command(playbook.command(*arguments))
        for host, answer in in_order(playbook.run(*arguments), "Restore"):
            for warning in answer["warnings"]:
                paper.item(f"{host:<5}", warning)
            paper.item(f"{host:<5}", f"{answer['msg']} {how_it_went(answer['restore'])}")


def how_it_went(restored: Mapping[str, Any]) -> str:
    """How long the live database was away, and where the old one is now."""
    told = [
        f"Its rows were counted and compared first; the live database was away for {restored['unavailable_human']}."
    ]
    if restored["kept"]:
        told.append(f"The harmed one is kept beside as the database {restored['kept']}.")
    if restored["safety_backup"]:
        told.append(f"The harmed one was saved as the backup {restored['safety_backup']}.")
    return " ".join(told)


def compare(paper: Paper, databases: Sequence[Database], states: Sequence[Mapping[str, Contents]]) -> None:
    """The counts of before, after the accident and now, side by side; raises RuntimeError unless all is back."""
    paper.step("Are the rows back? The live databases are asked, not the backups")
    moments = ("BEFORE", "ACCIDENT", "RESTORED")
    columns = [Column("HOST"), Column("TABLE"), *(Column(moment, is_number=True) for moment in moments)]
    rows = [
        [database.host, name, *(shown_count(state[database.host].rows[name]) for state in states)]
        for database in databases
        for name in TABLES
    ]
    paper.block("\n".join(table(columns, rows)))
    before, _harmed, now = states
    differing = [database.host for database in databases if before[database.host] != now[database.host]]
    if differing:
        raise RuntimeError(f"The contents before the accident and now differ on {', '.join(differing)}.")
    paper.good("Every value of every row is as it was before the accident.")


def shown_count(rows: int | None) -> str:
    """A number of rows, or that there is no such table."""
    return "no table" if rows is None else f"{rows:,}"


def restore_again(paper: Paper, playbook: Playbook) -> None:
    """The same declaration once more, for all hosts and with nothing confirmed."""
    paper.step("The same once more changes nothing, so that it may stand in a playbook that runs every hour")
    paper.command(playbook.command("--tags", "restore"))
    for host, answer in in_order(playbook.run("--tags", "restore"), "Restore"):
        if answer["changed"]:
            raise RuntimeError(f"The second restore on {host} changed something.")
        paper.item(f"{host:<5}", f"unchanged. {answer['msg']}")


def verify(paper: Paper, playbook: Playbook) -> None:
    """All backups, as far as they can be read without restoring them."""
    paper.step("Are the backups whole?")
    paper.command(playbook.command("--tags", "verify"))
    for host, answer in in_order(playbook.run("--tags", "verify"), "Verify"):
        findings = answer["verify"]["reports"][0]["findings"]
        paper.item(f"{host:<5}", f"{answer['msg']} Of the newest: {' '.join(findings)}")


def prune(paper: Paper, playbook: Playbook, suspects: Mapping[str, str]) -> None:
    """Delete the backup that somebody has looked at now; of the others, what goes, what stays, and why."""
    paper.step("The flagged backups are looked at and deleted; of the others the last two are kept")
    for host, backup_id in suspects.items():
        arguments = ("--tags", "delete,prune", "--limit", host, "-e", f"backup_id={backup_id}")
        paper.command(playbook.command(*arguments))
        for _host, answer in in_order(playbook.run(*arguments), "Prune"):
            tell_decisions(paper, host, answer["prune"]["sources"])


def tell_decisions(paper: Paper, host: str, sources: Sequence[Mapping[str, Any]]) -> None:
    """Each backup with what became of it and the reasons."""
    for source in sources:
        for decision in (*source["keep"], *source["remove"]):
            verb = "removed" if decision["id"] in source["removed"] else "stays"
            paper.item(f"{host:<5} {decision['id']} {verb:<8}", "; ".join(decision["reasons"]))


def tell_the_rest(paper: Paper, playbook: Playbook, databases: Sequence[Database], seconds: float) -> None:
    """What happened, where it lies, and what to type next."""
    paper.heading(f"What happened, in {seconds:.0f} seconds")
    paper.say(
        "Each database was backed up, lost rows, and got all of them back from its newest good backup; a backup of "
        "the harmed state was told apart, and a second restore changed nothing. ansible-playbook did all of it with "
        "one playbook that is worth reading: it is all that you would write."
    )
    paper.item("playbook  ", str(HERE / "demo.yml"))
    paper.item("inventory ", f"{PLACE / 'inventory.yml'}   (both hosts are this machine)")
    paper.item("repository", f"{REPOSITORY}   (a folder for each backup)")
    paper.item("log       ", f"{PLACE / 'log'}   (what ansible-playbook printed)")
    paper.heading("What to try next")
    paper.command(f"cd {shlex.quote(str(HERE))}")
    for meaning, command in things_to_try(playbook, databases[0]):
        paper.say(meaning)
        paper.command(command)
    if len(databases) > 1:
        paper.say("The private PostgreSQL server is gone. Its backups are still there to be listed and verified.")
    paper.say("make demo starts afresh; make clean removes all of it.")


def things_to_try(playbook: Playbook, database: Database) -> list[tuple[str, str]]:
    """Commands that work after the demo has ended, in the demo's folder."""
    on_host = ("--limit", database.host)
    confirmed = (*on_host, "-e", f"holdfast_confirm={database.name}", "-e", "restore_request=again")
    oldest = sorted((REPOSITORY / database.host).glob("*/*/2*/"))[0]
    by_hand = ["zstd", "-d", "-f", str(oldest / "database.sqlite.zst"), "-o", str(PLACE / "by-hand.db")]
    return [
        ("List the backups again:", playbook.command("--tags", "list")),
        (
            "Read what one backup says about itself, with the commands that restore it by hand:",
            shlex.join(["cat", str(oldest / "manifest.json")]),
        ),
        ("Get a backup out without holdfast.db; what comes is an SQLite file:", shlex.join(by_hand)),
        (
            "Restore once more, because a new request asks for it; first only as a forecast:",
            playbook.command("--tags", "restore", *confirmed, "--check", "--diff"),
        ),
        ("... and then really:", playbook.command("--tags", "restore", *confirmed)),
        ("Make another backup:", playbook.command("--tags", "backup", *on_host)),
    ]


def ask(databases: Sequence[Database]) -> dict[str, Contents]:
    """What the live databases hold now, by host."""
    return {database.host: database.contents() for database in databases}


def in_order(answers: Sequence[Answer], task: str) -> list[tuple[str, Mapping[str, Any]]]:
    """Host and answer of one task, web1 before db1, however the answers came in."""
    found = [(answer.host, answer.answer) for answer in answers if answer.task == task]
    return sorted(found, key=lambda one: one[0], reverse=True)


if __name__ == "__main__":
    sys.exit(main())
