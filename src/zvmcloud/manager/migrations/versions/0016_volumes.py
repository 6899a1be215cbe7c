"""Volumes with names of their own on the LUNs of pools; pools have a home and a way to wipe."""

import time

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "volume_pools",
        sa.Column("home", sa.String(length=24), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("wipe", sa.String(length=8), server_default="zero", nullable=False),
        sa.PrimaryKeyConstraint("home", "pool", name=op.f("pk_volume_pools")),
    )
    luns = op.create_table(
        "pool_luns",
        sa.Column("home", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=33), nullable=False),
        sa.Column("pool", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("wwpns", sa.JSON(), nullable=False),
        sa.Column("lun", sa.String(length=16), nullable=False),
        sa.Column("size_mb", sa.BigInteger(), nullable=False),
        sa.Column("devices", sa.String(length=255), server_default="", nullable=False),
        sa.Column("owner", sa.String(length=64), server_default="", nullable=False),
        sa.Column("tag", sa.String(length=64), server_default="", nullable=False),
        sa.PrimaryKeyConstraint("home", "name", name=op.f("pk_pool_luns")),
    )
    op.create_index(op.f("ix_pool_luns_home_pool"), "pool_luns", ["home", "pool"], unique=False)
    volumes = op.create_table(
        "volumes",
        sa.Column("home", sa.String(length=24), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("lun", sa.String(length=33), nullable=False),
        sa.Column("size_gb", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=12), nullable=False),
        sa.Column("shared", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("source", sa.String(length=64), server_default="", nullable=False),
        sa.Column("image", sa.String(length=255), server_default="", nullable=False),
        sa.Column("project", sa.String(length=64), server_default="default", nullable=False),
        sa.Column("tags", sa.JSON(), server_default="{}", nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("job", sa.String(length=36), server_default="", nullable=False),
        sa.Column("claimed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("home", "name", name=op.f("pk_volumes")),
    )
    op.create_index(op.f("ix_volumes_home_lun"), "volumes", ["home", "lun"], unique=True)
    op.create_index(op.f("ix_volumes_project"), "volumes", ["project"], unique=False)
    attachments = op.create_table(
        "attachments",
        sa.Column("home", sa.String(length=24), nullable=False),
        sa.Column("volume", sa.String(length=64), nullable=False),
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("userid", sa.String(length=8), nullable=False),
        sa.Column("fcps", sa.JSON(), nullable=False),
        sa.Column("template", sa.String(length=36), server_default="", nullable=False),
        sa.Column("boot", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("mount_point", sa.String(length=255), server_default="", nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("job", sa.String(length=36), server_default="", nullable=False),
        sa.Column("claimed", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.PrimaryKeyConstraint("home", "volume", "system", "userid", name=op.f("pk_attachments")),
    )
    op.create_index(op.f("ix_attachments_system_userid"), "attachments", ["system", "userid"], unique=False)
    _move(luns, volumes, attachments)
    op.drop_table("scsi_volumes")


def _move(luns: sa.Table, volumes: sa.Table, attachments: sa.Table) -> None:
    """A used LUN becomes a volume, named as the LUN is, that its guest has; one kept for a time is free."""
    connection = op.get_bind()
    old = sa.Table("scsi_volumes", sa.MetaData(), autoload_with=connection)
    pools = sa.table("volume_pools", sa.column("home"), sa.column("pool"))
    marks = sa.table("marks", sa.column("kind"))
    connection.execute(sa.update(marks).where(marks.c.kind == "scsi-pool").values(kind="volume-pool"))
    known: set[tuple[str, str]] = set()
    for row in connection.execute(sa.select(old)).mappings().all():
        system, state, owner = row["system"], row["state"], row["owner"]
        if state == "reserved" and row["expires"] is not None:
            state, owner = "free", ""
        if (system, row["pool"]) not in known:
            known.add((system, row["pool"]))
            connection.execute(sa.insert(pools), {"home": system, "pool": row["pool"]})
        same = ("pool", "wwpns", "lun", "size_mb", "devices", "tag")
        kept = {name: row[name] for name in same}
        said = {"state": state, "owner": "" if state == "used" else owner}
        connection.execute(sa.insert(luns), {**kept, **said, "home": system, "name": row["volume"]})
        if state != "used":
            continue
        where = {"home": system, "created": time.time()}
        volume = {**where, "name": row["volume"], "lun": row["volume"], "size_gb": row["size_mb"] // 1024}
        connection.execute(sa.insert(volumes), {**volume, "state": "available"})
        guest = {**where, "volume": row["volume"], "system": system, "userid": owner.upper()[:8]}
        connection.execute(sa.insert(attachments), {**guest, "fcps": row["channels"]})
