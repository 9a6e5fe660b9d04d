# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity on a copy of the project, with every Python from 3.9 to 3.13 that this machine has.

ansible-test works only at a path that ends in ansible_collections/holdfast/db, and on what git tracks
there. It makes virtual environments of its own; they and all else that it keeps go to .cache/sanity, its home
folder here, so that nothing of the user's is touched.

usage: sanity.py [ARGUMENTS FOR ANSIBLE-TEST SANITY], such as: --test pylint
"""

from __future__ import annotations

import ast
import os
import pathlib
import re
import shutil
import subprocess
import sys

from interpreters import find_pythons, path_folders, say_which
from workspace import ROOT, collection_copy

HOME = ROOT / ".cache" / "sanity"

# ansible-test downloads such a script to put pip into its environments. This one needs no network: it takes
# the pip that comes with Python, and lets that install the versions that ansible-test asks for.
BOOTSTRAP = """\
import runpy
import subprocess
import sys

subprocess.check_call([sys.executable, "-m", "ensurepip", "--upgrade"], stdout=subprocess.DEVNULL)
wanted = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
sys.argv = ["pip", "install", *wanted]
runpy.run_module("pip", run_name="__main__")
"""


def main() -> int:
    """Prepare the home folder, run ansible-test, and refuse a run that looked at nothing."""
    pythons = find_pythons()
    say_which(pythons)
    prepare_home()
    with collection_copy() as copy:
        ignores = sorted(path.name for path in (copy / "tests" / "sanity").glob("ignore*.txt"))
        if ignores:
            print(f"tests/sanity holds {', '.join(ignores)}: mend what it hides and remove it")
            return 1
        subprocess.run(["git", "init", "--quiet"], cwd=copy, check=True)
        subprocess.run(["git", "add", "--all"], cwd=copy, check=True)
        return run_sanity(copy, pythons)


def prepare_home() -> None:
    """Give ansible-test its pip script, and pip the settings that it has here.

    ansible-test clears the environment for pip, so what is set there has to stand in a file.
    """
    cache = HOME / ".ansible" / "test" / "cache"
    cache.mkdir(parents=True, exist_ok=True)
    for version in bootstrap_versions():
        (cache / f"get_pip_{version.replace('.', '_')}.py").write_text(BOOTSTRAP)
    settings = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], check=True, capture_output=True, text=True
    ).stdout
    chosen = {"quiet": "2"}  # errors only
    for kind in ("global", "install", ":env:"):  # what stands later wins, as it does for pip itself
        for name, value in re.findall(rf"^{kind}\.([\w-]+)=('.*'|\".*\")$", settings, re.MULTILINE):
            chosen[name] = ast.literal_eval(value)
    configuration = HOME / ".config" / "pip" / "pip.conf"
    configuration.parent.mkdir(parents=True, exist_ok=True)
    configuration.touch(mode=0o600)
    lines = [f"{name} = {' '.join(value.split())}" for name, value in chosen.items()]
    configuration.write_text("\n".join(["[global]", *lines, ""]))


def bootstrap_versions() -> list[str]:
    """The versions of pip for which this ansible-test looks up a script; they change with ansible-core."""
    import ansible_test

    source = pathlib.Path(ansible_test.__file__).parent / "_internal"
    text = "".join(path.read_text() for path in sorted(source.rglob("*.py")))
    return sorted(set(re.findall(r"pip='(\d[\d.]*)'", text)))


def run_sanity(copy: pathlib.Path, pythons: dict[str, pathlib.Path]) -> int:
    """Run it and return its status, or 1 when it says that it had nothing to look at."""
    folders = path_folders() + [str(path.parent) for path in pythons.values()]
    environment = {**os.environ, "HOME": str(HOME), "PATH": os.pathsep.join(dict.fromkeys(folders))}
    environment.pop("ANSIBLE_COLLECTIONS_PATH", None)
    ansible_test = shutil.which("ansible-test", path=environment["PATH"])
    process = subprocess.Popen(
        [ansible_test, "sanity", "--venv", "--color", "no", *sys.argv[1:]],
        cwd=copy,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    nothing_seen = False
    tests = 0
    for line in process.stdout:
        print(line, end="", flush=True)
        nothing_seen = nothing_seen or "All targets skipped" in line
        tests += line.startswith("Running sanity test")
    status = process.wait()
    if nothing_seen or not tests:
        print("ansible-test found nothing to look at: that is a failure, not a success")
        return 1
    verdict = "no complaints" if status == 0 else "complaints above"
    print(f"{tests} runs of sanity tests on Python {', '.join(pythons)}: {verdict}")
    return status


if __name__ == "__main__":
    sys.exit(main())
