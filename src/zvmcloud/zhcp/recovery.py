"""What a crash of the agent left on z/VM: disks that stayed linked to it, and entries that stayed locked by it.

The leftovers are read from the journal once, before anything is served, and only these are given back: what an
operation of this run links or locks is its own. Until a disk is detached its device number is given to nobody.
"""

from __future__ import annotations

import asyncio
import logging

from zvmcloud.cp import commands
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp.errors import AgentError, Call
from zvmcloud.zhcp.journal import Journal, Linked
from zvmcloud.zhcp.links import Links
from zvmcloud.zhcp.machine import Machine
from zvmcloud.zhcp.seams import Leftovers, Smapi

log = logging.getLogger(__name__)

NOT_OURS = ((400, 12), (400, 24), (400, 4))
"""Answers to Image_Unlock_DM: another has the lock, there is none, the entry is gone."""


class Recovery(Leftovers):
    """Gives back what the last run left. Everything may be called again until it has succeeded."""

    def __init__(self, smapi: Smapi, machine: Machine, journal: Journal, links: Links) -> None:
        """Reads the journal, and keeps the numbers of leftover disks from being given out."""
        self._smapi, self._machine, self._journal, self._links = smapi, machine, journal, links
        self._disks: list[Linked] = list(journal.links())
        self._volumes = list(journal.volumes())
        self._locks = list(journal.locks())
        for link in self._disks:
            links.reserve(link.vdev)
        self._turn = asyncio.Lock()

    async def disks(self) -> tuple[str, ...]:
        """See Leftovers."""
        if not self._disks and not self._volumes:
            return ()
        returned: list[str] = []
        async with self._turn:
            while self._disks:
                link = self._disks[0]
                await self._machine.release(link.vdev)
                answer = await self._machine.cp(commands.detach(link.vdev))
                if answer.rc in (0, 40):
                    log.warning("detached %s, which a crash left linked to %s %s", link.vdev, link.owner, link.disk)
                    await self._journal.unlinked(link.vdev, link.run)
                    self._links.give_back(link.vdev)
                    returned.append(link.vdev)
                else:  # The number stays out of use; the next start tries again.
                    text = " / ".join(answer.lines)
                    log.error("disk %s (%s %s) stays linked: %s", link.vdev, link.owner, link.disk, text)
                self._disks.pop(0)
            while self._volumes:
                volume = self._volumes[0]
                await self._machine.drop_volume(volume.paths, volume.lun)
                log.warning("took LUN %s offline, which a crash left online", volume.lun)
                await self._journal.closed(volume)
                self._volumes.pop(0)
                returned.append(volume.lun)
        return tuple(returned)

    async def locks(self) -> tuple[str, ...]:
        """Unlock the entries that the last run was about to change; returns them. AgentError as above."""
        released: list[str] = []
        while self._locks:
            lock = self._locks[0]
            # An operation that took the entry up in the meantime has settled the note itself.
            async with self._smapi.turn(lock.userid):
                if lock in self._journal.locks():
                    await self._unlock(lock.userid)
                    await self._journal.unlocked(lock.userid)
                    released.append(lock.userid)
            if lock in self._locks:
                self._locks.remove(lock)
        return tuple(released)

    async def _unlock(self, userid: str) -> None:
        try:
            await self._smapi.call(f.ImageUnlockDM(target=userid), _ignore, allow=NOT_OURS)
        except AgentError as problem:
            if problem.problem.smapi is None or problem.problem.retryable:
                raise
            log.error("entry %s stays locked: %s", userid, problem)  # noqa: TRY400 (the problem says it all)
        else:
            log.warning("released the lock of entry %s, which a crash left", userid)


def _ignore(_: Call) -> None:
    """Recovery belongs to no operation that would report the call."""
