# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""PostgreSQL: our backups and restores against the fastest command lines of its own tools.

The native lines make what we make: an archive from which single tables can be restored, compressed, and on the disk
when the line ends (``pg_dump -Fd`` syncs by itself, a stream is synced with ``sync``). They neither hash, nor count
rows, nor read the archive's table of contents back; we do all three.
"""

from __future__ import annotations

import pathlib
import shutil
from collections.abc import Mapping
from dataclasses import dataclass

from measuring import Contestant, Sample, fastest, interleaved, shell, work_ratio
from ours import Ours
from report import Row, limit_row, plain_row, ratio_row

CREATE = "create, PostgreSQL"
RESTORE = "restore, PostgreSQL"
MEMORY = "memory of our own process"

_START_LIMIT = 0.5
_STREAM = "pg_dump -Fc -Z0 | zstd -1 -T0"
_ENCRYPTED = "pg_dump -Fc -Z0 | zstd -1 -T0 | age -r KEY"
_DIRECTORY_1 = "pg_dump -Fd -j1 -Z1"
_DIRECTORY_2 = "pg_dump -Fd -j2 -Z1"
_PLAIN = (_DIRECTORY_1, _DIRECTORY_2, _STREAM)
_LINES = {"directory, 1 job": _DIRECTORY_1, "directory, 2 jobs": _DIRECTORY_2, "stream": _STREAM}


@dataclass(frozen=True)
class Keys:
    """An age key pair. ``identity``: the file of its secret half."""

    recipient: str
    identity: pathlib.Path


class Native:
    """The command lines of PostgreSQL's own tools, writing below ``folder``."""

    def __init__(self, programs: pathlib.Path, socket: pathlib.Path, folder: pathlib.Path, keys: Keys) -> None:
        self._folder = folder
        self._keys = keys
        self._environment = {"PGHOST": str(socket), "PGUSER": "postgres", "PGOPTIONS": ""}
        self._programs = programs
        folder.mkdir()

    def dump_directory(self, database: str, jobs: int) -> Contestant:
        """A directory, gzip level 1."""
        folder = self._folder / f"{database}.dir{jobs}"
        return Contestant(
            lambda: self._run(f"pg_dump -Fd -j{jobs} -Z1 -f {folder} {database}"),
            reset=lambda: shutil.rmtree(folder, ignore_errors=True),
        )

    def dump_stream(self, database: str) -> Contestant:
        """One file, zstd level 1 on every core."""
        file = self._folder / f"{database}.zst"
        return Contestant(lambda: self._run(f"pg_dump -Fc -Z0 {database} | zstd -q -1 -T0 > {file}; sync {file}"))

    def dump_encrypted(self, database: str) -> Contestant:
        """The same through age."""
        file = self._folder / f"{database}.zst.age"
        line = f"pg_dump -Fc -Z0 {database} | zstd -q -1 -T0 | age -r {self._keys.recipient} > {file}; sync {file}"
        return Contestant(lambda: self._run(line))

    def restore_directory(self, database: str, target: str, jobs: int) -> Contestant:
        """From what ``dump_directory`` left, into a new database."""
        folder = self._folder / f"{database}.dir{jobs}"
        return Contestant(
            lambda: self._run(f"createdb {target}; pg_restore -e -j{jobs} -d {target} {folder}"),
            reset=lambda: self.drop(target),
        )

    def restore_stream(self, database: str, target: str) -> Contestant:
        """From what ``dump_stream`` left, into a new database."""
        file = self._folder / f"{database}.zst"
        return Contestant(
            lambda: self._run(f"createdb {target}; zstd -qdc {file} | pg_restore -e -d {target}"),
            reset=lambda: self.drop(target),
        )

    def restore_encrypted(self, database: str, target: str) -> Contestant:
        """From what ``dump_encrypted`` left, into a new database."""
        file = self._folder / f"{database}.zst.age"
        line = f"age -d -i {self._keys.identity} {file} | zstd -qdc | pg_restore -e -d {target}"
        return Contestant(lambda: self._run(f"createdb {target}; {line}"), reset=lambda: self.drop(target))

    def analyze(self, database: str, jobs: int) -> Contestant:
        """The planner's statistics, which no dump carries."""
        return Contestant(lambda: self._run(f"vacuumdb -q --analyze-only -j{jobs} {database}"))

    def drop(self, database: str) -> None:
        """Remove a database if it is there."""
        self._run(f"dropdb --if-exists {database} 2> /dev/null")

    def _run(self, line: str) -> None:
        shell(f'export PATH="{self._programs}:$PATH"; {line}', **self._environment)


def create_rows(shop: Ours, empty: Ours, native: Native, keys: Keys, rounds: int) -> list[Row]:
    """Directory and stream, one job and two, with and without counting, plain and encrypted."""
    ways: dict[str, dict[str, object]] = {
        "directory, 2 jobs": {"form": "directory", "jobs": 2, "fingerprint": "none"},
        "directory, 2 jobs, rows": {"form": "directory", "jobs": 2},
        "directory, 1 job": {"form": "directory", "jobs": 1, "fingerprint": "none"},
        "directory, 1 job, rows": {"form": "directory", "jobs": 1},
        "stream": {"form": "stream", "fingerprint": "none"},
        "stream, rows": {"form": "stream"},
        "auto, rows": {},
        "encrypted": {"fingerprint": "none", "recipient": keys.recipient},
        "encrypted, rows": {"recipient": keys.recipient},
    }
    samples = interleaved(
        {**_native_creates(native, shop), **{way: _creating(shop, way, told) for way, told in ways.items()}}, rounds
    )
    starts = interleaved(
        {**_native_creates(native, empty), **{way: _creating(empty, way, told) for way, told in ways.items()}}, rounds
    )
    rows = [_start_row(CREATE, {way: starts[way] for way in ways}, starts[_STREAM])]
    for way in ways:
        kind = way.removesuffix(", rows")
        line = {"auto": fastest(samples, _PLAIN), "encrypted": _ENCRYPTED}.get(kind) or _LINES[kind]
        limit = 1.3 if kind == "encrypted" else 1.25 if way != kind else 1.05
        rows.append(
            ratio_row(
                CREATE,
                way,
                samples[way].median,
                samples[line].median,
                start=starts[way].median,
                limit=limit,
                against=line,
                work=work_ratio(samples[way], samples[line], starts[way]),
            )
        )
    rows.append(_memory_row("create, directory, 2 jobs, rows", samples["directory, 2 jobs, rows"]))
    rows.append(_memory_row("create, stream, rows", samples["stream, rows"]))
    rows.append(_memory_row("create, encrypted, rows", samples["encrypted, rows"]))
    return rows


def restore_rows(shop: Ours, empty: Ours, native: Native, keys: Keys, rounds: int) -> list[Row]:
    """From the backups and dumps that ``create_rows`` left: beside each other into new databases, then a swap."""
    ways: dict[str, tuple[str, dict[str, object]]] = {
        "directory, 2 jobs": ("directory, 2 jobs, rows", {"settings": {"jobs": 2}}),
        "stream": ("stream, rows", {"settings": {"jobs": 1}}),
        "encrypted": ("encrypted, rows", {"settings": {"jobs": 1}, "identity": str(keys.identity)}),
    }
    ours = {way: _restoring(shop, native, *told) for way, told in ways.items()}
    samples = interleaved({**_native_restores(native, shop), **ours}, rounds)
    analyzed = interleaved({"analyze": native.analyze("native_directory", 2)}, rounds)["analyze"].median
    ours = {way: _restoring(empty, native, *told) for way, told in ways.items()}
    starts = interleaved({**_native_restores(native, empty), **ours}, rounds)
    rows = [_start_row(RESTORE, {way: starts[way] for way in ways}, starts["pg_restore -j2"])]
    for way, line in zip(ways, _native_restores(native, shop), strict=True):
        sample, start = samples[way], starts[way]
        fixed = start.median - start.figure("analyze") + sample.figure("analyze")
        rows.append(
            ratio_row(
                RESTORE,
                way + ", but for analyze",
                sample.median,
                samples[line].median,
                start=fixed,
                limit=1.05,
                against=line,
                work=work_ratio(sample, samples[line], start),
            )
        )
        rows.append(plain_row(RESTORE, way + ": checksums", sample.figure("checksums")))
        rows.append(plain_row(RESTORE, way + ": compare", sample.figure("compare")))
    analyze = samples["directory, 2 jobs"].figure("analyze")
    rows.append(ratio_row(RESTORE, "analyze", analyze, analyzed, against="vacuumdb --analyze-only -j2"))
    rows.append(_swap_row(shop, native, rounds))
    rows.append(_memory_row("restore, directory, 2 jobs", samples["directory, 2 jobs"]))
    rows.append(_memory_row("restore, stream", samples["stream"]))
    rows.append(_memory_row("restore, encrypted", samples["encrypted"]))
    return rows


def _native_creates(native: Native, source: Ours) -> dict[str, Contestant]:
    return {
        _DIRECTORY_1: native.dump_directory(source.database, 1),
        _DIRECTORY_2: native.dump_directory(source.database, 2),
        _STREAM: native.dump_stream(source.database),
        _ENCRYPTED: native.dump_encrypted(source.database),
    }


def _native_restores(native: Native, source: Ours) -> dict[str, Contestant]:
    """In the order of the ways in which we restore."""
    return {
        "pg_restore -j2": native.restore_directory(source.database, "native_directory", 2),
        "zstd -d | pg_restore": native.restore_stream(source.database, "native_stream"),
        "age -d | zstd -d | pg_restore": native.restore_encrypted(source.database, "native_encrypted"),
    }


def _creating(ours: Ours, way: str, told: Mapping[str, object]) -> Contestant:
    return Contestant(lambda: ours.create(way, **told), reset=lambda: ours.forget(way))


def _restoring(ours: Ours, native: Native, policy: str, told: Mapping[str, object]) -> Contestant:
    target = "ours_" + "".join(letter for letter in policy if letter.isalnum())
    return Contestant(lambda: ours.restore(policy, target, **told), reset=lambda: native.drop(target))


def _swap_row(shop: Ours, native: Native, rounds: int) -> Row:
    """How long the live database could not be used while the restored one took its place."""
    policy, target, seconds = "directory, 2 jobs, rows", "ours_swapped", []
    shop.restore(policy, target)
    for _round in range(max(rounds - 1, 1)):
        figures = shop.restore(policy, target, strategy="swap", confirm=target, settings={"jobs": 2})
        seconds.append(figures["swap"])
    native.drop(target)
    return limit_row(RESTORE, "swap, longest", max(seconds), 1.0)


def _start_row(part: str, starts: Mapping[str, Sample], native: Sample) -> Row:
    """The slowest way of starting; every way's own start is what its ratio leaves out."""
    slowest = max(starts, key=lambda way: starts[way].fastest)
    against = f"native on an empty database; slowest of {len(starts)} ways: {slowest}"
    return limit_row(part, "fixed start", starts[slowest].fastest, _START_LIMIT, theirs=native.fastest, against=against)


def _memory_row(what: str, sample: Sample) -> Row:
    return limit_row(MEMORY, what, sample.highest("memory"), 64, unit="MiB")
