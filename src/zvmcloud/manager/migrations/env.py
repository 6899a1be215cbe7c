"""Alembic's entry: runs the scripts of ``versions`` on the connection that :mod:`zvmcloud.manager.database` hands
over."""

from alembic import context

from zvmcloud.manager import tables
from zvmcloud.manager.events import tables as events
from zvmcloud.manager.identity import tables as identity

ALL = (tables, identity, events)
"""Importing them fills the metadata."""

connection = context.config.attributes["connection"]
context.configure(connection=connection, target_metadata=tables.metadata, render_as_batch=True)
with context.begin_transaction():
    context.run_migrations()
