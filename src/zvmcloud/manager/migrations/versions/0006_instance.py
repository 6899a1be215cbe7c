"""Which state folder a manager works with."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("manager_nodes") as table:
        table.add_column(sa.Column("instance", sa.String(length=32), nullable=False, server_default=""))
