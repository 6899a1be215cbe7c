"""Steps that are taken back by another system's agent, and steps that stay when a later one fails."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("job_steps") as table:
        table.add_column(sa.Column("undo_system", sa.String(16), nullable=False, server_default=""))
        table.add_column(sa.Column("stays", sa.Boolean(), nullable=False, server_default=sa.false()))
