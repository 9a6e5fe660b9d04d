# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Time things against each other: interleaved, several rounds, medians.

The machine is shared and noisy, so that seconds mean little by themselves. What is compared runs in turns (A B, B A,
A B) within one run, and only the ratio of the medians is judged.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Figures = Mapping[str, float]


@dataclass(frozen=True)
class Contestant:
    """Something to be timed. ``run``: what is timed; it may return figures of its own. ``reset``: before, untimed."""

    run: Callable[[], Figures | None]
    reset: Callable[[], object] = lambda: None


@dataclass
class Sample:
    """The runs of one contestant: seconds of each, and the figures that each returned."""

    seconds: list[float] = field(default_factory=list)
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
            began = time.monotonic()
            figures = contestant.run()
            samples[name].seconds.append(time.monotonic() - began)
            samples[name].figures.append(figures or {})
    return samples


def fastest(samples: Mapping[str, Sample], names: tuple[str, ...]) -> str:
    """Which of ``names`` has the lowest median."""
    return min(names, key=lambda name: samples[name].median)


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
