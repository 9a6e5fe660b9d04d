# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The declared restore state of a database, and whether its marker says that it is reached.

A declaration that stands in an inventory must be harmless: new backups, pruned backups and a changed file of the
same name never make it restore again. Only another id, another time, another file or a new ``request`` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from ..errors import BadInput
from ..model import Marker, Source
from ..units import format_time


@dataclass(frozen=True)
class Declaration:
    """What a target is to hold: a backup by id, the latest one, the newest one before a time, or a file."""

    source: Source | None = None
    backup: str | None = None
    before: datetime | None = None
    file: str | None = None
    request: str | None = None

    def __post_init__(self) -> None:
        """Raise BadInput unless exactly one thing is wanted; what is missing is never taken for ``latest``."""
        if sum(wanted is not None for wanted in (self.backup, self.before, self.file)) != 1:
            raise BadInput("Exactly one of id, before and file says what is to be restored; give one of them a value.")

    def __str__(self) -> str:
        if self.file is not None:
            return "file %s" % self.file
        if self.before is not None:
            return "before %s" % format_time(self.before)
        return self.backup

    def marker(self, at: datetime, backup: str | None, repository: str | None) -> Marker:
        """The marker that a restore of this declaration leaves."""
        return Marker(str(self), format_time(at), self.source, backup, self.request, repository)

    def why_satisfied(self, marker: Marker | None) -> str | None:
        """A sentence on why nothing is to be done, or None where the target must be restored.

        ``latest`` is satisfied by any backup of the same source, for otherwise each nightly backup would bring the
        next converging run to restore once more.
        """
        if marker is None or (self.request is not None and self.request != marker.request):
            return None
        if not self._is_met_by(marker):
            return None
        what = "backup %s" % marker.backup if marker.backup else marker.declared
        return "It holds %s since %s, which satisfies %s; give a new request to restore once more." % (
            what,
            marker.at,
            self,
        )

    def _is_met_by(self, marker: Marker) -> bool:
        if self.file is not None:
            return marker.declared == str(self)
        if marker.source != self.source:
            return False
        if self.before is not None:
            return marker.declared == str(self)
        return self.backup in ("latest", marker.backup)
