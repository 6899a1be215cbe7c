"""The tables of events and webhooks. Times are seconds since 1970."""

from __future__ import annotations

import sqlalchemy as sa

from zvmcloud.manager.tables import metadata

_NUMBER = sa.BigInteger().with_variant(sa.Integer, "sqlite")

events = sa.Table(
    "events",
    metadata,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("system", sa.String(16), nullable=False),
    sa.Column("subject", sa.String(128), nullable=False),
    sa.Column("project", sa.String(64), nullable=False),
    sa.Column("job", sa.String(36), nullable=False),
    sa.Column("data", sa.JSON, nullable=False),
    sqlite_autoincrement=True,
)

webhooks = sa.Table(
    "webhooks",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("project", sa.String(64), nullable=False, index=True),
    sa.Column("actor", sa.String(64), nullable=False),
    sa.Column("url", sa.String(1024), nullable=False),
    sa.Column("secret", sa.String(128), nullable=False),
    sa.Column("kinds", sa.JSON, nullable=False),
    sa.Column("created", sa.Float, nullable=False),
    sa.Column("state", sa.String(8), nullable=False),
    sa.Column("position", sa.BigInteger, nullable=False),
    sa.Column("failures", sa.Integer, nullable=False),
    sa.Column("due", sa.Float, nullable=False),
)

deliveries = sa.Table(
    "webhook_deliveries",
    metadata,
    sa.Column("id", _NUMBER, primary_key=True, autoincrement=True),
    sa.Column("webhook", sa.String(36), sa.ForeignKey("webhooks.id", ondelete="CASCADE"), nullable=False, index=True),
    sa.Column("event", sa.BigInteger, nullable=False),
    sa.Column("kind", sa.String(48), nullable=False),
    sa.Column("time", sa.Float, nullable=False),
    sa.Column("attempt", sa.Integer, nullable=False),
    sa.Column("status", sa.Integer),
    sa.Column("error", sa.String(255), nullable=False),
    sa.Column("milliseconds", sa.Float, nullable=False),
    sqlite_autoincrement=True,
)
