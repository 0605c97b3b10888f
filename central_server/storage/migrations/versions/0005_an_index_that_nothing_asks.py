"""Without the index of units by their parent: the tree is always read as a whole."""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.drop_index("ix_unit_parent_id", "unit")


def downgrade() -> None:
    op.create_index("ix_unit_parent_id", "unit", ["parent_id"])
