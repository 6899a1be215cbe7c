"""One running manager: opens the database, raises the epoch, recovers jobs, offers the services."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable
from typing import Self

import sqlalchemy as sa

from zvmcloud.manager import records
from zvmcloud.manager.agents import Agent, Agents
from zvmcloud.manager.captures import Captures
from zvmcloud.manager.core import Core, JobEngine, JobFiles, secret
from zvmcloud.manager.database import Database
from zvmcloud.manager.deploys import Deploys
from zvmcloud.manager.disks import Disks
from zvmcloud.manager.errors import Conflict, Replaced
from zvmcloud.manager.evacuations import Evacuations
from zvmcloud.manager.events.log import Events
from zvmcloud.manager.events.webhooks import Webhooks
from zvmcloud.manager.fcp import FcpPool
from zvmcloud.manager.guests import Guests
from zvmcloud.manager.hosts import Hosts
from zvmcloud.manager.idempotency import Idempotency
from zvmcloud.manager.identity.accounts import Accounts
from zvmcloud.manager.identity.audit import Audit
from zvmcloud.manager.identity.quotas import Quotas
from zvmcloud.manager.identity.refusals import Refusals
from zvmcloud.manager.identity.roles import SYSTEM
from zvmcloud.manager.identity.tokens import Tokens
from zvmcloud.manager.images import Images
from zvmcloud.manager.images import records as image_records
from zvmcloud.manager.images.arrivals import Arrivals
from zvmcloud.manager.images.keeping import Keeping
from zvmcloud.manager.images.uploads import Uploads
from zvmcloud.manager.inventory import records as inventory_records
from zvmcloud.manager.inventory.history import History
from zvmcloud.manager.inventory.marks import Marks
from zvmcloud.manager.inventory.reconciler import Reconciler
from zvmcloud.manager.inventory.sweeps import Sweeps
from zvmcloud.manager.jobs import retention
from zvmcloud.manager.jobs.journal import Journal
from zvmcloud.manager.jobs.runner import Runner
from zvmcloud.manager.jobs.trees import Trees
from zvmcloud.manager.jobs.turns import Turns
from zvmcloud.manager.membership import Membership
from zvmcloud.manager.metrics.collect import Metrics
from zvmcloud.manager.networks import Networks
from zvmcloud.manager.plans import Plans
from zvmcloud.manager.protected import Protected
from zvmcloud.manager.provisioning import Provisioning
from zvmcloud.manager.resources import Resources
from zvmcloud.manager.settings import Settings
from zvmcloud.manager.storage.checking import Checking
from zvmcloud.manager.storage.discovering import Discovering
from zvmcloud.manager.storage.pools import VolumePools
from zvmcloud.manager.systems.authority import Authority
from zvmcloud.manager.systems.enrollment import Enrollment
from zvmcloud.manager.systems.registry import Systems
from zvmcloud.manager.tables import systems
from zvmcloud.manager.volumes import Volumes

log = logging.getLogger(__name__)

_RECOVERY = 3.0
"""Seconds between two looks for interrupted jobs."""
_FILES = 3600.0
"""Seconds between two looks for files of jobs that failed long ago, and for plans that nobody applied."""
_SWEEP = 15.0
"""Seconds between two looks for reservations that have ended."""

EngineFactory = Callable[[Runner, Settings], JobEngine]


class Node:
    """The services of a started manager. Use :meth:`open`, then :meth:`start`, and :meth:`close` at the end."""

    def __init__(self, core: Core, tokens: Tokens, membership: Membership, admin_token: str | None) -> None:
        self.core = core
        self.settings = core.settings
        self.disks = Disks(core)
        self.images = Images(core)
        self.arrivals = Arrivals(core, self.images)
        self.uploads = Uploads(core, self.arrivals)
        self.keeping = Keeping(core, self.images)
        self.guests = Guests(core, self.disks)
        self.deploys = Deploys(core, self.guests, self.images)
        self.captures = Captures(core, self.guests, self.images)
        self.provisioning = Provisioning(core, self.guests, self.images)
        self.networks = Networks(core)
        self.resources = Resources(core)
        self.hosts = Hosts(core)
        self.fcp = FcpPool(core)
        self.evacuations = Evacuations(core, self.guests, self.fcp)
        self.volumes = Volumes(core, self.fcp)
        self.pools = VolumePools(core)
        self.checking = Checking(core, self.guests)
        self.discovering = Discovering(core, self.pools)
        self.tokens = tokens
        self.accounts = Accounts(core.database, tokens)
        self.audit = Audit(core.database)
        self.refusals = Refusals(self.audit)
        self.quotas = Quotas(core.database)
        self.plans = Plans(self)
        self.events = Events(core.database)
        self.webhooks = Webhooks(core.database, self.events, core.settings.webhook_hosts)
        self.idempotency = Idempotency(core.database, membership.joined)
        authority = Authority(core.settings.folder / "ca")
        self.systems = Systems(core, authority)
        self.enrollment = Enrollment(core, self.systems, authority)
        self.looks = Sweeps(core)
        self.reconciler = Reconciler(core, self.looks)
        self.history = History(core.database)
        self.marks = Marks(core, self.accounts, self.pools)
        self.metrics = Metrics(core)
        self.journal = core.journal
        self.trees = Trees(core.journal, core.runner, core.engine.submit)
        self.runner = core.runner
        self.new_admin_token = admin_token
        """The admin token, only in the run that made it: afterwards just its hash is known."""
        self.stopping = False
        """Set when the program is told to stop: requests cancelled from then on are answered as such."""
        self.replaced = asyncio.Event()
        """Set when another manager works with the database: this one must end."""
        self._membership = membership
        self._tasks: list[asyncio.Task[None]] = []

    @classmethod
    async def open(
        cls, settings: Settings, *, engine: EngineFactory | None = None, agents: Agents | None = None
    ) -> Self:
        """Open (and if needed create) the state. ``engine`` and ``agents`` are seams for tests. Raises Conflict
        (node-running) while another node works with a database that it cannot share."""
        database = await Database.open(settings.database_url)
        try:
            key = await asyncio.to_thread(secret, settings.folder / "image.key")
            own = await asyncio.to_thread(secret, settings.state / "node.key")
            membership = await Membership.join(
                database, settings.node, own=own, shared=key, heartbeat=settings.heartbeat_seconds
            )
            await _write_systems(database, settings)
            tokens = Tokens(database, settings.admin_token)
            admin = None if settings.admin_token else await tokens.first()
            with contextlib.suppress(Conflict):
                await Accounts(database, tokens).add_project(SYSTEM, settings.connector.project, "", {})
            agents = agents or Agents([Agent(system) for system in settings.systems])
            turns = Turns(database, settings)
            journal = Journal(database, membership, turns, Protected(settings.protected))
            files = JobFiles(settings, key)
            runner = Runner(journal, agents, files, turns)
            core = Core(settings, database, agents, journal, runner, files, (engine or _dbos)(runner, settings))
        except BaseException:
            await database.close()
            raise
        return cls(core, tokens, membership, admin)

    async def start(self) -> None:
        """Begin the heartbeat, resume durable jobs, finish what an earlier run left behind."""
        self._tasks.append(asyncio.create_task(self._beat(), name="manager-heartbeat"))
        await self.systems.load()
        await self.keeping.sweep()
        await self.core.engine.start()
        self._tasks.append(asyncio.create_task(self._recover(), name="manager-recovery"))
        self._tasks.append(asyncio.create_task(self._expire(), name="manager-expiry"))
        self._tasks.append(asyncio.create_task(self.webhooks.run(), name="manager-webhooks"))
        if self.core.database.shared:
            self._tasks.append(asyncio.create_task(self._bury(), name="manager-burials"))
        self._tasks.append(asyncio.create_task(self.reconciler.run(), name="manager-inventory"))

    async def close(self) -> None:
        """Stop; durable jobs that run now go on at the next start."""
        for task in self._tasks:
            task.cancel()
        for task in self._tasks:
            with contextlib.suppress(asyncio.CancelledError):
                await task
        await self.core.engine.stop()
        await self.core.runner.leave()
        await self.core.agents.close()
        try:
            await self._membership.leave()
        except sa.exc.SQLAlchemyError:
            log.exception("other nodes cannot be told that this one stopped")
        await self.core.database.close()

    async def _beat(self) -> None:
        """Says that this node lives, until another one has taken its place."""
        while not self.replaced.is_set():
            await asyncio.sleep(self._membership.heartbeat)
            try:
                await self._membership.renew()
            except Replaced as problem:
                log.critical("%s: this one ends", problem.detail)
                self.replaced.set()
            except Exception:
                log.exception("heartbeat failed")

    async def _bury(self) -> None:
        """Takes over from nodes that fell silent."""
        while True:
            await asyncio.sleep(self._membership.heartbeat)
            try:
                for name in await self._membership.bury():
                    log.warning("node %s fell silent: its jobs go on here", name)
                await self.core.engine.adopt(await self._membership.members())
            except Replaced:
                continue
            except Exception:
                log.exception("other nodes cannot be looked at")

    async def _expire(self) -> None:
        """Gives back reservations that have ended, forgets old uploads, keeps the images under their limit; takes over
        systems that other managers added."""
        files_at = 0.0
        while True:
            try:
                await self.uploads.recover()
                if forgotten := await self.uploads.expire():
                    log.info("%d uploads are forgotten", forgotten)
                if await self.keeping.over():
                    await self.keeping.prune(SYSTEM)
            except Exception:
                log.exception("images cannot be looked after")
            try:
                await self.systems.load()
                if time.monotonic() > files_at:
                    files_at = time.monotonic() + _FILES
                    await self.forget_old()
                if ended := await self.pools.expire():
                    log.info("%d claims of volumes and FCP devices have ended", ended)
            except Exception:
                log.exception("reservations and systems cannot be looked at")
            await asyncio.sleep(_SWEEP)

    async def forget_old(self) -> None:
        """Forget what is kept for a time: files of jobs, plans, answers, versions of entries. One manager at a time."""
        async with self._membership.alone_with("housekeeping"):
            await self.core.runner.forget_files()
            if gone := await self.keeping.forget_files():
                log.info("%d files that nobody imported are removed", gone)
            await self.plans.expire()
            await self.idempotency.expire()
            if (days := self.settings.job_days) and (gone := await self._forget_jobs(time.time() - days * 86400)):
                log.info("%d jobs that ended %d days ago are forgotten", gone, days)
            days = self.settings.inventory.history_days
            if days and (forgotten := await self.history.prune(time.time() - days * 86400)):
                log.info("%d old versions of directory entries are forgotten", forgotten)

    async def _forget_jobs(self, before: float) -> int:
        return await retention.prune(self.core.database, before, self.core.engine.forget, self.core.materials.discard)

    async def _recover(self) -> None:
        """Recovers interrupted inline jobs: at start, and when their agent is back."""
        while True:
            try:
                await self.core.runner.recover()
            except Exception:
                log.exception("recovery failed")
            await asyncio.sleep(_RECOVERY)


async def _write_systems(database: Database, settings: Settings) -> None:
    async with database.write() as connection:
        for system in settings.systems:
            changed = await connection.execute(
                sa.update(systems).where(systems.c.name == system.name).values(url=system.url)
            )
            if not changed.rowcount:
                await connection.execute(
                    sa.insert(systems), {"name": system.name, "url": system.url, "added": time.time()}
                )


def _dbos(runner: Runner, settings: Settings) -> JobEngine:
    """Imported late: DBOS takes a second to import, and tests of the doors do without it."""
    from zvmcloud.manager.jobs.engine import Engine  # noqa: PLC0415

    return Engine(runner, settings)


LOCAL_STEPS = (records, image_records, inventory_records)
"""Importing them registers the local steps."""
