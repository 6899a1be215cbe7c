"""Collects the figures: from the database, from this process, and from every agent: five SMAPI calls each (three for
the sample, two for paging and spool space), and a CP command for each guest whose I/O is asked for."""

from __future__ import annotations

import asyncio
import resource
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import sqlalchemy as sa

from zvmcloud import __version__
from zvmcloud.manager.errors import ManagerError
from zvmcloud.manager.facts import Document
from zvmcloud.manager.identity.roles import Caller
from zvmcloud.manager.inventory.tables import drift, seen_guests, seen_resources, sweeps
from zvmcloud.manager.metrics.exposition import Page, labels
from zvmcloud.manager.metrics.families import FAMILIES
from zvmcloud.manager.tables import guests, jobs

if TYPE_CHECKING:
    from zvmcloud.manager.core import Core

_KEPT = 10.0
"""Seconds for which a sample serves: several scrapers cost z/VM no more than one."""
_PATIENCE = 8.0
"""Seconds that an agent gets, below the ten after which a scraper gives up."""
_IO_AT_ONCE = 64
"""Guests whose I/O is asked for in one sample: it costs a CP command for each (zhcp/samples.py)."""
_PAGE_BYTES = 4096
_AT_A_TIME = 500


@dataclass(slots=True)
class _System:
    """What is kept of a system between two scrapes."""

    sample: Document | None = None
    space: Document | None = None
    at: float = 0.0
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)
    io: dict[str, int] = field(default_factory=dict)
    turn: int = 0


class Metrics:
    """Makes the page."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._systems: dict[str, _System] = {}
        self._started = time.time()

    async def text(self, caller: Caller) -> AsyncIterator[str]:
        """The page in parts: of guests those that the caller sees."""
        page = Page(FAMILIES)
        self._process(page)
        await self._tables(page)
        owners = await self._owners()
        names = self._core.agents.names
        await asyncio.gather(*(self._sample(name, sorted(owners.get(name, {}))) for name in names))
        for name in names:
            await self._system(page, name, owners.get(name, {}), caller)
        for part in page.parts():
            yield part
            await asyncio.sleep(0)

    def _process(self, page: Page) -> None:
        used = resource.getrusage(resource.RUSAGE_SELF)
        page["zvm_manager_info"].add(1, labels(version=__version__, node=self._core.journal.node))
        page["zvm_manager_epoch"].add(self._core.journal.epoch)
        page["process_start_time_seconds"].add(round(self._started, 3))
        page["process_cpu_seconds_total"].add(round(used.ru_utime + used.ru_stime, 3))
        page["process_resident_memory_bytes"].add(_resident())
        for kind, (count, seconds) in self._core.journal.ends.items():
            page["zvm_job_duration_seconds"].add(round(seconds, 3), labels(kind=kind), "_sum")
            page["zvm_job_duration_seconds"].add(count, labels(kind=kind), "_count")

    async def _tables(self, page: Page) -> None:
        async with self._core.database.read() as connection:
            counted = sa.select(jobs.c.kind, jobs.c.state, sa.func.count()).group_by(jobs.c.kind, jobs.c.state)
            for kind, state, count in await connection.execute(counted):
                page["zvm_jobs"].add(count, labels(kind=kind, state=state))
            seen = seen_guests.c
            entries = sa.select(seen.system, seen.state, sa.func.count()).where(seen.gone.is_(None))
            for system, state, count in await connection.execute(entries.group_by(seen.system, seen.state)):
                page["zvm_guests"].add(count, labels(system=system, state=state))
            drifts = sa.select(drift.c.system, drift.c.kind, sa.func.count()).group_by(drift.c.system, drift.c.kind)
            for system, kind, count in await connection.execute(drifts):
                page["zvm_drift"].add(count, labels(system=system, kind=kind))
            for system, at, failed in await connection.execute(
                sa.select(sweeps.c.system, sweeps.c.at, sweeps.c.error.is_not(None))
            ):
                if at is not None:
                    page["zvm_inventory_timestamp_seconds"].add(round(at, 3), labels(system=system))
                page["zvm_inventory_failed"].add(int(failed), labels(system=system))
            pools = seen_resources.c
            for system, name, facts in await connection.execute(
                sa.select(pools.system, pools.name, pools.facts).where(pools.kind == "pool", pools.gone.is_(None))
            ):
                pool = Document(facts)
                for state in ("free", "used"):
                    where = labels(system=system, pool=name, state=state)
                    page["zvm_pool_bytes"].add(pool.number(f"{state}_bytes"), where)

    async def _owners(self) -> dict[str, dict[str, str]]:
        """The projects of our guests, by system and userid."""
        found: dict[str, dict[str, str]] = {}
        async with self._core.database.read() as connection:
            for row in await connection.execute(sa.select(guests.c.system, guests.c.userid, guests.c.project)):
                found.setdefault(row.system, {})[row.userid] = row.project
        return found

    async def _sample(self, name: str, ours: list[str]) -> None:
        kept = self._systems.setdefault(name, _System())
        async with kept.lock:
            if time.monotonic() - kept.at < _KEPT and kept.at:
                return
            asked = [ours[(kept.turn + number) % len(ours)] for number in range(min(len(ours), _IO_AT_ONCE))]
            agent = self._core.agents[name]
            try:
                async with asyncio.timeout(_PATIENCE):
                    sample, space = await asyncio.gather(
                        agent.get("/v1/samples", io=",".join(asked)), agent.get("/v1/space")
                    )
            except (ManagerError, TimeoutError):
                kept.sample = kept.space = None
                kept.io.clear()
            else:
                kept.sample, kept.space = Document(sample), Document(space)
                counted = {userid: int(str(count)) for userid, count in kept.sample.document("io").items()}
                kept.io = {userid: count for userid, count in (kept.io | counted).items() if userid in ours}
                for userid in set(asked) - set(counted):
                    kept.io.pop(userid, None)
                kept.turn = (kept.turn + len(asked)) % max(len(ours), 1)
            kept.at = time.monotonic()

    async def _system(self, page: Page, name: str, owners: dict[str, str], caller: Caller) -> None:
        kept = self._systems[name]
        where = labels(system=name)
        page["zvm_up"].add(int(kept.sample is not None), where)
        if kept.sample is None or kept.space is None:
            return
        system = kept.sample.document("system")
        page["zvm_system_cpus"].add(system.number("cpus"), where)
        page["zvm_system_cpu_ratio"].add(system.number("cpu_percent") / 100, where)
        page["zvm_system_paging_per_second"].add(system.number("paging_per_second"), where)
        page["zvm_system_memory_used_bytes"].add(system.number("memory_used_kb") * 1024, where)
        page["zvm_system_memory_bytes"].add(system.number("memory_total_kb") * 1024, where)
        for kind, part in (("page", "paging"), ("spool", "spool")):
            space = kept.space.document(part)
            of = labels(system=name, space=kind)
            page["zvm_space_bytes"].add(space.number("total") * _PAGE_BYTES, of)
            page["zvm_space_used_bytes"].add(space.number("used") * _PAGE_BYTES, of)
        await self._guests(page, name, kept, owners, caller)

    async def _guests(self, page: Page, name: str, kept: _System, owners: dict[str, str], caller: Caller) -> None:
        if kept.sample is None:
            return

        def named(userid: str, **more: str) -> str:
            project = owners.get(userid, "")
            seen = caller.sees is None or (project and caller.role_in(project) is not None)
            return labels(system=name, userid=userid, project=project, **more) if seen else ""

        for number, guest in enumerate(kept.sample.documents("guests")):
            if number % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            userid = guest.text("userid")
            if not (of := named(userid)):
                continue
            page["zvm_guest_cpu_seconds_total"].add(guest.number("cpu_time_us") / 1e6, of)
            page["zvm_guest_vcpus"].add(guest.number("cpus"), of)
            page["zvm_guest_memory_used_bytes"].add(guest.number("memory_used_kb") * 1024, of)
            page["zvm_guest_memory_max_bytes"].add(guest.number("memory_max_kb") * 1024, of)
            if userid in kept.io:
                page["zvm_guest_io_total"].add(kept.io[userid], of)
        for nic in kept.sample.documents("nics"):
            of = named(nic.text("userid"), vdev=nic.text("vdev"), vswitch=nic.text("vswitch"))
            if of:
                for family, counter in _NETWORK:
                    page[family].add(nic.number(counter), of)


_NETWORK = (
    ("zvm_guest_network_receive_bytes_total", "rx"),
    ("zvm_guest_network_transmit_bytes_total", "tx"),
    ("zvm_guest_network_receive_frames_total", "fr_rx"),
    ("zvm_guest_network_transmit_frames_total", "fr_tx"),
    ("zvm_guest_network_receive_errors_total", "fr_rx_err"),
    ("zvm_guest_network_transmit_errors_total", "fr_tx_err"),
)


def _resident() -> int:
    """Bytes of this process in storage."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * resource.getpagesize()
