"""What happens, told to who wants to know: a bounded table of events, streams of it, and signed webhooks.

An event is written in the transaction of what it tells of, so none is lost and none is invented. Readers follow the
numbers; on PostgreSQL writers take a lock, so that a smaller number never comes after a larger one. One subject per
module: :mod:`.log` (writing and reading), :mod:`.webhooks` (who is called, and how that went), :mod:`.calling` (the
signed request). May import the manager's database, tables, errors and host rules; must never know HTTP routes.
"""
