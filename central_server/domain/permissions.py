"""Roles, what each may do, and the unit subtree each sees. Only this module makes a UnitScope."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NewType

from central_server.domain.errors import NotAllowedError, NotFoundError

UnitId = NewType("UnitId", str)
UserId = NewType("UserId", str)


class Role(StrEnum):
    """Who somebody is, over a unit subtree."""

    ADMINISTRATOR = "administrator"
    LEAD_INSPECTOR = "lead_inspector"
    INSPECTOR = "inspector"
    SUPERVISOR = "supervisor"  # district chief
    UNIT_OFFICER = "unit_officer"
    OPERATOR = "operator"  # hotline
    AUDITOR = "auditor"


class Permission(StrEnum):
    """What a route or a use case asks for."""

    SEE_FLAGS = "see_flags"  # also complaints and integrity, with the session
    DECIDE_FLAGS = "decide_flags"
    SEE_FEEDBACK = "see_feedback"  # words and links
    SEE_EVIDENCE = "see_evidence"  # clips and snapshots, and that they were asked for
    ASK_EVIDENCE = "ask_evidence"  # ask for them, hold them
    SEE_SESSIONS = "see_sessions"
    SEE_UNIT_FIGURES = "see_unit_figures"  # month figures, flags other than inspection-only
    SEE_DEVICES = "see_devices"
    ENTER_FEEDBACK = "enter_feedback"  # hotline, suggestion box
    ADMINISTER = "administer"
    SEE_AUDIT = "see_audit"


_INSPECTION = {
    Permission.SEE_FLAGS,
    Permission.SEE_FEEDBACK,
    Permission.SEE_EVIDENCE,
    Permission.SEE_SESSIONS,
    Permission.SEE_UNIT_FIGURES,
    Permission.SEE_DEVICES,
}
_DECIDING = {Permission.DECIDE_FLAGS, Permission.ASK_EVIDENCE}

PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.ADMINISTRATOR: frozenset(
        {Permission.ADMINISTER, Permission.SEE_DEVICES, Permission.SEE_UNIT_FIGURES}
    ),
    Role.LEAD_INSPECTOR: frozenset(_INSPECTION | _DECIDING | {Permission.ENTER_FEEDBACK}),
    Role.INSPECTOR: frozenset(_INSPECTION | _DECIDING),
    Role.SUPERVISOR: frozenset(
        {Permission.SEE_UNIT_FIGURES, Permission.SEE_SESSIONS, Permission.SEE_DEVICES}
    ),
    Role.UNIT_OFFICER: frozenset({Permission.SEE_DEVICES, Permission.SEE_UNIT_FIGURES}),
    Role.OPERATOR: frozenset({Permission.ENTER_FEEDBACK}),
    Role.AUDITOR: frozenset(_INSPECTION | {Permission.SEE_AUDIT}),
}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody logged in."""

    user_id: UserId
    role: Role
    unit_id: UnitId

    def may(self, permission: Permission) -> bool:
        """Whether the role holds it; where it holds is the scope's business."""
        return permission in PERMISSIONS[self.role]


@dataclass(frozen=True, slots=True)
class UnitScope:
    """The units that a viewer may see for one permission; a raw id can't stand in for it."""

    unit_ids: frozenset[UnitId]

    def __contains__(self, unit_id: str) -> bool:
        return unit_id in self.unit_ids


@dataclass(frozen=True, slots=True)
class FlagScope:
    """Whose flags a viewer may see, and whether complaints and integrity flags are among them."""

    units: UnitScope
    inspection: bool


def subtree(root: UnitId, parents: Mapping[UnitId, UnitId | None]) -> frozenset[UnitId]:
    """`root` and all below it; `parents` maps each unit to its parent. Cycles are cut."""
    children: dict[UnitId | None, list[UnitId]] = {}
    for unit, parent in parents.items():
        children.setdefault(parent, []).append(unit)
    found: set[UnitId] = set()
    frontier: list[UnitId] = [root] if root in parents else []
    while frontier:
        unit = frontier.pop()
        if unit not in found:
            found.add(unit)
            frontier.extend(children.get(unit, ()))
    return frozenset(found)


def scope_of(
    viewer: Viewer, permission: Permission, parents: Mapping[UnitId, UnitId | None]
) -> UnitScope:
    """Where the viewer may do that; raises `NotAllowedError` if nowhere."""
    if not viewer.may(permission):
        raise NotAllowedError(permission=permission.value)
    return UnitScope(subtree(viewer.unit_id, parents))


def flag_scope_of(viewer: Viewer, parents: Mapping[UnitId, UnitId | None]) -> FlagScope:
    """The flags that the viewer may see; the unit's own chain never sees inspection-only ones."""
    inspection = viewer.may(Permission.SEE_FLAGS)
    permission = Permission.SEE_FLAGS if inspection else Permission.SEE_UNIT_FIGURES
    return FlagScope(scope_of(viewer, permission, parents), inspection)


def narrow(scope: UnitScope, root: UnitId, parents: Mapping[UnitId, UnitId | None]) -> UnitScope:
    """That part of the scope which lies at or below `root`: a filter can only take away."""
    return UnitScope(scope.unit_ids & subtree(root, parents))


def only(scope: UnitScope, unit: UnitId) -> UnitScope:
    """That one unit of the scope, without what lies below it."""
    return UnitScope(scope.unit_ids & {unit})


def everywhere(unit_ids: Iterable[UnitId]) -> UnitScope:
    """For the server's own work (projector, tick, commands), which serves no viewer."""
    return UnitScope(frozenset(unit_ids))


def require_in(scope: UnitScope, unit_id: str) -> UnitId:
    """The unit if it lies in the scope; otherwise it does not exist for this viewer."""
    if unit_id not in scope:
        raise NotFoundError()
    return UnitId(unit_id)
