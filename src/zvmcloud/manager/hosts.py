"""What the managed z/VM systems are and have: processors, storage, disk pools, versions."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import quote

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import AgentFailure, BadInput, NotFound
from zvmcloud.manager.facts import Document

_POOL = re.compile(r"[A-Z0-9_]+")


@dataclass(frozen=True, slots=True)
class PoolSpace:
    """Space of a disk pool in bytes, and of each of its free areas."""

    name: str
    type: str
    total: int
    used: int
    volumes: tuple[Document, ...]
    free: tuple[Document, ...]


class Hosts:
    """Questions about systems; changes nothing."""

    def __init__(self, core: Core) -> None:
        self._core = core

    async def info(self, system: str) -> Document:
        """The agent's description of its z/VM system."""
        return Document(await self._core.agent(system).get("/v1/system"))

    async def healthy(self, system: str) -> bool:
        """Whether the agent answers and calls itself well."""
        try:
            answer = await self._core.agent(system).get("/v1/health")
        except AgentFailure:
            return False
        return answer is not None

    async def smapi(self, system: str) -> Document:
        """How the agent's calls of SMAPI went since it was started."""
        return Document(await self._core.agent(system).get("/v1/smapi"))

    async def volumes(self, system: str) -> tuple[Document, ...]:
        """Every volume the directory manager knows: label, device type, size."""
        return Document(await self._core.agent(system).get("/v1/volumes")).documents("volumes")

    async def ssi(self, system: str) -> Document:
        """The SSI cluster of the system; ``member`` is false when it is in none."""
        return Document(await self._core.agent(system).get("/v1/ssi"))

    async def traffic(self, system: str) -> tuple[Document, ...]:
        """Frames and bytes of every network adapter that is coupled to a virtual switch."""
        return Document(await self._core.agent(system).get("/v1/traffic")).documents("nics")

    async def pool(self, system: str, name: str = "") -> PoolSpace:
        """A pool ``ECKD:NAME`` or ``FBA:NAME``; the default pool for "". Raises NotFound (pool-unknown), BadInput."""
        wanted = (name or self._core.settings.defaults.disk_pool).upper()
        kind, colon, pool = wanted.partition(":")
        if not colon or kind not in {"ECKD", "FBA"} or not _POOL.fullmatch(pool):
            raise BadInput("pool", name, "ECKD:name or FBA:name; a name has letters, digits and '_'")
        try:
            answer = Document(await self._core.agent(system).get(f"/v1/pools/{quote(pool, safe='')}"))
        except AgentFailure as error:
            if error.status == 404:
                raise NotFound(
                    f"No information was found for the specified pool(s): {pool}", code="pool-unknown", subject=pool
                ) from error
            raise
        return PoolSpace(
            name=pool,
            type=kind,
            total=answer.number("total_bytes"),
            used=answer.number("used_bytes"),
            volumes=answer.documents("volumes"),
            free=answer.documents("free_extents"),
        )

    async def pools(self, system: str) -> tuple[Document, ...]:
        """All disk pools, with sizes and the largest free area in ``unit``."""
        return Document(await self._core.agent(system).get("/v1/pools")).documents("pools")

    async def usage(self, system: str, userid: str) -> Document:
        """What a guest has used since its logon; nothing for one that is off."""
        found = Document(await self._core.agent(system).get("/v1/samples", io=userid))
        return next((item for item in found.documents("guests") if item.text("userid") == userid), Document({}))

    async def userids(self, system: str) -> tuple[str, ...]:
        """All userids of the system's directory."""
        answer = Document(await self._core.agent(system).get("/v1/guests"))
        return tuple(item.text("userid") for item in answer.documents("guests"))
