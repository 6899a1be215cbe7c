"""Steps that another system's agent does, and FCP devices that guests have at other numbers."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job_steps", sa.Column("system", sa.String(16), nullable=False, server_default=""))
    op.add_column("fcp_devices", sa.Column("vdev", sa.String(4), nullable=False, server_default=""))
