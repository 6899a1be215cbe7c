"""Jobs with children, plans with children, and the log of a job."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("jobs", sa.Column("parent", sa.String(36)))
    op.create_index(op.f("ix_jobs_parent"), "jobs", ["parent"])
    op.add_column("plans", sa.Column("parent", sa.String(36)))
    op.create_index(op.f("ix_plans_parent"), "plans", ["parent"])
    op.create_table(
        "job_log",
        sa.Column("id", sa.Integer(), primary_key=True, autoincrement=True),
        sa.Column("job_id", sa.String(36), sa.ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
        sa.Column("at", sa.Float(), nullable=False),
        sa.Column("step", sa.String(32), nullable=False),
        sa.Column("text", sa.String(255), nullable=False),
    )
    op.create_index(op.f("ix_job_log_job_id"), "job_log", ["job_id"])
