"""Brings a database's schema to what this version of the program needs (Alembic)."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import text
from sqlmodel import Session

from central_server.storage.unit_of_work import Database

MIGRATIONS = Path(__file__).with_name("migrations")
_MIGRATION_LOCK = 0x6F6E6573746F70  # any fixed number: two starting servers take turns


def migrate(database: Database) -> None:
    """All missing steps in one transaction; does nothing to a schema that is current."""
    with database.transaction() as db:
        if not database.is_sqlite:
            db.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _MIGRATION_LOCK})
        command.upgrade(alembic_config(db), "head")


def is_current(db: Session) -> bool:
    """Whether the database stands at this program's newest step."""
    at = MigrationContext.configure(db.connection()).get_current_heads()
    return set(at) == set(ScriptDirectory(str(MIGRATIONS)).get_heads())


def revision_of(db: Session) -> str:
    """The step at which the database stands; there is one head."""
    return MigrationContext.configure(db.connection()).get_current_revision() or "base"


def alembic_config(db: Session) -> Config:
    """Alembic's settings, bound to the transaction of `db`."""
    config = Config()
    # ConfigParser, behind it, reads % as its own.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = db.connection()
    return config
