# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the checks, all of them even when one fails, and end with a table of what happened.

usage: check.py [PART...] [-- ARGUMENTS FOR PYTEST OR ANSIBLE-TEST]
"""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time

from workspace import ROOT

PYTHON = sys.executable
PYTEST = [PYTHON, "-m", "pytest"]
# Each test file by one process, and one process more than cores, for much of the time is spent waiting for servers.
SIDE_BY_SIDE = ["-n", str((os.cpu_count() or 1) + 1), "--dist", "loadfile"]


@dataclasses.dataclass(frozen=True)
class Part:
    """One check: its name, what it says it does, its command, and what to run again when it fails."""

    name: str
    says: str
    command: list[str]
    again: str


@dataclasses.dataclass(frozen=True)
class Outcome:
    """How a part ended: its exit status, how long it took in seconds, and the last line that it printed."""

    part: Part
    status: int
    seconds: float
    last_line: str


PARTS = [
    Part("ruff", "ruff: mistakes and style", ["ruff", "check", "--output-format", "concise", "."], "make lint"),
    Part("format", "ruff: formatting", ["ruff", "format", "--check", "."], "make format"),
    Part("house", "who may import what, how files begin", [PYTHON, "tools/house.py"], "make lint"),
    Part("unit", "pytest: pure logic, no server", [*PYTEST, "tests/unit"], "make unit"),
    Part("integration", "pytest: real databases", [*PYTEST, *SIDE_BY_SIDE, "tests/integration"], "make integration"),
    Part("sanity", "ansible-test sanity, no ignore file", [PYTHON, "tools/sanity.py"], "make sanity"),
    Part("ansible-lint", "ansible-lint, profile production", ["ansible-lint", "--strict"], "make lint"),
    Part("docs", "antsibull-docs: plugin documentation", [PYTHON, "tools/plugin_docs.py"], "make lint"),
    Part("prose", "links, anchors and examples in Markdown", [PYTHON, "tools/prose.py"], "make lint"),
    Part("changelog", "antsibull-changelog: fragments", ["antsibull-changelog", "lint"], "make lint"),
    Part("package", "build, install, compare with galaxy.yml", [PYTHON, "tools/package.py"], "make package"),
    Part("circle", "the installed collection at work", [PYTHON, "tools/circle.py"], "make package"),
    Part("importer", "galaxy-importer on the built archive", [PYTHON, "tools/importer.py"], "make package"),
]
# Not part of `make test`: it may take hours, and so may one test of it.
SOAK_COMMAND = [*PYTEST, "-m", "soak", "-o", "faulthandler_timeout=14400", "tests"]
SOAK = Part("soak", "pytest: the long versions", SOAK_COMMAND, "make soak")
TAKE_ARGUMENTS = {"unit", "integration", "soak", "sanity"}


def main() -> int:
    """Run the parts named on the command line, or all; return 0 only when every one succeeded."""
    names, arguments = split_arguments(sys.argv[1:])
    parts = choose(names)
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "NO_COLOR": "1", "PYTHONUNBUFFERED": "1"}
    outcomes = []
    for number, part in enumerate(parts, 1):
        print(f"\n[{number}/{len(parts)}] {part.name}: {part.says}", flush=True)
        outcomes.append(run(part, with_arguments(part, arguments), environment))
    return summarize(outcomes)


def split_arguments(arguments: list[str]) -> tuple[list[str], list[str]]:
    """Divide the command line at `--` into names of parts and arguments for them."""
    if "--" not in arguments:
        return arguments, []
    middle = arguments.index("--")
    return arguments[:middle], arguments[middle + 1 :]


def choose(names: list[str]) -> list[Part]:
    """The parts of those names in the order given; all that belong to `make test` when none is named."""
    known = {part.name: part for part in [*PARTS, SOAK]}
    unknown = [name for name in names if name not in known]
    if unknown:
        sys.exit(f"No check is called {', '.join(unknown)}. The checks: {', '.join(known)}.")
    return [known[name] for name in names] if names else PARTS


def with_arguments(part: Part, arguments: list[str]) -> list[str]:
    """Add the arguments to a command that takes any; test files among them stand instead of the whole folder."""
    if part.name not in TAKE_ARGUMENTS:
        return part.command
    if any(argument.startswith("tests/") for argument in arguments):
        return part.command[:-1] + arguments
    return part.command + arguments


def run(part: Part, command: list[str], environment: dict[str, str]) -> Outcome:
    """Run one part, showing its output as it comes, without a terminal to ask questions on."""
    began = time.monotonic()
    last_line = ""
    try:
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
    except FileNotFoundError:
        last_line = f"{command[0]} is not installed; remove .venv and run make again"
        print(last_line)
        return Outcome(part, 127, time.monotonic() - began, last_line)
    for line in process.stdout:
        print(line, end="", flush=True)
        last_line = line.strip() or last_line
    status = process.wait()
    if status == 0 and not last_line:
        last_line = "no complaints"
        print(last_line)
    return Outcome(part, status, time.monotonic() - began, last_line)


def summarize(outcomes: list[Outcome]) -> int:
    """Print the table and what to do next; return the exit status for the whole."""
    failed = [outcome for outcome in outcomes if outcome.status != 0]
    print(f"\n{'check':<13} {'result':<7} {'seconds':>7}  last line")
    for outcome in outcomes:
        result = "FAIL" if outcome.status else "pass"
        closing = outcome.last_line.strip("= ")[:80]
        print(f"{outcome.part.name:<13} {result:<7} {outcome.seconds:>7.1f}  {closing}")
    total = sum(outcome.seconds for outcome in outcomes)
    if failed:
        print(f"\n{len(failed)} of {len(outcomes)} checks failed after {total:.0f} s. Look above, then run:")
        for command in dict.fromkeys(outcome.part.again for outcome in failed):
            print(f"  {command}")
        return 1
    print(f"\nAll {len(outcomes)} checks passed in {total:.0f} s.")
    print("Next: make test" if len(outcomes) < len(PARTS) else "Next: commit, or see it work with make demo")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("\nStopped. What had not run yet was not checked.")
