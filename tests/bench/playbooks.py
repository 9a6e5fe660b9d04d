# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Through ansible-playbook: against ``community.postgresql``, a run that changes nothing, and what modules weigh."""

from __future__ import annotations

import base64
import pathlib
import re
import subprocess
import sys

from checkout import CHECKOUT
from measuring import Contestant, interleaved
from playing import Stage
from report import Row, absent_row, plain_row, ratio_row

PART = "ansible-playbook"
PAYLOAD = "what a module sends to a host"
_PAYLOAD_LIMIT = 1.6
_PING = {"ansible.builtin.ping": {}}


class Player:
    """Plays tasks for one database; raises where a task fails. ``collections``: where our collection's copy lies."""

    def __init__(self, folder: pathlib.Path, collections: pathlib.Path) -> None:
        self._stage = Stage(folder)
        self._environment = {"ANSIBLE_COLLECTIONS_PATH": str(collections)}
        self.remote = folder / "ansible" / "remote"

    def play(self, *tasks: dict, may_fail: bool = False, **environment: str) -> None:
        """Play ``tasks`` with more settings in the environment."""
        played = self._stage.play(*tasks, environment=self._environment | environment)
        if played.status != 0 and not may_fail:
            raise RuntimeError(played.output)

    def contestant(self, *tasks: dict) -> Contestant:
        """The whole playbook, Ansible's own start included."""
        return Contestant(lambda: self.play(*tasks))


def rows(player: Player, database: str, socket: str, work: pathlib.Path, rounds: int) -> list[Row]:
    """Playbooks with one or two tasks about a PostgreSQL database."""
    where = {"login_unix_socket": socket, "login_user": "postgres"}
    common = {"engine": "postgresql", "database": database, "repository": str(work / "played"), **where}
    backup = {"holdfast.db.backup": {**common, "init": True}}
    playbooks = {"ping": player.contestant(_PING), "backup": player.contestant(backup)}
    if _has_community_postgresql():
        dump = {"name": database, "state": "dump", "target": f"{work}/community.sql.gz", **where}
        playbooks["dump"] = player.contestant({"community.postgresql.postgresql_db": dump})
    samples = interleaved(playbooks, rounds)
    ours, ping = samples["backup"].median, samples["ping"].median
    if "dump" in samples:
        theirs = "postgresql_db state=dump, .gz"
        found = [ratio_row(PART, "holdfast.db.backup", ours, samples["dump"].median, against=theirs)]
    else:
        found = [absent_row(PART, "holdfast.db.backup", "community.postgresql is not installed")]
    return [*found, plain_row(PART, "one ping task", ping), *_unchanged(player, common, backup, rounds)]


def _unchanged(player: Player, common: dict, backup: dict, rounds: int) -> list[Row]:
    """What tasks cost whose state is reached already."""
    fresh = {"holdfast.db.backup": {**backup["holdfast.db.backup"], "if_older_than": "26h"}}
    target = {**common, "target": "played_restore", "id": "latest"}
    restore = {"holdfast.db.restore": {key: value for key, value in target.items() if value is not None}}
    player.play(restore)
    playbooks = {
        "ping": player.contestant(_PING),
        "backup": player.contestant(fresh),
        "restore": player.contestant(restore),
        "both": player.contestant(fresh, restore),
    }
    samples = interleaved(playbooks, rounds)
    ping = samples["ping"].median
    names = {"backup": "backup, if_older_than", "restore": "restore", "both": "backup and restore"}
    return [
        ratio_row(PART, f"nothing to do: {words}", samples[name].median, ping, against="a playbook with one ping task")
        for name, words in names.items()
    ]


def payload_rows(player: Player) -> list[Row]:
    """What Ansible really sends for each module, against ``ping``; in KiB, the zip inside told beside it."""
    smallest, zipped = _payload(player, "ansible.builtin.ping")
    found = [plain_row(PAYLOAD, "ansible.builtin.ping", smallest, unit="KiB", against=f"zip of {zipped:.0f} KiB")]
    for module in sorted((CHECKOUT / "plugins" / "modules").glob("*.py")):
        size, zipped = _payload(player, f"holdfast.db.{module.stem}")
        row = ratio_row(
            PAYLOAD,
            f"holdfast.db.{module.stem}",
            size,
            smallest,
            unit="KiB",
            limit=_PAYLOAD_LIMIT,
            against=f"ping; zip of {zipped:.0f} KiB",
        )
        found.append(row)
    return found


def _payload(player: Player, module: str) -> tuple[float, float]:
    """KiB of the file that Ansible copies to the host, and of the zip archive inside it.

    The task may fail for lack of options: the module has travelled by then.
    """
    player.play({module: {}}, may_fail=True, ANSIBLE_KEEP_REMOTE_FILES="1")
    sent = max(player.remote.rglob("AnsiballZ_*.py"), key=lambda path: path.stat().st_mtime_ns)
    if sent.name != f"AnsiballZ_{module.rsplit('.', 1)[1]}.py":
        raise RuntimeError(f"Ansible sent {sent.name} for {module}")
    text = sent.read_text()
    archive = max(re.findall(r"[A-Za-z0-9+/=]{1000,}", text), key=len)
    return sent.stat().st_size / 1024, len(base64.b64decode(archive)) / 1024


def _has_community_postgresql() -> bool:
    command = [sys.executable, "-c", "import ansible_collections.community.postgresql, psycopg"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0
