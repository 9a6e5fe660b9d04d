# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What can go wrong, in words for the person who has to act on it.

Every message is one sentence on one line: what is wrong, where, and what to do about it.
"""

from __future__ import annotations


class HoldfastError(Exception):
    """The root of all errors that a user is meant to read."""


class BadInput(HoldfastError):
    """Something that was typed or declared cannot be meant so; nothing was changed."""


class Refused(HoldfastError):
    """A check before the work said no; nothing was changed."""


class NotFound(HoldfastError):
    """The backup, file or database that was asked for does not exist."""


class Busy(HoldfastError):
    """Somebody else holds the lock, or a deadline passed while waiting for them."""


class RepositoryError(HoldfastError):
    """The repository is missing, foreign, unreadable or not writable."""


class ToolFailed(HoldfastError):
    """A native tool ended with an error or produced less than it should have."""


class ToolStopped(ToolFailed):
    """A tool could not be started, was ended from outside or had no room; what it was given may well be whole."""


class Damaged(HoldfastError):
    """What is stored is not what was written.

    ``artifact`` is the name of the artifact at fault, relative to its backup.
    """

    def __init__(self, message: str, artifact: str = "") -> None:
        super().__init__(message)
        self.artifact = artifact


class RestoreFailed(HoldfastError):
    """A restore did not come to its end; the live database is as it was unless the message says otherwise."""


_LONGEST_SHOWN = 1000


def shown(text: object) -> str:
    """``text`` in double quotes on one line, control characters and quotes escaped, for use in a message.

    Of a very long text only the beginning is shown.
    """
    whole = str(text)
    beginning = whole if len(whole) <= _LONGEST_SHOWN else whole[:_LONGEST_SHOWN] + "..."
    escaped = beginning.replace("\\", "\\\\").replace('"', '\\"')
    return '"%s"' % "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape", "backslashreplace").decode("ascii")
        for letter in escaped
    )
