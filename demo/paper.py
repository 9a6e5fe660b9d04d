# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Prints for a person: headings, plain lines, colour on a terminal only."""

from __future__ import annotations

import os
import sys
import textwrap

_WIDTH = 98
_BOLD, _DIM, _GREEN, _RED = "1", "2", "32", "31"


class Paper:
    """Standard output. Lines come out at once, also into a pipe."""

    def __init__(self) -> None:
        self._colours = (
            sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM", "dumb") != "dumb"
        )
        self._number = 0

    def step(self, title: str) -> None:
        """The heading of the next step."""
        self._number += 1
        print("\n" + self._painted(_BOLD, f"{self._number}. {title}"), flush=True)

    def heading(self, title: str) -> None:
        """A heading without a number."""
        print("\n" + self._painted(_BOLD, title), flush=True)

    def say(self, text: str) -> None:
        """A paragraph, wrapped."""
        print(_wrapped("   ", text), flush=True)

    def item(self, label: str, text: str) -> None:
        """A label, and a text that is wrapped beside it."""
        print(_wrapped(f"   {label} ", text), flush=True)

    def command(self, text: str) -> None:
        """Something that can be typed, never wrapped."""
        print(self._painted(_DIM, f"   $ {text}"), flush=True)

    def block(self, text: str) -> None:
        """Lines that are set already."""
        print("\n".join(f"   {line}".rstrip() for line in text.splitlines()), flush=True)

    def good(self, text: str) -> None:
        """Something that went as it should."""
        print(self._painted(_GREEN, _wrapped("   ", text)), flush=True)

    def bad(self, text: str) -> None:
        """Something that is lost or wrong."""
        print(self._painted(_RED, _wrapped("   ", text)), flush=True)

    def _painted(self, colour: str, text: str) -> str:
        return f"\033[{colour}m{text}\033[0m" if self._colours else text


def _wrapped(start: str, text: str) -> str:
    """``start`` and ``text``, whose further lines begin below its first word; paths and names stay whole."""
    return textwrap.fill(
        text,
        _WIDTH,
        initial_indent=start,
        subsequent_indent=" " * len(start),
        break_on_hyphens=False,
        break_long_words=False,
    )
