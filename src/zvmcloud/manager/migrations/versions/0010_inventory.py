"""What was seen of z/VM, the history of entries, drift, enrolled agents."""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None

TABLES = (
    "sweeps",
    "seen_guests",
    "seen_disks",
    "seen_nics",
    "seen_resources",
    "entry_versions",
    "baselines",
    "drift",
    "agent_certificates",
    "enrollments",
)


def upgrade() -> None:
    with op.batch_alter_table("systems") as table:
        table.add_column(sa.Column("origin", sa.String(length=8), nullable=False, server_default="settings"))
    op.create_table(
        "sweeps",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("tag", sa.String(length=64), server_default="", nullable=False),
        sa.Column("source", sa.String(length=32), server_default="", nullable=False),
        sa.Column("at", sa.Float(), nullable=True),
        sa.Column("tried", sa.Float(), nullable=False),
        sa.Column("took_ms", sa.Float(), server_default="0", nullable=False),
        sa.Column("calls", sa.Integer(), server_default="0", nullable=False),
        sa.Column("missing", sa.JSON(), nullable=False),
        sa.Column("error", sa.JSON(none_as_null=True), nullable=True),
        sa.PrimaryKeyConstraint("system", name=op.f("pk_sweeps")),
    )
    op.create_table(
        "seen_guests",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("userid", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("vcpus", sa.Integer(), nullable=False),
        sa.Column("max_cpus", sa.Integer(), nullable=False),
        sa.Column("memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("max_memory_mb", sa.BigInteger(), nullable=False),
        sa.Column("disk_mb", sa.BigInteger(), nullable=False),
        sa.Column("profile", sa.String(length=8), nullable=False),
        sa.Column("ipl", sa.String(length=8), nullable=False),
        sa.Column("unreadable", sa.String(length=255), server_default="", nullable=False),
        sa.Column("first", sa.Float(), nullable=False),
        sa.Column("changed", sa.Float(), nullable=False),
        sa.Column("looked", sa.Float(), nullable=True),
        sa.Column("gone", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("system", "userid", name=op.f("pk_seen_guests")),
    )
    op.create_table(
        "seen_disks",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("userid", sa.String(length=10), nullable=False),
        sa.Column("vdev", sa.String(length=4), nullable=False),
        sa.Column("type", sa.String(length=8), nullable=False),
        sa.Column("device_type", sa.String(length=8), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=True),
        sa.Column("unit", sa.String(length=4), nullable=False),
        sa.Column("volume", sa.String(length=8), nullable=False),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("mode", sa.String(length=4), nullable=False),
        sa.PrimaryKeyConstraint("system", "userid", "vdev", name=op.f("pk_seen_disks")),
    )
    op.create_index(op.f("ix_seen_disks_system_volume"), "seen_disks", ["system", "volume"], unique=False)
    op.create_table(
        "seen_nics",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("userid", sa.String(length=10), nullable=False),
        sa.Column("vdev", sa.String(length=4), nullable=False),
        sa.Column("adapter_type", sa.String(length=16), nullable=False),
        sa.Column("lan_owner", sa.String(length=8), nullable=False),
        sa.Column("lan_name", sa.String(length=8), nullable=False),
        sa.Column("mac_id", sa.String(length=12), nullable=False),
        sa.Column("vlan", sa.String(length=24), nullable=False),
        sa.PrimaryKeyConstraint("system", "userid", "vdev", name=op.f("pk_seen_nics")),
    )
    op.create_index(op.f("ix_seen_nics_system_lan_name"), "seen_nics", ["system", "lan_name"], unique=False)
    op.create_table(
        "seen_resources",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("kind", sa.String(length=8), nullable=False),
        sa.Column("name", sa.String(length=16), nullable=False),
        sa.Column("facts", sa.JSON(), nullable=False),
        sa.Column("first", sa.Float(), nullable=False),
        sa.Column("changed", sa.Float(), nullable=False),
        sa.Column("gone", sa.Float(), nullable=True),
        sa.PrimaryKeyConstraint("system", "kind", "name", name=op.f("pk_seen_resources")),
    )
    op.create_table(
        "entry_versions",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("userid", sa.String(length=10), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("entry", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("cause", sa.String(length=8), nullable=False),
        sa.Column("job", sa.String(length=36), server_default="", nullable=False),
        sa.Column("gone", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("system", "userid", "number", name=op.f("pk_entry_versions")),
    )
    op.create_table(
        "baselines",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("userid", sa.String(length=10), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("disks", sa.JSON(), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("system", "userid", name=op.f("pk_baselines")),
    )
    op.create_table(
        "drift",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("userid", sa.String(length=10), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("subject", sa.String(length=16), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("since", sa.Float(), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("system", "userid", "kind", "subject", name=op.f("pk_drift")),
    )
    op.create_index(op.f("ix_drift_project"), "drift", ["project"], unique=False)
    op.create_table(
        "agent_certificates",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("serial", sa.String(length=40), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("issued", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("system", name=op.f("pk_agent_certificates")),
    )
    op.create_table(
        "enrollments",
        sa.Column("token", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=False),
        sa.Column("used", sa.Float(), nullable=True),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("token", name=op.f("pk_enrollments")),
    )
    op.create_index(op.f("ix_enrollments_system"), "enrollments", ["system"], unique=False)


def downgrade() -> None:
    for name in TABLES:
        op.drop_table(name)
    with op.batch_alter_table("systems") as table:
        table.drop_column("origin")
