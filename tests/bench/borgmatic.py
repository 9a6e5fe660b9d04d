# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Against borgmatic with borg, where they are installed: a database hook into a new borg repository."""

from __future__ import annotations

import os
import pathlib
import shutil
import subprocess

import yaml
from measuring import Contestant, interleaved, shell, work_ratio
from ours import Ours
from report import Row, absent_row, ratio_row

PART = "borgmatic"
PACKAGES = ("borgbackup", "borgmatic")
_POLICY = "borgmatic"


def install() -> None:
    """Install Debian's packages; only when asked for."""
    command = ["apt-get", "-o", "DPkg::Lock::Timeout=120", "install", "-y", "--no-install-recommends", *PACKAGES]
    subprocess.run(command, check=True, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"})


def rows(shop: Ours, programs: pathlib.Path, work: pathlib.Path, rounds: int) -> list[Row]:
    """One backup of the same database, each into an empty repository."""
    missing = [name for name in ("borg", "borgmatic") if shutil.which(name) is None]
    if missing:
        return [absent_row(PART, "create", f"{' and '.join(missing)} not installed (ARGS=--install does it on Debian)")]
    borg = _Borg(shop, programs, work / "borg")
    samples = interleaved(
        {
            "borgmatic": Contestant(borg.create, reset=borg.reset),
            "ours": Contestant(lambda: shop.create(_POLICY), reset=lambda: shop.forget(_POLICY)),
        },
        rounds,
    )
    against = "borgmatic create, zstd,1, into an empty borg repository"
    ours, theirs = samples["ours"], samples["borgmatic"]
    return [ratio_row(PART, "create", ours.median, theirs.median, against=against, work=work_ratio(ours, theirs))]


class _Borg:
    """A borg repository for one database, with everything that borg and borgmatic keep below ``folder``."""

    def __init__(self, shop: Ours, programs: pathlib.Path, folder: pathlib.Path) -> None:
        self._folder = folder
        self._configuration = folder / "borgmatic.yaml"
        self._repository = folder / "repository"
        self._environment = {
            "HOME": str(folder),
            "BORG_BASE_DIR": str(folder),
            "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes",
            "PGHOST": shop.socket,  # not as a hostname: borgmatic 1.7 takes that into the path of its own files
            "PATH": f"{programs}:{os.environ['PATH']}",
        }
        (folder / "files").mkdir(parents=True)  # borgmatic 1.7 backs up no database without some directory
        told = _configured(shop, self._repository, folder)
        self._configuration.write_text(yaml.safe_dump(told))

    def create(self) -> None:
        """One backup."""
        shell(f"borgmatic -c {self._configuration} create", **self._environment)

    def reset(self) -> None:
        """An empty repository."""
        shutil.rmtree(self._repository, ignore_errors=True)
        shell(f"borg init -e none {self._repository}", **self._environment)


def _configured(shop: Ours, repository: pathlib.Path, folder: pathlib.Path) -> dict:
    """In the sectioned form of borgmatic 1.7; later versions still read it."""
    database = {"name": shop.database, "username": "postgres", "format": "custom"}
    return {
        "location": {
            "source_directories": [str(folder / "files")],
            "repositories": [str(repository)],
            "borgmatic_source_directory": str(folder / "dumps"),
        },
        "storage": {"compression": "zstd,1"},
        "hooks": {"postgresql_databases": [database]},
    }
