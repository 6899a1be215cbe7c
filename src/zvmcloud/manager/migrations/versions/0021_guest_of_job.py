"""Which guest a job is about: the one that has the userid now, if it was there when the job was over."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_GUESTS_OF_JOBS = """
UPDATE jobs SET guest = (
    SELECT guests.id FROM guests
    WHERE guests.system = jobs.system AND guests.userid = jobs.userid
    AND guests.created <= COALESCE(jobs.finished, guests.created)
)
"""


def upgrade() -> None:
    op.add_column("jobs", sa.Column("guest", sa.String(36)))
    op.execute(_GUESTS_OF_JOBS)
