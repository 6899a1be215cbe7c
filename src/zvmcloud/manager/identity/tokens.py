"""API tokens: made once, shown once, kept as a hash."""

from __future__ import annotations

import hmac
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import BadInput, NotFound
from zvmcloud.manager.identity import audit
from zvmcloud.manager.identity.credentials import digest, new_token
from zvmcloud.manager.identity.roles import SYSTEM, Caller, Role, least
from zvmcloud.manager.identity.tables import api_tokens, members, projects, users

ADMIN = "admin"
"""The user that the first token belongs to."""
DEFAULT_PROJECT = "default"
_USED_INTERVAL = 60.0
"""Seconds between two notes of a token's last use: a note for each request would be a write for each read."""


@dataclass(frozen=True, slots=True)
class Token:
    """What is known of a token afterwards. Times are seconds since 1970; ``project`` "" means all of its user's."""

    id: str
    user: str
    name: str
    role: Role
    project: str
    created: float
    expires: float | None
    used: float | None


class Tokens:
    """Makes, lists, revokes and recognises tokens. ``given`` is one from the environment, an admin's."""

    def __init__(self, database: Database, given: str = "", clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._given = given
        self._clock = clock

    async def first(self) -> str | None:
        """The first admin's token, made now; None when there is a token already."""
        async with self._database.read() as connection:
            if (await connection.execute(sa.select(api_tokens.c.id).limit(1))).first() is not None:
                return None
        return await self.admin()

    async def admin(self) -> str:
        """A new token of the user admin, who comes into being with it; earlier tokens of the name are revoked."""
        async with self._database.write() as connection:
            await connection.execute(
                sa.delete(api_tokens).where(api_tokens.c.user == ADMIN, api_tokens.c.name == ADMIN)
            )
            if (await connection.execute(sa.select(users.c.name).where(users.c.name == ADMIN))).first() is None:
                await connection.execute(
                    sa.insert(users), {"name": ADMIN, "role": str(Role.ADMIN), "created": self._clock()}
                )
        _, token = await self.make(SYSTEM, ADMIN, ADMIN)
        return token

    async def make(
        self,
        caller: Caller,
        user: str,
        name: str,
        *,
        role: Role | None = None,
        project: str = "",
        seconds: float | None = None,
    ) -> tuple[Token, str]:
        """A token of ``user`` (at most with the user's role) and its text, which nobody can see again. ``project``: the
        only one that it is for, "" for all of the user's, or for that of a caller who is limited to one.

        Raises NotFound (user-unknown, project-unknown, and one that the caller does not see), BadInput (name, seconds).
        """
        project = project or caller.limit
        if project:
            caller.enters(project, Role.READER, f"project {project}")
        if not 1 <= len(name) <= 64:
            raise BadInput("name", name, "1 to 64 characters")
        if seconds is not None and not 1 <= seconds <= 10 * 366 * 86400:
            raise BadInput("seconds", seconds, "1 second to 10 years")
        text = new_token()
        now = self._clock()
        async with self._database.write() as connection:
            held = (await connection.execute(sa.select(users.c.role).where(users.c.name == user))).scalar_one_or_none()
            if held is None:
                raise NotFound(f"no user is named {user!r}", code="user-unknown", subject=user)
            if (
                project
                and not (await connection.execute(sa.select(projects.c.name).where(projects.c.name == project))).first()
            ):
                raise NotFound(f"no project is named {project!r}", code="project-unknown", subject=project)
            made = Token(
                id=str(uuid.uuid4()),
                user=user,
                name=name,
                role=least(Role(held), role or Role(held)),
                project=project,
                created=now,
                expires=now + seconds if seconds is not None else None,
                used=None,
            )
            await connection.execute(
                sa.insert(api_tokens),
                {
                    "id": made.id,
                    "user": user,
                    "name": name,
                    "role": str(made.role),
                    "project": project or None,
                    "sha256": digest(text),
                    "created": now,
                    "expires": made.expires,
                },
            )
            await audit.append(
                connection, caller, "token.make", f"{user}/{name}", project=project, detail={"role": str(made.role)}
            )
        return made, text

    async def list(self, user: str = "") -> tuple[Token, ...]:
        """The tokens of a user, or of all, newest first."""
        query = sa.select(api_tokens).order_by(api_tokens.c.created.desc(), api_tokens.c.id)
        if user:
            query = query.where(api_tokens.c.user == user)
        async with self._database.read() as connection:
            return tuple(_token(row) for row in (await connection.execute(query)).mappings())

    async def get(self, token: str) -> Token:
        """One by its id. Raises NotFound (token-unknown)."""
        async with self._database.read() as connection:
            row = (
                (await connection.execute(sa.select(api_tokens).where(api_tokens.c.id == token)))
                .mappings()
                .one_or_none()
            )
        if row is None:
            raise NotFound(f"no token has the id {token!r}", code="token-unknown", subject=token)
        return _token(row)

    async def revoke(self, caller: Caller, token: str) -> None:
        """End a token now. Raises NotFound (token-unknown)."""
        async with self._database.write() as connection:
            row = (
                await connection.execute(
                    sa.select(api_tokens.c.user, api_tokens.c.name).where(api_tokens.c.id == token)
                )
            ).first()
            if row is None:
                raise NotFound(f"no token has the id {token!r}", code="token-unknown", subject=token)
            await connection.execute(sa.delete(api_tokens).where(api_tokens.c.id == token))
            await audit.append(connection, caller, "token.revoke", f"{row.user}/{row.name}")

    async def caller(self, text: str, address: str = "") -> Caller | None:
        """Who holds this token now; None for one that is unknown, revoked, expired, or whose user is disabled."""
        if self._given and hmac.compare_digest(text.encode(), self._given.encode()):
            return Caller(ADMIN, Role.ADMIN, project=DEFAULT_PROJECT, token="environment", address=address)  # noqa: S106
        now = self._clock()
        found = (
            sa.select(api_tokens, users.c.role.label("held"))
            .join(users, users.c.name == api_tokens.c.user)
            .where(api_tokens.c.sha256 == digest(text), users.c.enabled)
        )
        async with self._database.read() as connection:
            row = (await connection.execute(found)).mappings().one_or_none()
            if row is None or (row["expires"] is not None and row["expires"] <= now):
                return None
            role = least(Role(row["held"]), Role(row["role"]))
            belongs = {} if role.everywhere else await self._projects(connection, row["user"], role)
        if row["project"]:
            kept = role if role.everywhere else belongs.get(row["project"])
            belongs = {row["project"]: kept} if kept else {}
        if row["used"] is None or now - row["used"] > _USED_INTERVAL:
            async with self._database.write() as connection:
                await connection.execute(sa.update(api_tokens).where(api_tokens.c.id == row["id"]).values(used=now))
        project = row["project"] or (next(iter(sorted(belongs)), "") if belongs else DEFAULT_PROJECT)
        return Caller(row["user"], role, belongs, project, row["id"], address, row["project"] or "")

    async def _projects(self, connection: Connection, user: str, role: Role) -> dict[str, Role]:
        rows = await connection.execute(sa.select(members.c.project, members.c.role).where(members.c.user == user))
        return {project: least(role, Role(held)) for project, held in rows}


def _token(row: sa.RowMapping) -> Token:
    return Token(
        id=row["id"],
        user=row["user"],
        name=row["name"],
        role=Role(row["role"]),
        project=row["project"] or "",
        created=row["created"],
        expires=row["expires"],
        used=row["used"],
    )
