"""Several managers: the epoch they share, the files they share, guests one of them has for itself."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    fence = op.create_table("fence", sa.Column("epoch", sa.BigInteger(), nullable=False))
    nodes = sa.table("manager_nodes", sa.column("epoch"))
    op.execute(sa.insert(fence).from_select(["epoch"], sa.select(sa.func.coalesce(sa.func.max(nodes.c.epoch), 0))))
    with op.batch_alter_table("manager_nodes") as table:
        table.add_column(sa.Column("folder", sa.String(length=32), nullable=False, server_default=""))
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=80), nullable=False),
        sa.Column("node", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(["node"], ["manager_nodes.node"], name=op.f("fk_leases_node"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_leases")),
    )
