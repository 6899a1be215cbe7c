"""The system as it would be after the changes recorded so far; what no change touched is asked of z/VM."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from zvmcloud.cp import answers, commands
from zvmcloud.cp.answers import PowerState
from zvmcloud.directory.entry import Entry
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import placement, pools
from zvmcloud.zhcp.machine import SpoolFile
from zvmcloud.zhcp.operations.context import Context

FIRST_SPOOLED = 9001
"""Numbers of spool files that are not there yet are counted up from here; they are shown as ``nnnn``."""


@dataclass(frozen=True, slots=True)
class Linked:
    """A disk that a rehearsal has linked: how QUERY VIRTUAL would show it."""

    owner: str
    vdev: str
    device_type: str
    size: int
    unit: str


@dataclass(slots=True)
class World:
    """One for all operations that are rehearsed together. ``asking`` sends questions to z/VM."""

    asking: Context
    entries: dict[str, Entry | None] = field(default_factory=dict)
    before: dict[str, Entry | None] = field(default_factory=dict)
    power: dict[str, PowerState] = field(default_factory=dict)
    restarting: set[str] = field(default_factory=set)
    links: dict[str, Linked] = field(default_factory=dict)
    ours: list[SpoolFile] = field(default_factory=list)
    """Files that would be in the agent's reader."""
    readers: dict[str, list[SpoolFile]] = field(default_factory=dict)
    """Files that would have come to a guest's reader."""
    switches: dict[str, bool] = field(default_factory=dict)
    """VSWITCHes that were made (True) or deleted."""
    grants: dict[tuple[str, str], tuple[str, ...] | None] = field(default_factory=dict)
    """By VSWITCH and userid: the VLANs granted, None when the right was taken away."""
    _rooms: dict[str, placement.Candidate] | None = None
    new_files: set[str] = field(default_factory=set)
    """Numbers that stand for files which are not there yet."""

    async def entry(self, userid: str) -> Entry | None:
        """The entry as it would be, None without one."""
        if userid not in self.entries:
            answer = await self.asking.call(f.ImageQueryDM(target=userid), allow=((400, 4),))
            records = answer.data.image_record_array if answer.rc == 0 and answer.data is not None else ()
            kept = [record.rstrip() for record in records if record.strip()]
            self.entries[userid] = self.before[userid] = Entry.parse(kept) if kept else None
        return self.entries[userid]

    async def put(self, userid: str, entry: Entry | None) -> None:
        """The entry is another one from now on."""
        await self.entry(userid)
        self.entries[userid] = entry

    async def state(self, userid: str) -> PowerState:
        """The power state as it would be."""
        if userid not in self.power:
            answer = await self.asking.cp(commands.query_user(userid), allow=(3, 45, 53, 361))
            state = answers.query_user(userid, answer.rc, answer.lines)
            known = self.entries.get(userid)
            self.power[userid] = PowerState.OFF if state is PowerState.UNKNOWN_USER and known is not None else state
        return self.power[userid]

    async def room(self, pool: str) -> placement.Candidate | None:
        """A disk pool with the room that the disks recorded so far leave; None for an unknown one."""
        if self._rooms is None:
            self._rooms = {item.name: placement.Candidate.of(item, "") for item in await pools.pools(self.asking)}
        return self._rooms.get(pool)

    def spooled(self, origin: str, spool_class: str, name: str, filetype: str) -> SpoolFile:
        """A new spool file."""
        file = SpoolFile(f"{FIRST_SPOOLED + len(self.new_files)}", origin, spool_class, "PUN", name, filetype, 1)
        self.new_files.add(file.spoolid)
        return file

    def altered(self) -> list[tuple[str, Entry | None, Entry | None]]:
        """Userid, entry before, and entry now of each that has changed since the last look."""
        found = [
            (userid, self.before[userid], now) for userid, now in self.entries.items() if now != self.before[userid]
        ]
        self.before.update({userid: now for userid, _, now in found})
        return found


def file_lines(files: Sequence[SpoolFile]) -> tuple[str, ...]:
    """Files as System_RDR_File_Query shows them."""
    return tuple(
        f"{file.origin:<8} {file.spoolid:>4} {file.spool_class} {file.type:<3} {file.records:08d} 001 NONE 01/01 "
        f"00:00:00 {file.name:<9} {file.filetype:<8}"
        for file in files
    )
