"""Users, projects, members, API tokens, failed logins, the audit; owners and tags of guests, images and jobs."""

import time
import uuid

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "projects",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("description", sa.String(length=255), server_default="", nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("quota", sa.JSON(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_projects")),
    )
    op.create_table(
        "users",
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("password", sa.String(length=128), nullable=True),
        sa.Column("enabled", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_users")),
    )
    op.create_table(
        "members",
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name=op.f("fk_members_project"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_members_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("project", "user", name=op.f("pk_members")),
    )
    op.create_index(op.f("ix_members_user"), "members", ["user"], unique=False)
    op.create_table(
        "api_tokens",
        sa.Column("id", sa.String(length=36), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("created", sa.Float(), nullable=False),
        sa.Column("expires", sa.Float(), nullable=True),
        sa.Column("used", sa.Float(), nullable=True),
        sa.ForeignKeyConstraint(["project"], ["projects.name"], name=op.f("fk_api_tokens_project"), ondelete="CASCADE"),
        sa.ForeignKeyConstraint(["user"], ["users.name"], name=op.f("fk_api_tokens_user"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_tokens")),
        sa.UniqueConstraint("sha256", name=op.f("uq_api_tokens_sha256")),
    )
    op.create_index(op.f("ix_api_tokens_user"), "api_tokens", ["user"], unique=False)
    op.create_table(
        "failed_logins",
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("count", sa.Integer(), nullable=False),
        sa.Column("last", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_failed_logins")),
    )
    op.create_table(
        "audit",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("time", sa.Float(), nullable=False),
        sa.Column("user", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=16), nullable=False),
        sa.Column("token", sa.String(length=36), nullable=False),
        sa.Column("project", sa.String(length=64), nullable=False),
        sa.Column("address", sa.String(length=64), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.String(length=128), nullable=False),
        sa.Column("job", sa.String(length=36), nullable=False),
        sa.Column("result", sa.String(length=16), nullable=False),
        sa.Column("detail", sa.JSON(), nullable=False),
        sa.Column("previous", sa.String(length=64), nullable=False),
        sa.Column("hash", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit")),
    )
    for column in ("time", "project", "job"):
        op.create_index(op.f(f"ix_audit_{column}"), "audit", [column], unique=False)
    for table in ("guests", "images", "jobs"):
        with op.batch_alter_table(table) as batch:
            batch.add_column(sa.Column("project", sa.String(length=64), server_default="default", nullable=False))
            if table == "jobs":
                batch.add_column(sa.Column("actor", sa.String(length=64), server_default="", nullable=False))
            else:
                batch.add_column(sa.Column("tags", sa.JSON(), server_default="{}", nullable=False))
            if table == "images":
                batch.add_column(sa.Column("public", sa.Boolean(), server_default=sa.true(), nullable=False))
            else:
                batch.create_index(op.f(f"ix_{table}_project"), ["project"], unique=False)
    _keep_what_was()


def _keep_what_was() -> None:
    """The project that owned all so far, and the tokens, which were an admin's."""
    connection = op.get_bind()
    now = time.time()
    projects = sa.table(
        "projects", sa.column("name"), sa.column("description"), sa.column("created"), sa.column("quota", sa.JSON)
    )
    users = sa.table("users", sa.column("name"), sa.column("role"), sa.column("created"))
    tokens = sa.table("tokens", *(sa.column(name) for name in ("name", "role", "sha256", "created")))
    api_tokens = sa.table(
        "api_tokens", *(sa.column(name) for name in ("id", "user", "name", "role", "sha256", "created"))
    )
    described = {"name": "default", "description": "what no other project owns", "created": now, "quota": {}}
    connection.execute(sa.insert(projects), described)
    connection.execute(sa.insert(users), {"name": "admin", "role": "admin", "created": now})
    for row in connection.execute(sa.select(tokens)).mappings().all():
        connection.execute(sa.insert(api_tokens), {**row, "id": str(uuid.uuid4()), "user": "admin"})
    op.drop_table("tokens")
