"""What the demo puts into its running server: units, log-ins, one pairing code."""

import os
from secrets import token_urlsafe

from central_server.domain.permissions import Role
from central_server.main import build
from central_server.services import accounts, enrolment, registry
from central_server.services.context import ServerContext
from central_server.settings import load_settings
from scripts.demo_plan import BOX, LOGINS, UNITS_FILE, Login, Prepared


def prepare(environment: dict[str, str]) -> Prepared:
    """Units, a log-in for each role, and a code for the agent."""
    os.environ.update(environment)
    context = build(load_settings(None))
    registry.load_units(context, UNITS_FILE)
    prepared = Prepared(
        [_make_login(context, name, Role(role), unit) for name, role, unit in LOGINS],
        enrolment.make_code(context, BOX),
    )
    context.database.close()
    return prepared


def _make_login(context: ServerContext, name: str, role: Role, unit: str) -> Login:
    password = token_urlsafe(9)
    accounts.create_user(context, user_id=name, password=password, role=role, unit_id=unit)
    return Login(name, role, password)
