"""Volumes: LUNs of a pool with names and owners of their own, and who has them attached.

::

    pool_file   the old pool file and the table of LUNs     (pure)
    homes       which systems reach which pools
    rows        pools, LUNs, volumes and attachments as the database has them, read and changed in a transaction
    pools       what administrators do with pools: import, export, settings, free what holds data
    claims      a job begins with what it needs (a LUN, FCP devices) taken in one transaction, or does not begin
    steps       what volume jobs write down, undone when they fail; what was claimed and never come to
    numbered    the same for LUNs that a client names by their numbers
    plans       plans that make, wipe, copy and extend volumes
    attaching   plans that attach a volume to a guest and detach it
    discovering LUNs that the storage shows, against the pools
    following   what a guest that goes to another member takes along
    checking    rows against z/VM, and what a crash left mended

A LUN is free, or has one volume, or is reserved: it holds data and is nobody's until an administrator frees it. A
volume has one guest at most, unless it is shared. What is written here is intent; what is on z/VM the agents do.
Imports the database, the journal's plans and the leaves; never a front door.
"""
