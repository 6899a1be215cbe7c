"""FCP devices and the templates that say which of them belong to which path."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fcp_devices",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("fcp", sa.String(length=4), nullable=False),
        sa.Column("assigner", sa.String(length=8), server_default="", nullable=False),
        sa.Column("reserved", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("connections", sa.Integer(), server_default="0", nullable=False),
        sa.Column("template", sa.String(length=36), server_default="", nullable=False),
        sa.Column("npiv", sa.String(length=16), server_default="", nullable=False),
        sa.Column("physical", sa.String(length=16), server_default="", nullable=False),
        sa.Column("chpid", sa.String(length=4), server_default="", nullable=False),
        sa.Column("pchid", sa.String(length=4), server_default="", nullable=False),
        sa.Column("state", sa.String(length=8), server_default="notfound", nullable=False),
        sa.Column("owner", sa.String(length=8), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("system", "fcp", name=op.f("pk_fcp_devices")),
    )
    op.create_table(
        "fcp_templates",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("description", sa.String(length=255), server_default="", nullable=False),
        sa.Column("host_default", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("min_paths", sa.Integer(), server_default="-1", nullable=False),
        sa.Column("providers", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_fcp_templates")),
    )
    op.create_table(
        "fcp_paths",
        sa.Column("template", sa.String(length=36), nullable=False),
        sa.Column("fcp", sa.String(length=4), nullable=False),
        sa.Column("path", sa.Integer(), nullable=False),
        sa.ForeignKeyConstraint(
            ["template"], ["fcp_templates.id"], name=op.f("fk_fcp_paths_template"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("template", "fcp", name=op.f("pk_fcp_paths")),
    )


def downgrade() -> None:
    for table in ("fcp_paths", "fcp_templates", "fcp_devices"):
        op.drop_table(table)
