# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: prune
short_description: Remove backups that no retention rule keeps
version_added: 0.1.0
description:
  - Applies retention rules to the backups of one host and policy, each database by itself, and removes what no rule
    keeps. Every decision carries its reasons.
  - Counts good backups only. Whatever the rules say, the last good backup stays, and so do the newest proven one,
    pinned ones, safety backups and damaged ones.
  - Removes nothing from a source whose last try failed, or whose newest backup departs far from those before it.
options:
  keep_last:
    description:
      - Keep so many of the newest backups.
    type: int
  keep_hourly:
    description:
      - Keep the newest backup of each hour, for so many hours that have one.
    type: int
  keep_daily:
    description:
      - Keep the newest backup of each day, for so many days that have one.
    type: int
  keep_weekly:
    description:
      - Keep the newest backup of each week, for so many weeks that have one. Weeks begin on Monday.
    type: int
  keep_monthly:
    description:
      - Keep the newest backup of each month, for so many months that have one.
    type: int
  keep_quarterly:
    description:
      - Keep the newest backup of each quarter, for so many quarters that have one.
    type: int
  keep_yearly:
    description:
      - Keep the newest backup of each year, for so many years that have one.
    type: int
  keep_within:
    description:
      - Keep every backup that is at most so much older than the newest good one, such as V(30d).
      - It is counted back from that backup and not from the clock, so that a month without backups removes nothing.
    type: str
  remove_older_than:
    description:
      - Remove what is older than this, such as V(52w), even when a rule above would keep it.
    type: str
  max_count:
    description:
      - Leave at most so many backups, the newest, even when a rule above would keep more.
    type: int
  timezone:
    description:
      - The time zone whose hours, days, weeks and months are meant, such as V(Europe/Amsterdam).
    type: str
    default: UTC
attributes:
  check_mode:
    support: full
    details:
      - Names every backup that would be removed and why, exactly as the real run then does.
  diff_mode:
    support: full
    details:
      - Shows the list with reasons before and after.
  idempotent:
    support: full
seealso:
  - module: holdfast.db.backup
  - module: holdfast.db.backup_info
extends_documentation_fragment:
  - holdfast.db.attributes
  - holdfast.db.connection
  - holdfast.db.repository
author: holdfast.db maintainers (@holdfast-db)
"""

EXAMPLES = r"""
---
- name: Say what would be removed, and why
  holdfast.db.prune:
    repository: /var/backups/holdfast
    policy: shop
    keep_daily: 7
    keep_weekly: 4
    keep_monthly: 12
  check_mode: true
  register: plan

- name: Show it
  ansible.builtin.debug:
    msg: "{{ item.id }} would go: {{ item.reasons | join('; ') }}"
  loop: "{{ plan.prune.sources | map(attribute='remove') | flatten }}"

- name: Keep a month of days and three years of months, by the calendar of Amsterdam
  holdfast.db.prune:
    repository: /var/backups/holdfast
    policy: shop
    keep_daily: 31
    keep_monthly: 36
    timezone: Europe/Amsterdam

- name: Keep everything of the last thirty days, but never more than two hundred backups
  holdfast.db.prune:
    repository: /var/backups/holdfast
    policy: shop
    keep_within: 30d
    max_count: 200
"""

RETURN = r"""
---
msg:
  description: One sentence on the whole.
  returned: always
  type: str
  sample: 3 backups were removed and 12 stay.
prune:
  description: What was decided and done.
  returned: success
  type: dict
  contains:
    removed:
      description: How many backups were removed, or would be in check mode.
      type: int
      sample: 3
    kept:
      description: How many backups stay.
      type: int
      sample: 12
    sources:
      description: The same, database by database.
      type: list
      elements: dict
      contains:
        source_host:
          description: The host.
          type: str
          sample: db1
        policy:
          description: The policy.
          type: str
          sample: shop
        database:
          description: The database.
          type: str
          sample: shop
        held:
          description: Why nothing may be removed from this source now, or null.
          type: str
          sample: null
        keep:
          description: What the rules keep, newest first.
          type: list
          elements: dict
          contains:
            id:
              description: The id of the backup.
              type: str
              sample: 20261120T063000Z-3f9a1c
            snapshot:
              description: The moment whose state it holds, in UTC.
              type: str
              sample: "2026-11-20T06:30:01Z"
            age:
              description: Seconds since that moment.
              type: float
              sample: 93784.0
            age_human:
              description: The same for people.
              type: str
              sample: 1d 2h
            reasons:
              description: Why, in words.
              type: list
              elements: str
              sample: ["the last good backup", "daily 1 of 7 (2026-11-20)"]
        remove:
          description: What the rules do not keep, newest first.
          type: list
          elements: dict
          contains:
            id:
              description: The id of the backup.
              type: str
              sample: 20261120T063000Z-3f9a1c
            snapshot:
              description: The moment whose state it holds, in UTC.
              type: str
              sample: "2026-11-20T06:30:01Z"
            age:
              description: Seconds since that moment.
              type: float
              sample: 93784.0
            age_human:
              description: The same for people.
              type: str
              sample: 1d 2h
            reasons:
              description: Why, in words.
              type: list
              elements: str
              sample: ["no rule keeps it"]
        removed:
          description: The ids of what was removed, or would be in check mode.
          type: list
          elements: str
          sample: [20261001T033000Z-08c1d2]
        skipped:
          description: What should have been removed and could not be.
          type: list
          elements: dict
          contains:
            id:
              description: The id of the backup.
              type: str
              sample: 20261001T033000Z-08c1d2
            reason:
              description: Why it is still there.
              type: str
              sample: It is being restored.
"""

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.adapter import Outcome, Task, argument_spec, run
from ..module_utils.operations.prune import Pruned, PruneRequest, SourcePruning, prune
from ..module_utils.results.backups import span
from ..module_utils.retention import Decision
from ..module_utils.retention_rules import Rules
from ..module_utils.units import format_time

OPTIONS = {
    "keep_last": {"type": "int"},
    "keep_hourly": {"type": "int"},
    "keep_daily": {"type": "int"},
    "keep_weekly": {"type": "int"},
    "keep_monthly": {"type": "int"},
    "keep_quarterly": {"type": "int"},
    "keep_yearly": {"type": "int"},
    "keep_within": {"type": "str"},
    "remove_older_than": {"type": "str"},
    "max_count": {"type": "int"},
    "timezone": {"type": "str", "default": "UTC"},
}


def main() -> None:
    run(AnsibleModule(argument_spec=argument_spec(OPTIONS), supports_check_mode=True), work)


def work(task: Task) -> Outcome:
    request = PruneRequest(task.place(), task.writable_sources(), _rules(task))
    pruned = prune(request, task.now, predict=task.predict)
    sources = [_source(one, task) for one in pruned.sources]
    removed = sum(len(one["removed"]) for one in sources)
    kept = sum(len(one["keep"]) + len(one["remove"]) for one in sources) - removed
    before = after = None
    if task.wants_diff:
        before, after = _lists(pruned)
    return Outcome(
        changed=pruned.changed,
        message=_sentence(pruned, removed, kept, predict=task.predict),
        results={"prune": {"removed": removed, "kept": kept, "sources": sources}},
        warnings=[*pruned.warnings, *_left_undone(pruned)],
        before=before,
        after=after,
    )


def _rules(task: Task) -> Rules:
    return Rules(
        keep_last=task.params["keep_last"],
        keep_hourly=task.params["keep_hourly"],
        keep_daily=task.params["keep_daily"],
        keep_weekly=task.params["keep_weekly"],
        keep_monthly=task.params["keep_monthly"],
        keep_quarterly=task.params["keep_quarterly"],
        keep_yearly=task.params["keep_yearly"],
        keep_within=task.duration("keep_within"),
        remove_older_than=task.duration("remove_older_than"),
        max_count=task.params["max_count"],
        timezone=task.params["timezone"],
    )


def _source(one: SourcePruning, task: Task) -> dict:
    return {
        "source_host": one.source.host,
        "policy": one.source.policy,
        "database": one.source.database,
        "held": one.held,
        "keep": [_decision(decision, task) for decision in one.decisions if decision.keep],
        "remove": [_decision(decision, task) for decision in one.decisions if not decision.keep],
        "removed": list(one.removed),
        "skipped": [{"id": backup_id, "reason": reason} for backup_id, reason in one.skipped],
    }


def _decision(decision: Decision, task: Task) -> dict:
    candidate = decision.candidate
    return {
        "id": candidate.id,
        "snapshot": format_time(candidate.moment),
        **span("age", task.now - candidate.moment),
        "reasons": list(decision.reasons),
    }


def _lists(pruned: Pruned) -> tuple[dict, dict]:
    """Every source's list before and after, each backup with the reasons of the decision about it."""
    before, after = {}, {}
    for one in pruned.sources:
        gone = set(one.removed)
        lines = {decision.candidate.id: "; ".join(decision.reasons) for decision in one.decisions}
        before[str(one.source)] = lines
        after[str(one.source)] = {backup_id: why for backup_id, why in lines.items() if backup_id not in gone}
    return before, after


def _sentence(pruned: Pruned, removed: int, kept: int, *, predict: bool) -> str:
    held = [one.held for one in pruned.sources if one.held]
    if held and not removed:
        return held[0]
    word = "backup" if removed == 1 else "backups"
    verb = "would be" if predict else "was" if removed == 1 else "were"
    return "%d %s %s removed and %d %s." % (removed, word, verb, kept, "stays" if kept == 1 else "stay")


def _left_undone(pruned: Pruned) -> list[str]:
    skipped = [reason for one in pruned.sources for _id, reason in one.skipped]
    return [*(one.held for one in pruned.sources if one.held), *skipped]


if __name__ == "__main__":
    main()
