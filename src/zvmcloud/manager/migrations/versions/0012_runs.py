"""Jobs that are run again: from the step that failed, or backwards."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("jobs") as table:
        table.add_column(sa.Column("run", sa.Integer(), nullable=False, server_default="0"))
        table.add_column(sa.Column("backwards", sa.Boolean(), nullable=False, server_default=sa.false()))
