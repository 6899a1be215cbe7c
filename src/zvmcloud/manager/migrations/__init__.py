"""Alembic scripts of the manager's schema; run at every start by :mod:`zvmcloud.manager.database`."""
