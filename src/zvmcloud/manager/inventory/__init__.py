"""What z/VM was seen to have, on every system: guests (foreign ones too), disks, adapters, pools, volumes, networks,
FCP devices, clusters; the history of each directory entry; where z/VM is not as the manager recorded it.

::

    Reconciler --> Sweeps.look(system) --> GET /v1/inventory of the agent
       (interval,      |                        entries, who is on, pools, networks ...
        ended jobs)    +--> seen_* tables, entry_versions      what was seen, when, and what changed it
                       +--> drift                              where it is not what was recorded

z/VM is the truth about what is there, the manager's own tables about what was meant. Nothing here changes z/VM: what
mends a drift (repair, restore) is an operation, planned and applied as every other (manager/operations/drift.py).
Imports the manager's core and database; must never know HTTP.
"""
