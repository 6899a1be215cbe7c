"""Agents come in by a one-time token and a certificate request."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import time
from dataclasses import dataclass
from urllib.parse import urlsplit

import sqlalchemy as sa

from zvmcloud.manager.core import Core
from zvmcloud.manager.errors import BadInput, Conflict, ManagerError
from zvmcloud.manager.identity.audit import append
from zvmcloud.manager.identity.roles import SYSTEM, Caller
from zvmcloud.manager.inventory.tables import certificates, enrollments
from zvmcloud.manager.systems.authority import Authority
from zvmcloud.manager.systems.registry import ENROLLED, Systems
from zvmcloud.manager.tables import systems

LONGEST = 7 * 86400
"""Seconds that a token may wait."""


class BadToken(ManagerError):
    """An enrollment token that is unknown, used, or too old."""

    status = 401
    code = "enrollment-token"
    title = "Unauthorized"


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What an agent gets."""

    system: str
    certificate: str
    ca: str


class Enrollment:
    """Gives tokens out and takes them back."""

    def __init__(self, core: Core, known: Systems, authority: Authority) -> None:
        self._core = core
        self._systems = known
        self._authority = authority

    async def invite(self, caller: Caller, system: str, seconds: int) -> tuple[str, float]:
        """A token for the agent of ``system``, and when it ends. Earlier ones of the system end now.

        Raises BadInput, Conflict (system-settings) for a system of the settings file.
        """
        name = self._systems.checked(system, "https://agent").name
        if not 60 <= seconds <= LONGEST:
            raise BadInput("seconds", seconds, f"60 to {LONGEST}")
        if self._core.settings.system(name) is not None:
            raise Conflict(
                f"system {name} is in the manager's settings",
                code="system-settings",
                remedy="take it out of the settings file, or choose another name",
                subject=name,
            )
        await asyncio.to_thread(self._authority.ensure)
        token = f"{secrets.token_urlsafe(32)}.{await asyncio.to_thread(lambda: self._authority.fingerprint)}"
        now = time.time()
        table = enrollments.c
        row = {"token": _hash(token), "system": name, "created": now, "expires": now + seconds, "actor": caller.user}
        async with self._core.database.write() as connection:
            await connection.execute(sa.delete(enrollments).where(table.system == name, table.used.is_(None)))
            await connection.execute(sa.insert(enrollments), row)
            await append(connection, caller, "system.invite", name, detail={"seconds": seconds})
        return token, now + seconds

    async def enroll(self, token: str, csr: str, url: str, address: str) -> Enrolled:
        """Take the token back, sign the request for the host of ``url``, and add or move the system.

        A request that is refused leaves the token as it is. Raises BadToken, BadInput.
        """
        host = urlsplit(url).hostname or ""
        if not url.startswith("https://") or not host:
            raise BadInput("url", url, "https://host:port at which this manager reaches the agent")
        system = await self._waiting(token)
        self._systems.checked(system, url)
        issued = await asyncio.to_thread(self._authority.sign, csr, host)
        now = time.time()
        table = enrollments.c
        async with self._core.database.write() as connection:
            taken = await connection.execute(
                sa.update(enrollments)
                .where(table.token == _hash(token), table.used.is_(None), table.expires > now)
                .values(used=now)
            )
            if not taken.rowcount:
                raise _bad()
            moved = await connection.execute(
                sa.update(systems).where(systems.c.name == system).values(url=url, origin=ENROLLED)
            )
            if not moved.rowcount:
                row = {"name": system, "url": url, "added": now, "origin": ENROLLED}
                await connection.execute(sa.insert(systems), row)
            await connection.execute(sa.delete(certificates).where(certificates.c.system == system))
            found = {"serial": issued.serial, "sha256": issued.sha256, "issued": now, "expires": issued.expires}
            await connection.execute(sa.insert(certificates), {"system": system, **found})
            detail = {"url": url, "address": address, "sha256": issued.sha256}
            await append(connection, SYSTEM, "system.enroll", system, detail=detail)
        await self._systems.load()
        return Enrolled(system, issued.certificate, await asyncio.to_thread(lambda: self._authority.text))

    async def _waiting(self, token: str) -> str:
        """The system that the token is for. Raises BadToken."""
        table = enrollments.c
        query = sa.select(table.system).where(
            table.token == _hash(token), table.used.is_(None), table.expires > time.time()
        )
        async with self._core.database.read() as connection:
            found = (await connection.execute(query)).scalar_one_or_none()
        if found is None:
            raise _bad()
        return str(found)


def _bad() -> BadToken:
    return BadToken("the enrollment token is unknown, was used, or has ended", remedy="ask an admin for a new one")


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "backslashreplace")).hexdigest()
