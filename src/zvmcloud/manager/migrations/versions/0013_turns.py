"""Turns: so many directory writers and image copies of a system at once, and who waits for one."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "turns",
        sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
        sa.Column("system", sa.String(16), nullable=False, index=True),
        sa.Column("kind", sa.String(12), nullable=False),
        sa.Column("owner", sa.String(140), nullable=False),
        sa.Column("tag", sa.BigInteger(), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("granted", sa.Boolean(), nullable=False),
    )
    with op.batch_alter_table("systems") as table:
        table.add_column(sa.Column("directory_writers", sa.Integer()))
        table.add_column(sa.Column("image_copies", sa.Integer()))
