"""A z/VM system in software: SMAPI request server, directory manager, CP, storage, network, spool, guests.

Why it exists: almost nobody has a mainframe at hand, and everything else in this project needs one to be true. All
calls, whichever door they come through, work on one model; what was created is what is listed, and state outlives the
process (also kill -9).

    store            collections of frozen values, a transaction, SQLite behind it
    model, system    what a z/VM system consists of; the collections and the indexes kept beside them
    presets, settings  systems to start with, and the model file
    storage, spool, network, guests, guest_os, directory_manager   the parts of z/VM, as operations on the model
    cp/              the command interpreter          smapi/   the request server and its functions
    machine_port     the door of the agent's own virtual machine
    program          `zvm simulator run`, `zvm simulator log`

May import: smapi, cp, directory, images. Must never: import or be imported by zhcp, manager, api, cli or client (they
meet on the wire), answer from a canned text, change the model outside a transaction, or write a password to a log.

In a test of your own::

    async with Simulator(state=tmp_path) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT")
"""

from zvmcloud.simulator.embed import Simulator

__all__ = ["Simulator"]
