"""What an image holds and which disks it goes onto; uploads under way."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def _columns() -> tuple[sa.Column[Any], ...]:
    return (
        sa.Column("format", sa.String(length=32), nullable=False, server_default="connector"),
        sa.Column("size", sa.BigInteger(), nullable=False, server_default="0"),
        sa.Column("disk_type", sa.String(length=8), nullable=False, server_default=""),
        sa.Column("cylinders", sa.BigInteger(), nullable=True),
        sa.Column("blocks", sa.BigInteger(), nullable=True),
        sa.Column("architecture", sa.String(length=16), nullable=False, server_default="s390x"),
        sa.Column("boot", sa.Boolean(), nullable=False, server_default=sa.true()),
        sa.Column("protected", sa.Boolean(), nullable=False, server_default=sa.false()),
    )


def upgrade() -> None:
    with op.batch_alter_table("images") as batch:
        for column in _columns():
            batch.add_column(column)
    op.execute("UPDATE images SET disk_type = 'ECKD', cylinders = units WHERE kind = 'CYL'")
    op.execute("UPDATE images SET disk_type = 'FBA', blocks = units WHERE kind = 'BLK'")
    op.create_table(
        "uploads",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("bytes", sa.BigInteger(), nullable=False),
        sa.Column("digests", sa.JSON(), nullable=False),
        sa.Column("about", sa.JSON(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("touched", sa.Float(), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_uploads")),
        sa.UniqueConstraint("name", name=op.f("uq_uploads_name")),
    )
    op.create_index(op.f("ix_uploads_project"), "uploads", ["project"], unique=False)


def downgrade() -> None:
    op.drop_table("uploads")
    with op.batch_alter_table("images") as batch:
        for column in _columns():
            batch.drop_column(column.name)
