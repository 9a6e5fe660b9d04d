# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""SQLite: our backups and restores against its own command-line tool with zstd.

We also run ``integrity_check``, count every table's rows and hash what is stored; the lines below do not.
"""

from __future__ import annotations

import pathlib

from measuring import Contestant, fastest, interleaved, shell
from ours import Ours
from report import Row, limit_row, plain_row, ratio_row

PART = "SQLite"
_POLICY = "sqlite"
_START_LIMIT = 0.5


def rows(shop: Ours, empty: Ours, work: pathlib.Path, rounds: int) -> list[Row]:
    """Create, restore as a new file, and restore into the existing one."""
    start = interleaved({"create": _creating(empty)}, rounds)["create"]
    lines = _native_creates(pathlib.Path(shop.database), work)
    created = interleaved({**lines, "ours": _creating(shop)}, rounds)
    best = fastest(created, tuple(lines))
    ours = created["ours"]
    found = [
        limit_row(PART, "create: fixed start", start.fastest, _START_LIMIT, against="an almost empty file"),
        ratio_row(PART, "create", ours.median, created[best].median, start=start.median, against=best),
        plain_row(PART, "create: of it the integrity check and counting", ours.figure("check")),
    ]
    return found + _restores(shop, empty, work, rounds)


def _native_creates(database: pathlib.Path, work: pathlib.Path) -> dict[str, Contestant]:
    copy, stored = work / "native.db", work / "native.db.zst"
    store = f"zstd -q -f -1 -T0 {copy} -o {stored}; sync {stored}; rm {copy}"

    def clean() -> None:
        copy.unlink(missing_ok=True)
        stored.unlink(missing_ok=True)

    return {
        "sqlite3 .backup; zstd -1 -T0": Contestant(
            lambda: shell(f"sqlite3 {database} '.backup {copy}'; {store}"), reset=clean
        ),
        "sqlite3 VACUUM INTO; zstd -1 -T0": Contestant(
            lambda: shell(f"""sqlite3 {database} "VACUUM INTO '{copy}'"; {store}"""), reset=clean
        ),
    }


def _restores(shop: Ours, empty: Ours, work: pathlib.Path, rounds: int) -> list[Row]:
    """As a new file against decompressing one; into the existing file against ``.restore``."""
    new, native, tiny = work / "restored.db", work / "native_restored.db", work / "restored_empty.db"
    shell(f"zstd -q -f -1 -T0 {shop.database} -o {work}/dump.zst; cp {shop.database} {native}; cp {native} {new}")
    into = f"zstd -q -d -f {work}/dump.zst -o {work}/plain.db"
    swap = {"strategy": "swap", "confirm": str(new)}
    start = interleaved({"restore": _restoring(empty, tiny)}, rounds)["restore"]
    swapped = interleaved(
        {
            "native": Contestant(lambda: shell(f"{into}; sqlite3 {native} '.restore {work}/plain.db'; sync {native}")),
            "ours": Contestant(lambda: shop.restore(_POLICY, str(new), **swap)),
        },
        rounds,
    )
    made = interleaved(
        {
            "native": Contestant(lambda: shell(f"{into}; sync {work}/plain.db")),
            "ours": _restoring(shop, new),
        },
        rounds,
    )
    ours = swapped["ours"]
    return [
        limit_row(PART, "restore: fixed start", start.fastest, _START_LIMIT, against="an almost empty file"),
        ratio_row(
            PART,
            "restore into the file",
            ours.median,
            swapped["native"].median,
            start=start.median,
            against="zstd -d; sqlite3 .restore",
        ),
        plain_row(PART, "restore into the file: locked for", ours.figure("swap")),
        ratio_row(
            PART,
            "restore as a new file",
            made["ours"].median,
            made["native"].median,
            start=start.median,
            against="zstd -d > new.db",
        ),
    ]


def _creating(ours: Ours) -> Contestant:
    return Contestant(lambda: ours.create(_POLICY), reset=lambda: ours.forget(_POLICY))


def _restoring(ours: Ours, target: pathlib.Path) -> Contestant:
    return Contestant(lambda: ours.restore(_POLICY, str(target)), reset=lambda: target.unlink(missing_ok=True))
