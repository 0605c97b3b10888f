"""Which pages stand in the navigation, and which of them one may see."""

from dataclasses import dataclass

from central_server.domain.permissions import Permission, Role, Viewer


@dataclass(frozen=True, slots=True)
class NavItem:
    """A link in the navigation; `label` is a message key."""

    path: str
    label: str
    permissions: frozenset[Permission]  # any of them


NAVIGATION = (
    NavItem("/scorecards", "nav.scorecards", frozenset({Permission.SEE_UNIT_FIGURES})),
    NavItem("/flags", "nav.flags", frozenset({Permission.SEE_FLAGS, Permission.SEE_UNIT_FIGURES})),
    NavItem("/sessions", "nav.sessions", frozenset({Permission.SEE_SESSIONS})),
    NavItem("/devices", "nav.devices", frozenset({Permission.SEE_DEVICES})),
    NavItem("/units", "nav.units", frozenset({Permission.SEE_UNIT_FIGURES})),
    NavItem("/hotline", "nav.hotline", frozenset({Permission.ENTER_FEEDBACK})),
    NavItem("/audit", "nav.audit", frozenset({Permission.SEE_AUDIT})),
)

SECOND_STEP = "/login/second"  # where a log-in goes on that lacks its second factor

HOME: dict[Role, str] = {
    Role.ADMINISTRATOR: "/devices",
    Role.LEAD_INSPECTOR: "/flags",
    Role.INSPECTOR: "/flags",
    Role.SUPERVISOR: "/scorecards",
    Role.UNIT_OFFICER: "/scorecards",
    Role.OPERATOR: "/hotline",
    Role.AUDITOR: "/audit",
}


def place_of(path: str) -> NavItem | None:
    """The link under which that page is found."""
    return next((item for item in NAVIGATION if path.startswith(item.path)), None)


def nav_of(viewer: Viewer) -> tuple[NavItem, ...]:
    """The links this viewer may follow."""
    return tuple(item for item in NAVIGATION if any(map(viewer.may, item.permissions)))
