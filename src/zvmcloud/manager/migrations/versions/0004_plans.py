"""Plans that were shown; what a guest was given, for quotas."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "plans",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("operation", sa.String(length=48), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("plan", sa.JSON(), nullable=False),
        sa.Column("entries", sa.JSON(), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_plans")),
    )
    op.create_index(op.f("ix_plans_expires"), "plans", ["expires"], unique=False)
    with op.batch_alter_table("guests") as batch:
        batch.add_column(sa.Column("vcpus", sa.Integer(), server_default="0", nullable=False))
        batch.add_column(sa.Column("memory_mb", sa.BigInteger(), server_default="0", nullable=False))
        batch.add_column(sa.Column("disk_mb", sa.BigInteger(), server_default="0", nullable=False))
