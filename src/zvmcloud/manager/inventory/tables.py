"""The tables of what was seen. Times are seconds since 1970; nothing holds a password (agents mask them).

A row that is there with ``gone`` null was there at the last look at its system (``sweeps.at``), so an unchanged system
costs one row. ``source`` of a sweep is who told it: the agent's userid and the name that the system gives itself.
"""

from __future__ import annotations

import sqlalchemy as sa

from zvmcloud.manager.tables import metadata

sweeps = sa.Table(
    "sweeps",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("tag", sa.String(64), nullable=False, server_default=""),
    sa.Column("source", sa.String(32), nullable=False, server_default=""),
    sa.Column("at", sa.Float),
    sa.Column("tried", sa.Float, nullable=False),
    sa.Column("took_ms", sa.Float, nullable=False, server_default="0"),
    sa.Column("calls", sa.Integer, nullable=False, server_default="0"),
    sa.Column("missing", sa.JSON, nullable=False),
    sa.Column("error", sa.JSON(none_as_null=True)),
)
"""``error`` is the problem of the last look if that failed; ``missing`` names the parts that z/VM refused to tell."""

seen_guests = sa.Table(
    "seen_guests",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(10), primary_key=True),
    sa.Column("kind", sa.String(10), nullable=False),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("vcpus", sa.Integer, nullable=False),
    sa.Column("max_cpus", sa.Integer, nullable=False),
    sa.Column("memory_mb", sa.BigInteger, nullable=False),
    sa.Column("max_memory_mb", sa.BigInteger, nullable=False),
    sa.Column("disk_mb", sa.BigInteger, nullable=False),
    sa.Column("profile", sa.String(8), nullable=False),
    sa.Column("ipl", sa.String(8), nullable=False),
    sa.Column("unreadable", sa.String(255), nullable=False, server_default=""),
    sa.Column("first", sa.Float, nullable=False),
    sa.Column("changed", sa.Float, nullable=False),
    sa.Column("looked", sa.Float),
    sa.Column("gone", sa.Float),
)
"""Entries of the directory. ``state`` is on or off on this system; ``looked``: when it was last looked at alone."""

seen_disks = sa.Table(
    "seen_disks",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(10), primary_key=True),
    sa.Column("vdev", sa.String(4), primary_key=True),
    sa.Column("type", sa.String(8), nullable=False),
    sa.Column("device_type", sa.String(8), nullable=False),
    sa.Column("size", sa.BigInteger),
    sa.Column("unit", sa.String(4), nullable=False),
    sa.Column("volume", sa.String(8), nullable=False),
    sa.Column("start", sa.BigInteger),
    sa.Column("mode", sa.String(4), nullable=False),
    sa.Index(None, "system", "volume"),
)

seen_nics = sa.Table(
    "seen_nics",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(10), primary_key=True),
    sa.Column("vdev", sa.String(4), primary_key=True),
    sa.Column("adapter_type", sa.String(16), nullable=False),
    sa.Column("lan_owner", sa.String(8), nullable=False),
    sa.Column("lan_name", sa.String(8), nullable=False),
    sa.Column("mac_id", sa.String(12), nullable=False),
    sa.Column("vlan", sa.String(24), nullable=False),
    sa.Index(None, "system", "lan_name"),
)

seen_resources = sa.Table(
    "seen_resources",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("kind", sa.String(8), primary_key=True),
    sa.Column("name", sa.String(16), primary_key=True),
    sa.Column("facts", sa.JSON, nullable=False),
    sa.Column("first", sa.Float, nullable=False),
    sa.Column("changed", sa.Float, nullable=False),
    sa.Column("gone", sa.Float),
)
"""Pools, volumes, VSWITCHes, OSA and FCP devices, the SSI cluster: what the agent tells of each."""

entry_versions = sa.Table(
    "entry_versions",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(10), primary_key=True),
    sa.Column("number", sa.Integer, primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("entry", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
    sa.Column("cause", sa.String(8), nullable=False),
    sa.Column("job", sa.String(36), nullable=False, server_default=""),
    sa.Column("gone", sa.Boolean, nullable=False, server_default=sa.false()),
)
"""The history of each entry. ``cause``: first (it was there when the system was first looked at), job, or outside."""

baselines = sa.Table(
    "baselines",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(10), primary_key=True),
    sa.Column("digest", sa.String(64), nullable=False),
    sa.Column("version", sa.Integer, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("disks", sa.JSON, nullable=False),
    sa.Column("at", sa.Float, nullable=False),
)
"""What a guest of ours was after the last job that changed it, or when it was adopted: what drift is measured from."""

drift = sa.Table(
    "drift",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("userid", sa.String(10), primary_key=True),
    sa.Column("kind", sa.String(16), primary_key=True),
    sa.Column("subject", sa.String(16), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False, index=True),
    sa.Column("since", sa.Float, nullable=False),
    sa.Column("detail", sa.JSON, nullable=False),
)
"""Where z/VM is not as recorded. ``subject``: the device, or the VSWITCH, or ""."""

VOLUME_POOL = "volume-pool"
"""The kind of a mark of a pool of LUNs."""

marks = sa.Table(
    "marks",
    metadata,
    sa.Column("kind", sa.String(12), primary_key=True),
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("name", sa.String(64), primary_key=True),
    sa.Column("project", sa.String(64), index=True),
    sa.Column("tags", sa.JSON, nullable=False),
    sa.Column("changed", sa.Float, nullable=False),
    sa.Column("actor", sa.String(64), nullable=False),
)
"""Owner and tags of what z/VM has and the manager has no row of its own for (marks.py)."""

certificates = sa.Table(
    "agent_certificates",
    metadata,
    sa.Column("system", sa.String(16), primary_key=True),
    sa.Column("serial", sa.String(40), nullable=False),
    sa.Column("sha256", sa.String(64), nullable=False),
    sa.Column("issued", sa.Float, nullable=False),
    sa.Column("expires", sa.Float, nullable=False),
)
"""The certificate that each enrolled agent got last."""

enrollments = sa.Table(
    "enrollments",
    metadata,
    sa.Column("token", sa.String(64), primary_key=True),
    sa.Column("system", sa.String(16), nullable=False, index=True),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("expires", sa.Float, nullable=False),
    sa.Column("used", sa.Float),
    sa.Column("actor", sa.String(64), nullable=False),
)
"""One-time tokens: only their hashes."""
