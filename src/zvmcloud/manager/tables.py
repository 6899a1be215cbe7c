"""The manager's tables. Times are seconds since 1970 (UTC, float); JSON columns hold plain documents without secrets.

Userids and system names are stored in upper case. A guest, NIC or switch grant is keyed by its system, so one
database serves many z/VM systems. The schema is created and changed only by the Alembic scripts in
``migrations/versions``.
"""

from __future__ import annotations

import sqlalchemy as sa

metadata = sa.MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

systems = sa.Table(
    "systems",
    metadata,
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("url", sa.String(512), nullable=False),
    sa.Column("added", sa.Float, nullable=False),
    sa.Column("origin", sa.String(8), nullable=False, server_default="settings"),
    sa.Column("directory_writers", sa.Integer),
    sa.Column("image_copies", sa.Integer),
)
"""``origin``: settings (of a file or the command line), api (added at run time), enrolled (that, by its agent).
``directory_writers``, ``image_copies``: how many jobs at once; null: as the settings say."""

guests = sa.Table(
    "guests",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(8), primary_key=True),
    sa.Column("id", sa.String(36), nullable=False, unique=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("os_version", sa.String(64), nullable=False, server_default=""),
    sa.Column("image_sha256", sa.String(64)),
    sa.Column("net_set", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("comments", sa.JSON, nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False, server_default="0"),
    sa.Column("memory_mb", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disk_mb", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("project", sa.String(64), nullable=False, server_default="default", index=True),
    sa.Column("tags", sa.JSON, nullable=False, server_default="{}"),
)

guest_listings = sa.Table(
    "guest_listings",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("version", sa.BigInteger, nullable=False),
)
"""``version`` is another one after each change of the userids of a system's guests, whoever makes it: triggers of the
database count (migration 0018)."""

nics = sa.Table(
    "nics",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(8), primary_key=True),
    sa.Column("vdev", sa.String(4), primary_key=True),
    sa.Column("nic_id", sa.String(255)),
    sa.Column("mac", sa.String(17)),
    sa.Column("vswitch", sa.String(8)),
    sa.Column("vlan", sa.Integer),
    sa.Column("addresses", sa.JSON(none_as_null=True)),
    sa.Column("comments", sa.String(128)),
    sa.Index(None, "system", "vswitch"),
)

images = sa.Table(
    "images",
    metadata,
    sa.Column("name", sa.String(255), primary_key=True),
    sa.Column("sha256", sa.String(64), nullable=False, index=True),
    sa.Column("md5", sa.String(32), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(8), nullable=False),
    sa.Column("units", sa.BigInteger, nullable=False),
    sa.Column("os_version", sa.String(64), nullable=False),
    sa.Column("type", sa.String(16), nullable=False, server_default="rootonly"),
    sa.Column("comments", sa.String(255)),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("last_used", sa.Float, nullable=False),
    sa.Column("project", sa.String(64), nullable=False, server_default="default"),
    sa.Column("public", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("tags", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("format", sa.String(32), nullable=False, server_default="connector"),
    sa.Column("size", sa.BigInteger, nullable=False, server_default="0"),
    sa.Column("disk_type", sa.String(8), nullable=False, server_default=""),
    sa.Column("cylinders", sa.BigInteger),
    sa.Column("blocks", sa.BigInteger),
    sa.Column("architecture", sa.String(16), nullable=False, server_default="s390x"),
    sa.Column("boot", sa.Boolean, nullable=False, server_default=sa.true()),
    sa.Column("protected", sa.Boolean, nullable=False, server_default=sa.false()),
)

uploads = sa.Table(
    "uploads",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("name", sa.String(255), nullable=False, unique=True),
    sa.Column("project", sa.String(64), nullable=False, index=True),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("bytes", sa.BigInteger, nullable=False),
    sa.Column("digests", sa.JSON, nullable=False),
    sa.Column("about", sa.JSON, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("touched", sa.Float, nullable=False),
    sa.Column("job", sa.String(36)),
)

jobs = sa.Table(
    "jobs",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("kind", sa.String(32), nullable=False),
    sa.Column("title", sa.String(255), nullable=False),
    sa.Column("system", sa.String(16), nullable=False),
    sa.Column("userid", sa.String(8), nullable=False, server_default=""),
    sa.Column("image_sha256", sa.String(64)),
    sa.Column("state", sa.String(12), nullable=False, index=True),
    sa.Column("durable", sa.Boolean, nullable=False),
    sa.Column("cancel", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("node", sa.String(64), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("origin", sa.String(128), nullable=False, server_default=""),
    sa.Column("project", sa.String(64), nullable=False, server_default="default", index=True),
    sa.Column("actor", sa.String(64), nullable=False, server_default=""),
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("finished", sa.Float),
    sa.Column("error", sa.JSON(none_as_null=True)),
    sa.Column("run", sa.Integer, nullable=False, server_default="0"),
    sa.Column("backwards", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("parent", sa.String(36), index=True),
    sa.Column("uses", sa.JSON(none_as_null=True)),
    sa.Column("guest", sa.String(36)),
    sa.Index(None, "system", "userid"),
)
"""``guest``: the id of its guest when it began; the same userid may be another guest's by now."""

job_steps = sa.Table(
    "job_steps",
    metadata,
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("name", sa.String(32), nullable=False),
    sa.Column("title", sa.String(255), nullable=False),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("undo_kind", sa.String(48)),
    sa.Column("undo_parameters", sa.JSON),
    sa.Column("undo_system", sa.String(16), nullable=False, server_default=""),
    sa.Column("system", sa.String(16), nullable=False, server_default=""),
    sa.Column("stays", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("progress", sa.Float, nullable=False, server_default="0"),
    sa.Column("detail", sa.String(255), nullable=False, server_default=""),
    sa.Column("attempts", sa.Integer, nullable=False, server_default="0"),
    sa.Column("started", sa.Float),
    sa.Column("finished", sa.Float),
    sa.Column("result", sa.JSON(none_as_null=True)),
    sa.Column("error", sa.JSON(none_as_null=True)),
)

calls = sa.Table(
    "calls",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("step", sa.Integer, nullable=False),
    sa.Column("position", sa.Integer, nullable=False),
    sa.Column("kind", sa.String(16), nullable=False),
    sa.Column("name", sa.String(128), nullable=False),
    sa.Column("parameters", sa.JSON, nullable=False),
    sa.Column("rc", sa.Integer),
    sa.Column("rs", sa.Integer),
    sa.Column("text", sa.JSON, nullable=False),
    sa.Column("milliseconds", sa.Float, nullable=False),
)

job_log = sa.Table(
    "job_log",
    metadata,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=True),
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("step", sa.String(32), nullable=False),
    sa.Column("text", sa.String(255), nullable=False),
)

turns = sa.Table(
    "turns",
    metadata,
    sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("system", sa.String(16), nullable=False, index=True),
    sa.Column("kind", sa.String(12), nullable=False),
    sa.Column("owner", sa.String(140), nullable=False),
    sa.Column("tag", sa.BigInteger, nullable=False),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("granted", sa.Boolean, nullable=False),
)
"""Jobs that have, or wait for, a turn at their system's directory or a copy of an image there; "" for neither."""

manager_nodes = sa.Table(
    "manager_nodes",
    metadata,
    sa.Column("node", sa.String(64), primary_key=True),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("heartbeat", sa.Float, nullable=False),
    sa.Column("instance", sa.String(32), nullable=False, server_default=""),
    sa.Column("folder", sa.String(32), nullable=False, server_default=""),
)

fence = sa.Table("fence", metadata, sa.Column("epoch", sa.BigInteger, nullable=False))
"""One row: the highest epoch that was given out."""

leases = sa.Table(
    "leases",
    metadata,
    sa.Column("name", sa.String(80), primary_key=True),
    sa.Column("node", sa.String(64), sa.ForeignKey("manager_nodes.node", ondelete="CASCADE"), nullable=False),
)
"""What one member has for itself for a while; what a dead member had is free with its burial."""

fcp_devices = sa.Table(
    "fcp_devices",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("fcp", sa.String(4), primary_key=True),
    sa.Column("assigner", sa.String(8), nullable=False, server_default=""),
    sa.Column("reserved", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("connections", sa.Integer, nullable=False, server_default="0"),
    sa.Column("template", sa.String(36), nullable=False, server_default=""),
    sa.Column("npiv", sa.String(16), nullable=False, server_default=""),
    sa.Column("physical", sa.String(16), nullable=False, server_default=""),
    sa.Column("chpid", sa.String(4), nullable=False, server_default=""),
    sa.Column("pchid", sa.String(4), nullable=False, server_default=""),
    sa.Column("state", sa.String(8), nullable=False, server_default="notfound"),
    sa.Column("owner", sa.String(8), nullable=False, server_default=""),
    sa.Column("expires", sa.Float),
    sa.Column("vdev", sa.String(4), nullable=False, server_default=""),
)
"""``vdev``: the number at which the assigner has the device, "" for the device's own."""

volume_pools = sa.Table(
    "volume_pools",
    metadata,
    sa.Column("home", sa.String(24), primary_key=True),
    sa.Column("pool", sa.String(64), primary_key=True),
    sa.Column("wipe", sa.String(8), nullable=False, server_default="zero"),
)
"""``home``: the system that reaches the pool, or "ssi:NAME" for all members of that cluster."""

pool_luns = sa.Table(
    "pool_luns",
    metadata,
    sa.Column("home", sa.String(24), primary_key=True),
    sa.Column("name", sa.String(33), primary_key=True),
    sa.Column("pool", sa.String(64), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("wwpns", sa.JSON, nullable=False),
    sa.Column("lun", sa.String(16), nullable=False),
    sa.Column("size_mb", sa.BigInteger, nullable=False),
    sa.Column("devices", sa.String(255), nullable=False, server_default=""),
    sa.Column("owner", sa.String(64), nullable=False, server_default=""),
    sa.Column("tag", sa.String(64), nullable=False, server_default=""),
    sa.Index(None, "home", "pool"),
)
"""``state``: free, used (a volume is on it), or reserved: not handed out until an administrator frees it."""

volumes = sa.Table(
    "volumes",
    metadata,
    sa.Column("home", sa.String(24), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("lun", sa.String(33), nullable=False),
    sa.Column("size_gb", sa.Integer, nullable=False),
    sa.Column("state", sa.String(12), nullable=False),
    sa.Column("shared", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("source", sa.String(64), nullable=False, server_default=""),
    sa.Column("image", sa.String(255), nullable=False, server_default=""),
    sa.Column("project", sa.String(64), nullable=False, server_default="default", index=True),
    sa.Column("tags", sa.JSON, nullable=False, server_default="{}"),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("job", sa.String(36), nullable=False, server_default=""),
    sa.Column("claimed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index(None, "home", "lun", unique=True),
)
"""``job``: the one that works on it; ``claimed``: that job began with it, and has not come to it yet."""

attachments = sa.Table(
    "attachments",
    metadata,
    sa.Column("home", sa.String(24), primary_key=True),
    sa.Column("volume", sa.String(64), primary_key=True),
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(8), primary_key=True),
    sa.Column("fcps", sa.JSON, nullable=False),
    sa.Column("template", sa.String(36), nullable=False, server_default=""),
    sa.Column("boot", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("mount_point", sa.String(255), nullable=False, server_default=""),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("job", sa.String(36), nullable=False, server_default=""),
    sa.Column("claimed", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Index(None, "system", "userid"),
)

fcp_templates = sa.Table(
    "fcp_templates",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("system", sa.String(16), nullable=False),
    sa.Column("name", sa.String(255), nullable=False),
    sa.Column("description", sa.String(255), nullable=False, server_default=""),
    sa.Column("host_default", sa.Boolean, nullable=False, server_default=sa.false()),
    sa.Column("min_paths", sa.Integer, nullable=False, server_default="-1"),
    sa.Column("providers", sa.JSON, nullable=False),
)

fcp_paths = sa.Table(
    "fcp_paths",
    metadata,
    sa.Column("template", sa.String(36), sa.ForeignKey("fcp_templates.id", ondelete="CASCADE"), primary_key=True),
    sa.Column("fcp", sa.String(4), primary_key=True),
    sa.Column("path", sa.Integer, nullable=False),
)

plans = sa.Table(
    "plans",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("operation", sa.String(48), nullable=False),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float, nullable=False, index=True),
    sa.Column("plan", sa.JSON, nullable=False),
    sa.Column("entries", sa.JSON, nullable=False),
    sa.Column("job", sa.String(36)),
    sa.Column("parent", sa.String(36), index=True),
)

idempotency = sa.Table(
    "idempotency",
    metadata,
    sa.Column("id", sa.String(64), primary_key=True),
    sa.Column("request", sa.String(64), nullable=False),
    sa.Column("epoch", sa.BigInteger, nullable=False),
    sa.Column("created", sa.Float, nullable=False, index=True),
    sa.Column("status", sa.Integer),
    sa.Column("headers", sa.JSON(none_as_null=True)),
    sa.Column("body", sa.Text),
)
