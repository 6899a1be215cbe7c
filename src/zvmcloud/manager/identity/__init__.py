"""Who may do what: users, projects, tokens, quotas, and the record of every change.

A *user* has a role. ``admin`` and ``operator`` act on every project; ``member`` and ``reader`` act in the projects they
belong to, there with the role of their membership. A *token* is a user's, at most with the user's role and perhaps for
one project only; the database holds its SHA-256 alone. A *project* owns guests, images and volumes and has quotas.

One subject per module: :mod:`.roles` (the order of roles, what a caller may see), :mod:`.credentials` (hashing),
:mod:`.accounts` (users, projects, members), :mod:`.tokens`, :mod:`.throttle` (failed logins), :mod:`.audit` (the
chained record), :mod:`.refusals` (what was refused for rights, in it). May import the manager's database,
tables and errors; must never know HTTP.
"""
