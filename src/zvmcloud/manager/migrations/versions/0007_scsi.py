"""LUNs in pools; reservations that end."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("fcp_devices") as batch:
        batch.add_column(sa.Column("expires", sa.Float(), nullable=True))
    op.create_table(
        "scsi_volumes",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("volume", sa.String(length=33), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("wwpns", sa.JSON(), nullable=False),
        sa.Column("lun", sa.String(length=16), nullable=False),
        sa.Column("size_mb", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.String(length=255), server_default="", nullable=False),
        sa.Column("owner", sa.String(length=64), server_default="", nullable=False),
        sa.Column("channels", sa.JSON(), nullable=False),
        sa.Column("tag", sa.String(length=64), server_default="", nullable=False),
        sa.Column("expires", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("system", "volume", name=op.f("pk_scsi_volumes")),
    )
    op.create_index(op.f("ix_scsi_volumes_system_pool"), "scsi_volumes", ["system", "pool"], unique=False)


def downgrade() -> None:
    op.drop_table("scsi_volumes")
    with op.batch_alter_table("fcp_devices") as batch:
        batch.drop_column("expires")
