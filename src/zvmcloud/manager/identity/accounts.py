"""Users, projects and who belongs to which. Every change is in the audit, in the same transaction."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from zvmcloud.manager.database import Connection, Database
from zvmcloud.manager.errors import BadInput, Conflict, ManagerError, NotFound
from zvmcloud.manager.identity import audit, credentials
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.identity.tables import members, projects, users
from zvmcloud.manager.identity.throttle import Throttle
from zvmcloud.manager.identity.tokens import Token, Tokens
from zvmcloud.manager.inventory.tables import marks
from zvmcloud.manager.tables import guests, images, uploads

QUOTAS = ("guests", "vcpus", "memory_mb", "disk_mb", "fcp_devices", "image_mb")
LOGIN_SECONDS = 12 * 3600.0
"""How long the token of a login lasts."""
_OWNED = {"guests": guests.c.userid, "images": images.c.name, "uploads": uploads.c.name, "resources": marks.c.name}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")


class WrongPassword(ManagerError):
    status = 401
    code = "login-refused"
    title = "Login refused"


@dataclass(frozen=True, slots=True)
class Project:
    """A project and its quotas; what ``quota`` does not name has no limit."""

    name: str
    description: str
    created: float
    quota: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class User:
    """A user. ``password`` says whether one is set; ``projects`` maps projects to the role there."""

    name: str
    role: Role
    enabled: bool
    created: float
    password: bool
    projects: Mapping[str, Role]


class Accounts:
    """Users, projects, memberships and logins."""

    def __init__(self, database: Database, tokens: Tokens, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._tokens = tokens
        self._clock = clock
        self._throttle = Throttle(database, clock)

    async def login(self, name: str, password: str, address: str) -> tuple[Token, str]:
        """A token for twelve hours. Raises WrongPassword (login-refused), the same for every reason, and TooMany."""
        async with self._throttle.in_line(name, address):
            attempt = await self._throttle.begin(name, address)
            async with self._database.read() as connection:
                row = (await connection.execute(sa.select(users).where(users.c.name == name))).mappings().one_or_none()
            right = await asyncio.to_thread(credentials.matches, password, row["password"] if row else None)
            if row is None or not right or not row["enabled"]:
                raise WrongPassword("the user or the password is wrong, or the user is disabled")
            await self._throttle.passed(attempt)
        caller = Caller(name, Role(row["role"]), address=address)
        return await self._tokens.make(caller, name, "login", seconds=LOGIN_SECONDS)

    # users

    async def users(self) -> tuple[User, ...]:
        """All users by name."""
        async with self._database.read() as connection:
            rows = (await connection.execute(sa.select(users).order_by(users.c.name))).mappings().all()
            belonging = (await connection.execute(sa.select(members))).mappings().all()
        projects_of: dict[str, dict[str, Role]] = {}
        for row in belonging:
            projects_of.setdefault(row["user"], {})[row["project"]] = Role(row["role"])
        return tuple(_user(row, projects_of.get(row["name"], {})) for row in rows)

    async def user(self, name: str) -> User:
        """One user. Raises NotFound (user-unknown)."""
        async with self._database.read() as connection:
            row = (await connection.execute(sa.select(users).where(users.c.name == name))).mappings().one_or_none()
            rows = await connection.execute(sa.select(members.c.project, members.c.role).where(members.c.user == name))
            belonging = {project: Role(role) for project, role in rows}
        if row is None:
            raise _no_user(name)
        return _user(row, belonging)

    async def add_user(self, caller: Caller, name: str, role: Role, password: str | None) -> User:
        """Raises BadInput (name, password), Conflict (user-exists)."""
        _check_name(name)
        kept = await asyncio.to_thread(credentials.kept, password) if password is not None else None
        try:
            async with self._database.write() as connection:
                row = {"name": name, "role": str(role), "password": kept, "created": self._clock()}
                await connection.execute(sa.insert(users), row)
                await audit.append(connection, caller, "user.add", name, detail={"role": str(role)})
        except IntegrityError:
            raise Conflict(f"a user {name!r} exists already", code="user-exists", subject=name) from None
        return await self.user(name)

    async def change_user(
        self,
        caller: Caller,
        name: str,
        *,
        role: Role | None = None,
        password: str | None = None,
        enabled: bool | None = None,
    ) -> User:
        """Change what is given. Raises NotFound (user-unknown), BadInput (password), Conflict (last-admin)."""
        values: dict[str, object] = {}
        if role is not None:
            values["role"] = str(role)
        if enabled is not None:
            values["enabled"] = enabled
        told = dict(values)
        if password is not None:
            values["password"] = await asyncio.to_thread(credentials.kept, password)
            told["password"] = "changed"  # noqa: S105
        async with self._database.write() as connection:
            if values:
                found = await connection.execute(sa.update(users).where(users.c.name == name).values(**values))
                if not found.rowcount:
                    raise _no_user(name)
            await _keep_an_admin(connection)
            await audit.append(connection, caller, "user.change", name, detail=told)
        return await self.user(name)

    async def remove_user(self, caller: Caller, name: str) -> None:
        """With all tokens and memberships. Raises NotFound (user-unknown), Conflict (last-admin)."""
        async with self._database.write() as connection:
            if not (await connection.execute(sa.delete(users).where(users.c.name == name))).rowcount:
                raise _no_user(name)
            await _keep_an_admin(connection)
            await audit.append(connection, caller, "user.remove", name)

    # projects

    async def projects(self) -> tuple[Project, ...]:
        """All projects by name."""
        async with self._database.read() as connection:
            rows = await connection.execute(sa.select(projects).order_by(projects.c.name))
            return tuple(_project(row) for row in rows.mappings())

    async def project(self, name: str) -> Project:
        """One project. Raises NotFound (project-unknown)."""
        async with self._database.read() as connection:
            found = await connection.execute(sa.select(projects).where(projects.c.name == name))
            row = found.mappings().one_or_none()
        if row is None:
            raise _no_project(name)
        return _project(row)

    async def add_project(self, caller: Caller, name: str, description: str, quota: Mapping[str, int]) -> Project:
        """Raises BadInput (name, quota), Conflict (project-exists)."""
        _check_name(name)
        row = {
            "name": name,
            "description": description[:255],
            "created": self._clock(),
            "quota": _quota(quota),
        }
        try:
            async with self._database.write() as connection:
                await connection.execute(sa.insert(projects), row)
                await audit.append(
                    connection, caller, "project.add", name, project=name, detail={"quota": row["quota"]}
                )
        except IntegrityError:
            raise Conflict(f"a project {name!r} exists already", code="project-exists", subject=name) from None
        return await self.project(name)

    async def change_project(
        self,
        caller: Caller,
        name: str,
        *,
        description: str | None = None,
        quota: Mapping[str, int] | None = None,
    ) -> Project:
        """Change what is given; a quota replaces all limits. What is in use above a new limit stays.

        Raises NotFound (project-unknown), BadInput (quota)."""
        values: dict[str, object] = {}
        if description is not None:
            values["description"] = description[:255]
        if quota is not None:
            values["quota"] = _quota(quota)
        async with self._database.write() as connection:
            if values:
                found = await connection.execute(sa.update(projects).where(projects.c.name == name).values(**values))
                if not found.rowcount:
                    raise _no_project(name)
            await audit.append(connection, caller, "project.change", name, project=name, detail=values)
        return await self.project(name)

    async def remove_project(self, caller: Caller, name: str) -> None:
        """Raises NotFound (project-unknown), Conflict (project-in-use) while it owns guests, images, uploads or
        resources."""
        async with self._database.write() as connection:
            for what, column in _OWNED.items():
                owns = await connection.execute(sa.select(column).where(column.table.c.project == name).limit(1))
                owned = owns.scalar_one_or_none()
                if owned is not None:
                    raise Conflict(
                        f"project {name} owns {what}, {owned} for one",
                        code="project-in-use",
                        remedy=f"delete its {what} or give them to another project first",
                        subject=name,
                    )
            if not (await connection.execute(sa.delete(projects).where(projects.c.name == name))).rowcount:
                raise _no_project(name)
            await audit.append(connection, caller, "project.remove", name, project=name)

    async def admit(self, caller: Caller, project: str, user: str, role: Role) -> None:
        """Make the user a member of the project, or change the role there: reader or member.

        Raises BadInput (role), NotFound (user-unknown, project-unknown)."""
        if role.everywhere:
            raise BadInput("role", role, "reader or member; operator and admin are roles of a user")
        await self.user(user)
        await self.project(project)
        async with self._database.write() as connection:
            key = (members.c.project == project, members.c.user == user)
            changed = await connection.execute(sa.update(members).where(*key).values(role=str(role)))
            if not changed.rowcount:
                await connection.execute(sa.insert(members), {"project": project, "user": user, "role": str(role)})
            await audit.append(connection, caller, "project.admit", user, project=project, detail={"role": str(role)})

    async def expel(self, caller: Caller, project: str, user: str) -> None:
        """End a membership. Raises NotFound (member-unknown)."""
        async with self._database.write() as connection:
            gone = await connection.execute(
                sa.delete(members).where(members.c.project == project, members.c.user == user)
            )
            if not gone.rowcount:
                raise NotFound(f"{user} is not in project {project}", code="member-unknown", subject=user)
            await audit.append(connection, caller, "project.expel", user, project=project)


async def _keep_an_admin(connection: Connection) -> None:
    query = sa.select(users.c.name).where(users.c.role == str(Role.ADMIN), users.c.enabled).limit(1)
    if (await connection.execute(query)).first() is None:
        raise Conflict("this would leave no enabled admin", code="last-admin", remedy="make another admin first")


def _user(row: sa.RowMapping, belonging: Mapping[str, Role]) -> User:
    return User(
        name=row["name"],
        role=Role(row["role"]),
        enabled=row["enabled"],
        created=row["created"],
        password=row["password"] is not None,
        projects=dict(sorted(belonging.items())),
    )


def _project(row: sa.RowMapping) -> Project:
    return Project(row["name"], row["description"], row["created"], dict(row["quota"]))


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise BadInput("name", name, "1 to 64 letters, digits, '.', '_', '@' or '-', beginning with a letter or digit")


def _quota(quota: Mapping[str, int]) -> dict[str, int]:
    for what, limit in quota.items():
        if what not in QUOTAS:
            raise BadInput("quota", what, f"one of {', '.join(QUOTAS)}")
        if not 0 <= limit <= 2**50:
            raise BadInput(f"quota.{what}", limit, "a number from 0")
    return dict(quota)


def _no_user(name: str) -> NotFound:
    return NotFound(f"no user is named {name!r}", code="user-unknown", subject=name)


def _no_project(name: str) -> NotFound:
    return NotFound(f"no project is named {name!r}", code="project-unknown", subject=name)
