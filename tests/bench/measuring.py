# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time things against each other: interleaved, several rounds, medians.

The machine is shared and noisy, so that seconds mean little by themselves. What is compared runs in turns (A B, B A,
A B) within one run, and only the ratio of the medians is judged.
"""

from __future__ import annotations

import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Figures = Mapping[str, float]
_SHORTEST = 0.05


@dataclass(frozen=True)
class Contestant:
    """Something to be timed. ``run``: what is timed; it may return figures of its own. ``reset``: before, untimed."""

    run: Callable[[], Figures | None]
    reset: Callable[[], object] = lambda: None


@dataclass
class Sample:
    """The runs of one contestant: seconds of each, on the clock and of processor time, and the figures it returned.

    Processor time is that of the programs that were started, servers not counted; it says how much work was done, even
    where others keep the machine busy.
    """

    seconds: list[float] = field(default_factory=list)
    cpu: list[float] = field(default_factory=list)
    figures: list[Figures] = field(default_factory=list)

    @property
    def median(self) -> float:
        """Seconds."""
        return statistics.median(self.seconds)

    @property
    def fastest(self) -> float:
        """Seconds of the run that others disturbed least: for what is held against a fixed limit."""
        return min(self.seconds)

    def figure(self, name: str) -> float:
        """The median of a figure, which is 0 where a run did not have it."""
        return statistics.median(figures.get(name, 0.0) for figures in self.figures)

    def highest(self, name: str) -> float:
        """The highest that a figure ever was."""
        return max(figures.get(name, 0.0) for figures in self.figures)


def interleaved(contestants: Mapping[str, Contestant], rounds: int) -> dict[str, Sample]:
    """Run every contestant once a round, in turning order; writes of one are on the disk before the next begins."""
    samples = {name: Sample() for name in contestants}
    for number in range(rounds):
        names = list(contestants)
        for name in names if number % 2 == 0 else reversed(names):
            contestant = contestants[name]
            contestant.reset()
            os.sync()
            began, worked = time.monotonic(), _processor_time()
            figures = contestant.run()
            samples[name].seconds.append(time.monotonic() - began)
            samples[name].cpu.append(_processor_time() - worked)
            samples[name].figures.append(figures or {})
    return samples


def work_ratio(ours: Sample, theirs: Sample, start: Sample | None = None) -> float | None:
    """Our processor time to theirs, beyond our start; None where theirs is too short to be measured."""
    fixed = statistics.median(start.cpu) if start else 0.0
    divisor = statistics.median(theirs.cpu)
    return max(statistics.median(ours.cpu) - fixed, 0.0) / divisor if divisor > _SHORTEST else None


def fastest(samples: Mapping[str, Sample], names: tuple[str, ...]) -> str:
    """Which of ``names`` has the lowest median."""
    return min(names, key=lambda name: samples[name].median)


def _processor_time() -> float:
    """Of all children that have ended so far."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def shell(command: str, **environment: str) -> None:
    """Run a shell command line in which every failure counts; raises CalledProcessError after showing what it said."""
    done = subprocess.run(
        ["bash", "-c", "set -euo pipefail; " + command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    if done.returncode != 0:
        print(done.stdout)
        raise subprocess.CalledProcessError(done.returncode, command)
