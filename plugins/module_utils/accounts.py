# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Operating-system users that the work is done as."""

from __future__ import annotations

import os
import pwd
from dataclasses import dataclass

from .errors import BadInput, shown


@dataclass(frozen=True)
class Account:
    """A user of this machine with the groups that a login would give it."""

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    home: str

    @property
    def is_current(self) -> bool:
        """Whether this process already runs as this user."""
        return self.uid == os.geteuid()


def account_named(name: str) -> Account:
    """The account called ``name``; raises BadInput where this machine has none."""
    try:
        entry = pwd.getpwnam(name)
    except KeyError:
        raise BadInput(
            "There is no operating-system user %s on this host; create it or name another one." % shown(name)
        ) from None
    return _account(entry)


def account_of(uid: int) -> Account:
    """The account with this number; a number without a name is used as it is, with no further groups."""
    try:
        return _account(pwd.getpwuid(uid))
    except KeyError:
        return Account(name=str(uid), uid=uid, gid=uid, groups=(uid,), home="/")


def _account(entry: pwd.struct_passwd) -> Account:
    groups = tuple(os.getgrouplist(entry.pw_name, entry.pw_gid))
    return Account(entry.pw_name, entry.pw_uid, entry.pw_gid, groups, entry.pw_dir)
