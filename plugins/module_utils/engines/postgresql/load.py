# Copyright (c) 2026, the holdfast.db maintainers
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Loading a complete copy beside the live database: lock, clear, make, load, analyze.

One restore of a target at a time: an advisory lock in the maintenance database, held by a session that stays open for
the whole work, so that it is free the moment we are dead. Under it, whatever a killed restore left is known to be
nobody's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timezone
from typing import Any

from ...errors import Busy, NotFound, Refused, RestoreFailed, ToolFailed, shown
from ...folders import Folder
from ..base import Loaded, LoadOrder
from .archive import Dump, check_text, contents_of, major_of_writer, opened_dump, programs_for, properties_of
from .contents import Contents, Entry, as_printed
from .context import ServerContext
from .dump import usual_jobs
from .external_dump import PLAIN
from .loader import NoEntry, acting_as_owner, remove_leftover_loaders, remove_loader
from .loading import Loader, check_guard, is_denial, load_archive, load_entries, load_text
from .naming import LOADING, is_load_name, load_name, lock_key
from .properties import read_properties
from .property_sql import CLOSE_PUBLIC, creation_options, expects_closed_public
from .rights import OWNER, SUPERUSER, LoadPlan, Wish, decide, superuser_warning
from .role_making import Making, make_roles, plan_roles, remove_made_roles
from .room import watch_of_room
from .session import Session, SqlError, identifier, literal
from .target import is_empty
from .words import some_of

_LOCK_NOT_AVAILABLE = "55P03"
_REMARKS = ("ACL", "COMMENT", "DEFAULT ACL", "SECURITY LABEL")


@dataclass(frozen=True)
class LoadedCopy(Loaded):
    """``lock``: the session that holds the restore's lock. ``properties``: what the swap gives to the copy.

    ``is_trusted``: they come from this server, or the user trusts all of the dump.
    """

    lock: Session | None = None
    making: Making = field(default_factory=Making)
    properties: Mapping[str, Any] = field(default_factory=dict)
    is_trusted: bool = False


@dataclass(frozen=True)
class Preparation:
    """What is decided before anything is made.

    ``dumped_by``: the major version of the pg_dump that wrote the dump. ``properties``: those of the new database.
    """

    contents: Contents | None
    dumped_by: int
    properties: Mapping[str, Any]
    plan: LoadPlan
    making: Making
    is_trusted: bool


@contextmanager
def loaded(context: ServerContext, order: LoadOrder, workspace: Folder) -> Iterator[LoadedCopy]:
    """The copy, complete, analyzed and not yet in use; see Engine.loaded.

    Raises Busy while another restore of this target is running, Refused as the preflight does, RestoreFailed or
    ToolFailed where loading does not come to its end.
    """
    with context.maintenance_session() as session:
        take_lock(session, context)
        clear_leftovers(context, session)
        ready = prepare(context, session, order, workspace)
        name = load_name(context.database, datetime.now(timezone.utc))
        context = context.watched(watch_of_room(context, session))
        began = time.monotonic()
        try:
            make_roles(session, ready.making, context.database)
            _create(context, session, name, ready)
            warnings = _load(context, session, order, workspace, name, ready)
            loaded_at = time.monotonic()
            _close(session, name)
            _analyze(context, name)
            yield LoadedCopy(
                name=name,
                warnings=(*ready.plan.warnings, *ready.making.warnings, *warnings),
                durations={"pg_restore": loaded_at - began, "analyze": time.monotonic() - loaded_at},
                lock=session,
                making=ready.making,
                properties=ready.properties,
                is_trusted=ready.is_trusted,
            )
        finally:
            _remove(context, session, name)


def prepare(context: ServerContext, session: Session, order: LoadOrder, workspace: Folder | None) -> Preparation:
    """Everything that can be decided and refused beforehand; writes nothing on the server.

    ``workspace``: None where ``needs_copy`` says no.
    """
    roles = {row["name"] for row in session.query("SELECT rolname AS name FROM pg_catalog.pg_roles")}
    contents = contents_of(context, order, workspace, roles)
    if contents is None:
        check_text(order.file)
        check_guard(context.programs, trusted=context.settings.trusted)
    remembered = properties_of(order)
    properties = remembered or _properties_for_file(context, session)
    # A file brings no properties: they are those of the database that is here.
    is_trusted = order.manifest is None or not order.is_foreign or context.settings.load_as == SUPERUSER
    making = plan_roles(session, properties.get("roles", ()), is_trusted=is_trusted)
    wish = Wish(
        load_as=context.settings.load_as,
        is_foreign=order.is_foreign,
        is_file=order.manifest is None,
        owner=properties["owner"],
        properties=remembered,
        contents=contents,
    )
    plan = decide(session, wish)
    if order.is_foreign and order.manifest is not None and plan.by == OWNER and plan.owner in roles:
        plan = replace(plan, warnings=(*plan.warnings, *_borrowed_rights(context, session, plan.owner)))
    if wish.is_file and contents is not None and not plan.without_owners:
        _check_owners(contents, roles)
    return Preparation(contents, major_of_writer(order, contents), properties, plan, making, is_trusted)


def _borrowed_rights(context: ServerContext, session: Session, owner: str) -> list[str]:
    """A line where somebody else's dump names as its owner a role of this server that does not own the target."""
    owns = session.value(
        "SELECT 1 AS it FROM pg_catalog.pg_database AS d JOIN pg_catalog.pg_roles AS r ON r.oid = d.datdba"
        " WHERE d.datname = %s AND r.rolname = %s" % (literal(context.database), literal(owner))
    )
    if owns:
        return []
    return [
        "The code in this backup of another host runs with the rights of the role %s, which this server had before,"
        " also in other databases of that role." % shown(owner)
    ]


def _check_owners(contents: Contents, roles: set[str]) -> None:
    """A file does not say what its roles are like, so they have to be here."""
    missing = contents.owners - {as_printed(role) for role in roles}
    if missing:
        raise Refused(
            "The dump gives objects to roles that this server does not have: %s; create them, or load without owners"
            " by load_as: owner." % some_of(sorted(missing))
        )


def take_lock(session: Session, context: ServerContext) -> None:
    """Wait for the lock of this target's restores as long as ``lock_wait`` says; raises Busy."""
    session.execute("SET lock_timeout = %d" % max(1, round(context.settings.lock_wait * 1000)))
    try:
        session.query("SELECT pg_catalog.pg_advisory_lock(%d)" % lock_key(context.database))
    except SqlError as reason:
        if reason.sqlstate != _LOCK_NOT_AVAILABLE:
            raise
        raise Busy(
            "Another restore of database %s is running on %s; wait for its end or raise lock_timeout."
            % (shown(context.database), context.access.place)
        ) from None
    session.execute("SET lock_timeout = 0")


def clear_leftovers(context: ServerContext, session: Session) -> None:
    """Remove what killed restores of this target left; call it with the lock."""
    for row in session.query(
        "SELECT d.datname AS name, EXISTS (SELECT FROM pg_catalog.pg_db_role_setting AS s,"
        " pg_catalog.unnest(s.setconfig) AS one WHERE s.setdatabase = d.oid AND s.setrole = 0 AND one LIKE '%s=%%')"
        " AS is_marked FROM pg_catalog.pg_database AS d WHERE d.datname LIKE 'holdfast\\_load\\_%%'" % LOADING
    ):
        # Killed between its making and its marking, a copy carries no mark yet, but nothing else either.
        if is_load_name(row["name"], context.database) and (row["is_marked"] or is_empty(context, row["name"])):
            _drop_database(session, row["name"])
    remove_leftover_loaders(session, context.database)
    remove_made_roles(session, context.database)


def _close(session: Session, name: str) -> None:
    """Keep the owner out of the loaded copy, who could change it while it is compared; superusers ignore the limit."""
    if not session.value("SELECT rolsuper AS it FROM pg_catalog.pg_roles WHERE rolname = CURRENT_USER"):
        return
    session.execute("ALTER DATABASE %s CONNECTION LIMIT 0" % identifier(name))
    session.query(
        "SELECT pg_catalog.pg_terminate_backend(pid) AS ended FROM pg_catalog.pg_stat_activity"
        " WHERE datname = %s AND pid <> pg_catalog.pg_backend_pid()" % literal(name)
    )


def _properties_for_file(context: ServerContext, session: Session) -> dict[str, Any]:
    """A file from elsewhere says nothing of the database: those of the present one hold, or a new database's."""
    try:
        with context.session() as live:
            return dict(read_properties(live), roles=[])
    except NotFound:
        return _properties_of_a_new_database(context, session)


def _properties_of_a_new_database(context: ServerContext, session: Session) -> dict[str, Any]:
    with context.session("template1") as template:
        usual = read_properties(template)
    fresh = {"acl": None, "settings": [], "comment": None, "security_labels": [], "is_template": False, "roles": []}
    return dict(usual, owner=session.user, connection_limit=-1, tablespace="pg_default", **fresh)


def _create(context: ServerContext, session: Session, name: str, ready: Preparation) -> None:
    """An empty database that nobody but its owner can enter, marked as ours."""
    try:
        session.execute(
            "CREATE DATABASE %s OWNER %s %s CONNECTION LIMIT 0"
            % (
                identifier(name),
                identifier(ready.plan.owner),
                creation_options(ready.properties, session.server_version),
            )
        )
    except SqlError as reason:
        raise Refused("A database like the one in the backup cannot be made on this server: %s" % reason) from None
    mark = json.dumps({"since": datetime.now(timezone.utc).isoformat(timespec="seconds")})
    with session.transaction():
        session.execute("REVOKE CONNECT, TEMPORARY ON DATABASE %s FROM PUBLIC" % identifier(name))
        session.execute("ALTER DATABASE %s SET %s = %s" % (identifier(name), LOADING, literal(mark)))
        session.execute("ALTER DATABASE %s CONNECTION LIMIT -1" % identifier(name))
    if expects_closed_public(ready.dumped_by, session.server_version):
        with context.session(name) as inside:
            inside.execute(CLOSE_PUBLIC)


def _load(
    context: ServerContext, session: Session, order: LoadOrder, workspace: Folder, name: str, ready: Preparation
) -> tuple[str, ...]:
    """Load as the plan says; returns warnings. Where the owner turns out not to suffice and may be replaced, again."""
    dumped_by = ready.contents.client_version if ready.contents is not None else None
    ourselves = Loader(context, context.access, programs_for(context, dumped_by), name)
    warnings: tuple[str, ...] = ()
    with opened_dump(order, context.access.account, workspace) as dump, _named(order):
        if ready.plan.by != OWNER:
            _load_as_ourselves(ourselves, session, dump, ready)
        else:
            reason = _load_as_owner(ourselves, session, dump, ready)
            if reason is not None:
                warnings = (superuser_warning(reason),)
                _drop_database(session, name)
                _create(context, session, name, ready)
                _load_as_ourselves(ourselves, session, dump, ready)
    if is_empty(context, name) and _should_hold_something(order, ready):
        raise RestoreFailed("The dump was read without an error, but nothing came of it: the copy is empty.")
    return warnings


def _load_as_ourselves(ourselves: Loader, session: Session, dump: Dump, ready: Preparation) -> None:
    """Load with our own rights; once more by a single worker where several got in each other's way.

    The workers of pg_restore give privileges in any order, and one that a grantee passed on may need another, such
    as USAGE on the schema, that no worker has given yet.
    """
    try:
        _load_all(ourselves, dump, ready, beforehand=())
    except ToolFailed as reason:
        if dump.folder is None or not is_denial(reason):
            raise
        _drop_database(session, ourselves.database)
        _create(ourselves.context, session, ourselves.database, ready)
        alone = replace(ourselves, context=ourselves.context.with_jobs(1))
        _load_all(alone, dump, ready, beforehand=())


@contextmanager
def _named(order: LoadOrder) -> Iterator[None]:
    """A tool that fails on a file from elsewhere does not know its name, and whoever reads of it wants to."""
    try:
        yield
    except ToolFailed as reason:
        if order.file is None:
            raise
        raise type(reason)("The file %s cannot be loaded: %s" % (shown(order.file.path), reason)) from None


def _load_as_owner(ourselves: Loader, session: Session, dump: Dump, ready: Preparation) -> str | None:
    """Load by a temporary member of the owner; returns why that could not be done, where a superuser may go on."""
    owner = ready.plan.owner
    try:
        if ready.plan.beforehand:
            load_entries(ourselves, dump, ready.plan.beforehand)
        with acting_as_owner(ourselves.context, session, owner, ourselves.database) as access:
            _load_all(replace(ourselves, access=access), dump, ready, beforehand=ready.plan.beforehand)
        return None
    except (NoEntry, ToolFailed) as reason:
        if not isinstance(reason, NoEntry) and not is_denial(reason):
            raise
        said = str(reason).rstrip(".")
        if ready.plan.may_change:
            return said
        raise Refused(
            "The dump cannot be loaded with the rights of its owner %s alone: %s; use load_as: superuser if you trust"
            " everything in it." % (shown(owner), said)
        ) from None


def _load_all(loader: Loader, dump: Dump, ready: Preparation, *, beforehand: Sequence[Entry]) -> None:
    """What is not there yet, by whom ``loader`` says."""
    if dump.form == PLAIN:
        load_text(loader, dump)
        return
    without = {entry.dump_id for entry in (*beforehand, *ready.plan.left_out)}
    rest = [entry for entry in ready.contents.entries if entry.dump_id not in without] if without else None
    load_archive(loader, dump, entries=rest, without_owners=ready.plan.without_owners)


def _should_hold_something(order: LoadOrder, ready: Preparation) -> bool:
    """Whether an empty copy is a sign of trouble: SQL text, or an archive that lists more than remarks."""
    if order.manifest is None and ready.contents is None:
        return True
    return any(entry.kind not in _REMARKS for entry in ready.contents.entries)


def _analyze(context: ServerContext, name: str) -> None:
    """Statistics for the planner, in parallel where vacuumdb is there; they count as part of the restore."""
    program = context.programs.path("vacuumdb")
    if not os.access(program, os.X_OK):
        with context.session(name) as session:
            session.execute("ANALYZE")
        return
    jobs = context.settings.jobs or usual_jobs()
    command = context.command("vacuumdb", "--analyze-only", "--quiet", "--jobs=%d" % jobs, database=name)
    context.processes.run(command, timeout=context.settings.time_limit)


def _remove(context: ServerContext, session: Session, name: str) -> None:
    """Remove the copy, unless the swap has taken it away under its own name, and whatever belongs to it."""
    try:
        _drop_database(session, name)
        remove_loader(context, session, name, None)
        remove_made_roles(session, context.database)
    except ToolFailed:
        # The server is gone or going: what is left is cleared by the next restore of this target, and the error
        # that brought us here is the one to show.
        pass


def _drop_database(session: Session, name: str) -> None:
    session.execute("DROP DATABASE IF EXISTS %s WITH (FORCE)" % identifier(name))
