# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
---
module: verify
short_description: Check that stored backups are whole
version_added: 0.1.0
description:
  - Compares the checksum of every stored file, then reads the dump as far as the database's own tool can without
    restoring it.
  - Damage fails the task and names the file. The other backups are read all the same.
  - Damage is remembered beside the backup, so that it is never V(latest) again and retention does not count on it,
    until a later verification finds it whole.
  - What cannot be decrypted without an identity is checked by its checksums only, and the message says that its content
    was not read.
  - This shows that what is stored is what was written. That it restores, only a restore shows.
options:
  id:
    description:
      - V(latest) for the newest good backup of each source, V(all) for every backup, or the id of one.
      - V(latest) also reads again the damaged backups that are newer than it, and fails as long as one is damaged.
      - Let V(all) run now and then, such as once a week, for otherwise older backups are not read again.
    type: str
    default: latest
  age_identity_file:
    description:
      - A file on the host with the secret half of an age key that the backups were encrypted to.
    type: path
  age_identity:
    description:
      - The secret half itself. It is handed to age in private, never on a command line or through a file on disk.
      - Mutually exclusive with O(age_identity_file).
    type: str
attributes:
  check_mode:
    support: full
    details:
      - Reads and reports the same, and remembers nothing.
  diff_mode:
    support: N/A
    details:
      - Never changes anything.
  idempotent:
    support: N/A
    details:
      - Never changes anything.
seealso:
  - module: holdfast.db.backup_info
extends_documentation_fragment:
  - holdfast.db.attributes
  - holdfast.db.connection
  - holdfast.db.repository
author: holdfast.db maintainers (@holdfast-db)
"""

EXAMPLES = r"""
---
- name: Check the newest backup of each database of this host
  holdfast.db.verify:
    repository: /var/backups/holdfast

- name: Check all backups of one policy, going on when some are damaged
  holdfast.db.verify:
    repository: /var/backups/holdfast
    policy: shop
    id: all
  register: checked
  ignore_errors: true

- name: Show what is damaged
  ansible.builtin.debug:
    msg: "{{ checked.verify.reports | selectattr('problem') | map(attribute='problem') }}"
"""

RETURN = r"""
---
msg:
  description: One sentence on the whole.
  returned: always
  type: str
  sample: All 3 backups are whole.
verify:
  description: What was read.
  returned: when the backups could be read, damaged or not
  type: dict
  contains:
    checked:
      description: How many backups were read.
      type: int
      sample: 3
    damaged:
      description: How many of them are damaged.
      type: int
      sample: 0
    reports:
      description: One for each backup.
      type: list
      elements: dict
      contains:
        backup:
          description: Which backup.
          type: dict
          contains:
            id:
              description: The id of the backup.
              type: str
              sample: 20261120T063000Z-3f9a1c
            source_host:
              description: The host that it is of.
              type: str
              sample: db1
            policy:
              description: The policy that it belongs to.
              type: str
              sample: shop
            database:
              description: The database that it is of.
              type: str
              sample: shop
            engine:
              description: The kind of database.
              type: str
              sample: postgresql
            snapshot:
              description: The moment whose state the backup holds, in UTC.
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
        strength:
          description:
            - How far it was read, V(structure), or V(checksums only) where it is encrypted and no identity was given.
          type: str
          sample: structure
        findings:
          description: Sentences on what was checked.
          type: list
          elements: str
          sample: ["The checksums of 2 artifacts are right."]
        problem:
          description: The damage, or null where it is whole.
          type: str
          sample: null
        artifact:
          description: The name of the damaged file.
          type: str
          sample: null
        duration:
          description: How long it took, in seconds.
          type: float
          sample: 1.204
        duration_human:
          description: The same for people.
          type: str
          sample: 1.2s
"""

from datetime import timedelta

from ansible.module_utils.basic import AnsibleModule

from ..module_utils.adapter import Outcome, Task, argument_spec, identity_options, run
from ..module_utils.encodings import Identity
from ..module_utils.operations.verify import CHECKSUMS, Report, Verified, VerifyRequest, verify
from ..module_utils.results.backups import backup_reference, span

OPTIONS = {"id": {"type": "str", "default": "latest"}, **identity_options()}


def main() -> None:
    module = AnsibleModule(
        argument_spec=argument_spec(OPTIONS),
        mutually_exclusive=[["age_identity_file", "age_identity"]],
        supports_check_mode=True,
    )
    run(module, work)


def work(task: Task) -> Outcome:
    file, key = task.params["age_identity_file"], task.params["age_identity"]
    request = VerifyRequest(
        place=task.place(),
        selection=task.readable_sources(),
        settings=task.settings(),
        backup=task.params["id"],
        identity=Identity(file, key) if file or key else None,
    )
    verified = verify(request, task.now, predict=task.predict)
    results = {
        "checked": len(verified.reports),
        "damaged": len(verified.damaged),
        "reports": [_report(report, task) for report in verified.reports],
    }
    return Outcome(
        changed=False,
        message=_verdict(verified),
        results={"verify": results},
        warnings=verified.warnings,
        problem=_damage(verified),
    )


def _report(report: Report, task: Task) -> dict:
    return {
        "backup": backup_reference(report.entry, task.now),
        "strength": report.strength,
        "findings": list(report.findings),
        "problem": report.problem,
        "artifact": report.artifact,
        **span("duration", timedelta(seconds=report.seconds)),
    }


def _verdict(verified: Verified) -> str:
    unread = [report for report in verified.reports if report.strength == CHECKSUMS]
    if unread:
        return (
            "The stored files of %d of %d backups are as they were written; these are encrypted and no identity was "
            "given, so their content was not read." % (len(unread), len(verified.reports))
        )
    if len(verified.reports) == 1:
        return "The backup %s is whole." % verified.reports[0].entry.id
    return "All %d backups are whole." % len(verified.reports)


def _damage(verified: Verified) -> str | None:
    if not verified.damaged:
        return None
    first = verified.damaged[0]
    others = len(verified.damaged) - 1
    more = " %d more are damaged, see the reports." % others if others else ""
    return "The backup %s of %s is damaged: %s%s" % (first.entry.id, first.entry.source, first.problem, more)


if __name__ == "__main__":
    main()
