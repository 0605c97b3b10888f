"""Writes the next step of the server's schema: what tables.py says beyond the steps so far.

    python scripts/make_migration.py "Let a desk close early"

Read what it wrote: Alembic sees a renamed column as one dropped and one added.
"""

import sys

from alembic import command
from alembic.script import ScriptDirectory

from central_server.storage import schema
from central_server.storage.unit_of_work import Database


def main(message: str) -> None:
    """Compares with a database in memory that went through all steps so far."""
    database = Database("sqlite://")
    schema.migrate(database)
    steps = len(list(ScriptDirectory(str(schema.MIGRATIONS)).walk_revisions()))
    with database.transaction() as db:
        config = schema.alembic_config(db)
        command.revision(config, message=message, rev_id=f"{steps + 1:04}", autogenerate=True)


if __name__ == "__main__":
    main(sys.argv[1])
