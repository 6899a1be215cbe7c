"""What an operation would do, without doing it: its handler runs, its questions reach z/VM, its changes are noted.

    POST /v1/operations/rehearse --> rehearse() --> the operation's own handler, with ports that send no change
        ports.py      SMAPI, CP, punch, guests: questions pass, changes are recorded
        directory.py  what a recorded change makes of an entry, so that later questions see it
        running.py    the same for power, VSWITCHes, guest LANs, readers
        world.py      entries, power states and files as they would be by then
        kinds.py      which calls are changes

It may import all of the agent, and nothing outside of it imports it but the service. It must never change z/VM, the
journal, or a file of the agent. Numbers that z/VM or the agent gives out when the operation runs are shown as ``vvvv``
(the number of a linked disk) and ``nnnn`` (of a spool file).
"""

from zvmcloud.zhcp.rehearsal.rehearse import rehearse

__all__ = ["rehearse"]
