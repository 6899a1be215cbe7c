"""How often the userids of a system's guests have changed, counted by the database itself."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_COUNT = (
    "INSERT INTO guest_listings (system, version) VALUES ({row}.system, 1) "
    "ON CONFLICT (system) DO UPDATE SET version = guest_listings.version + 1;"
)
_CHANGES = {"insert": ("NEW",), "delete": ("OLD",), "update": ("OLD", "NEW")}


def upgrade() -> None:
    op.create_table(
        "guest_listings",
        sa.Column("system", sa.String(length=16), nullable=False),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("system", name=op.f("pk_guest_listings")),
    )
    for change, rows in _CHANGES.items():
        event = "UPDATE OF system, userid" if change == "update" else change.upper()
        counts = " ".join(_COUNT.format(row=row) for row in rows)
        name = f"guests_listed_{change}"
        if op.get_bind().dialect.name == "sqlite":
            op.execute(sa.text(f"CREATE TRIGGER {name} AFTER {event} ON guests BEGIN {counts} END"))
            continue
        body = f"BEGIN {counts} RETURN NULL; END"
        op.execute(sa.text(f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS '{body}'"))
        op.execute(sa.text(f"CREATE TRIGGER {name} AFTER {event} ON guests FOR EACH ROW EXECUTE FUNCTION {name}()"))
