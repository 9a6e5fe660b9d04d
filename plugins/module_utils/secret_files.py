# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Secrets for tools that want them as a file, without a file on any disk."""

from __future__ import annotations

import os

from .accounts import Account


class SecretFile:
    """A file that exists only as a descriptor, for tools that want their secret as a file.

    It has no name on any disk, vanishes with the last process that holds it, and may be read by ``account`` alone.
    """

    def __init__(self, content: str, account: Account | None) -> None:
        self.descriptor = os.memfd_create("holdfast-secret")
        os.fchmod(self.descriptor, 0o600)
        os.write(self.descriptor, content.encode("utf-8", "surrogateescape"))
        if account is not None and not account.is_current:
            os.fchown(self.descriptor, account.uid, account.gid)

    @property
    def path(self) -> str:
        """The path under which a child that inherits the descriptor finds it."""
        return "/proc/self/fd/%d" % self.descriptor

    def close(self) -> None:
        """Forget the secret in this process."""
        os.close(self.descriptor)
