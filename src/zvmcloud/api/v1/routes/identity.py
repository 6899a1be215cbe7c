"""Login, users, projects, members, tokens, and the audit."""

from __future__ import annotations

import contextlib

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field, SecretStr

from zvmcloud.api.v1.context import TELLS_SECRET, Admin, Reader, TheNode, address_of
from zvmcloud.api.v1.paging import Cursor, InTime, Limit, Page, key_of, page
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.identity import accounts, tables, tokens
from zvmcloud.manager.identity.roles import Caller, Role
from zvmcloud.manager.listing import Listing

router = APIRouter(tags=["identity"])

AUDIT = Listing(tables.audit, ("number",), descending=True, project="", time="time")


class Strict(BaseModel):
    """A request that names nothing we do not know."""

    model_config = ConfigDict(extra="forbid")


class Login(Strict):
    user: str = Field(max_length=64)
    password: SecretStr = Field(max_length=256)


class Whoami(BaseModel):
    """Who the token makes the caller. ``system``: the z/VM system that is meant when none is named."""

    user: str
    role: Role
    project: str
    projects: dict[str, Role]
    system: str


class Token(BaseModel):
    """A token as it is known afterwards. Times are seconds since 1970."""

    id: str
    user: str
    name: str
    role: Role
    project: str
    created: float
    expires: float | None
    used: float | None


class NewToken(Token):
    """A token just made; ``token`` is never shown again."""

    token: str


class TokenRequest(Strict):
    """``seconds``: how long it lasts, absent for ever. ``role`` at most the user's; ``project`` "" for all of the
    user's, or for the only one of the token that asks."""

    name: str = Field(min_length=1, max_length=64)
    user: str = ""
    role: Role | None = None
    project: str = ""
    seconds: float | None = Field(default=None, ge=1, le=10 * 366 * 86400)


class User(BaseModel):
    name: str
    role: Role
    enabled: bool
    created: float
    password: bool = Field(description="whether one is set")
    projects: dict[str, Role]


class UserRequest(Strict):
    name: str
    role: Role = Role.MEMBER
    password: SecretStr | None = None


class UserChange(Strict):
    role: Role | None = None
    password: SecretStr | None = None
    enabled: bool | None = None


class Project(BaseModel):
    name: str
    description: str
    created: float
    quota: dict[str, int]


class ProjectRequest(Strict):
    """``quota``: limits of guests, vcpus, memory_mb, disk_mb, fcp_devices, image_mb; what is absent has none."""

    name: str
    description: str = Field(default="", max_length=255)
    quota: dict[str, int] = Field(default_factory=dict)


class ProjectChange(Strict):
    description: str | None = Field(default=None, max_length=255)
    quota: dict[str, int] | None = None


class Membership(Strict):
    role: Role = Role.MEMBER


class AuditEntry(BaseModel):
    """One change. ``previous`` and ``hash`` chain the entries (see `zvm audit verify`)."""

    number: int
    time: float
    user: str
    role: str
    token: str
    project: str
    address: str
    action: str
    subject: str
    job: str
    result: str
    detail: dict[str, object]
    previous: str
    hash: str


class Verified(BaseModel):
    """Whether the chain of the audit holds; if not, the first entry that breaks it and why."""

    holds: bool
    number: int | None = None
    reason: str = ""


@router.post("/login", name="session.login", dependencies=[TELLS_SECRET])
async def login(node: TheNode, request: Request, body: Login) -> NewToken:
    """A token for twelve hours; needs none. Failed logins slow further ones down."""
    made, text = await node.accounts.login(body.user, body.password.get_secret_value(), address_of(request))
    return NewToken(**_token(made).model_dump(), token=text)


@router.get("/whoami", name="session.whoami")
async def whoami(node: TheNode, caller: Reader) -> Whoami:
    """Who the token makes the caller."""
    system = node.settings.system()
    return Whoami(
        user=caller.user,
        role=caller.role,
        project=caller.project,
        projects=caller.projects,
        system=system.name if system is not None else "",
    )


@router.post("/logout", name="session.logout", status_code=204)
async def logout(node: TheNode, caller: Reader) -> Response:
    """End the token that asks. One from the manager's environment stays."""
    with contextlib.suppress(NotFound):
        await node.tokens.revoke(caller, caller.token)
    return Response(status_code=204)


@router.get("/tokens")
async def list_tokens(node: TheNode, caller: Reader) -> list[Token]:
    """The caller's own tokens; an admin's list has everybody's."""
    return [_token(token) for token in await node.tokens.list("" if caller.role is Role.ADMIN else caller.user)]


@router.post("/tokens", status_code=201, dependencies=[TELLS_SECRET])
async def make_token(node: TheNode, caller: Reader, body: TokenRequest) -> NewToken:
    """A new token of the caller, with at most the role of the token that asks; an admin may make one for anybody."""
    user = body.user or caller.user
    if user != caller.user:
        caller.needs(Role.ADMIN)
    role = body.role or caller.role
    if user == caller.user and role is not caller.role:
        caller.needs(role)
    made, text = await node.tokens.make(caller, user, body.name, role=role, project=body.project, seconds=body.seconds)
    return NewToken(**_token(made).model_dump(), token=text)


@router.delete("/tokens/{token}", status_code=204)
async def revoke(node: TheNode, caller: Reader, token: str) -> Response:
    """End a token at once: one of the caller's own, or any for an admin."""
    found = await node.tokens.get(token)
    if found.user != caller.user and caller.role is not Role.ADMIN:
        raise NotFound(f"no token has the id {token!r}", code="token-unknown", subject=token)
    await node.tokens.revoke(caller, token)
    return Response(status_code=204)


@router.get("/users")
async def list_users(node: TheNode, _caller: Admin) -> list[User]:
    """All users."""
    return [_user(user) for user in await node.accounts.users()]


@router.post("/users", status_code=201)
async def add_user(node: TheNode, caller: Admin, body: UserRequest) -> User:
    """A new user; without a password the user has tokens only."""
    return _user(await node.accounts.add_user(caller, body.name, body.role, _plain(body.password)))


@router.get("/users/{name}")
async def get_user(node: TheNode, _caller: Admin, name: str) -> User:
    """One user."""
    return _user(await node.accounts.user(name))


@router.patch("/users/{name}")
async def change_user(node: TheNode, caller: Admin, name: str, body: UserChange) -> User:
    """Change role, password, or whether the user may come in; the last enabled admin stays one."""
    changed = await node.accounts.change_user(
        caller, name, role=body.role, password=_plain(body.password), enabled=body.enabled
    )
    return _user(changed)


@router.delete("/users/{name}", status_code=204)
async def remove_user(node: TheNode, caller: Admin, name: str) -> Response:
    """Remove a user with all tokens and memberships."""
    await node.accounts.remove_user(caller, name)
    return Response(status_code=204)


@router.get("/projects")
async def list_projects(node: TheNode, caller: Reader) -> list[Project]:
    """The projects that the caller sees."""
    return [_project(project) for project in await node.accounts.projects() if _sees(caller, project.name)]


@router.post("/projects", status_code=201)
async def add_project(node: TheNode, caller: Admin, body: ProjectRequest) -> Project:
    """A new project, which owns nothing yet."""
    return _project(await node.accounts.add_project(caller, body.name, body.description, body.quota))


@router.get("/projects/{name}")
async def get_project(node: TheNode, caller: Reader, name: str) -> Project:
    """One project."""
    caller.enters(name, Role.READER, f"project {name}")
    return _project(await node.accounts.project(name))


@router.patch("/projects/{name}")
async def change_project(node: TheNode, caller: Admin, name: str, body: ProjectChange) -> Project:
    """Change the description or the quotas; what is in use above a new limit stays."""
    changed = await node.accounts.change_project(caller, name, description=body.description, quota=body.quota)
    return _project(changed)


@router.delete("/projects/{name}", status_code=204)
async def remove_project(node: TheNode, caller: Admin, name: str) -> Response:
    """Remove a project that owns nothing."""
    await node.accounts.remove_project(caller, name)
    return Response(status_code=204)


@router.put("/projects/{name}/members/{user}", name="project.admit", status_code=204)
async def admit(node: TheNode, caller: Admin, name: str, user: str, body: Membership) -> Response:
    """Make a user a member (or reader) of a project."""
    await node.accounts.admit(caller, name, user, body.role)
    return Response(status_code=204)


@router.delete("/projects/{name}/members/{user}", name="project.expel", status_code=204)
async def expel(node: TheNode, caller: Admin, name: str, user: str) -> Response:
    """End a user's membership of a project."""
    await node.accounts.expel(caller, name, user)
    return Response(status_code=204)


@router.get("/audit", name="audit.list")
async def audit(
    node: TheNode,
    _caller: Admin,
    narrowed: InTime,
    user: str = "",
    project: str = "",
    action: str = "",
    job: str = "",
    limit: Limit = 100,
    cursor: Cursor = "",
) -> Page[AuditEntry]:
    """Every change, the newest first."""
    rows = await AUDIT.rows(
        node.core.database,
        _caller,
        after=key_of(cursor, int),
        limit=limit,
        equal={"user": user, "project": project, "action": action, "job": job},
        narrowed=narrowed,
    )
    return page(rows, limit, lambda row: AuditEntry(**row), AUDIT.key)


@router.get("/audit/verify")
async def verify(node: TheNode, _caller: Admin) -> Verified:
    """Read the whole audit and check its chain."""
    broken = await node.audit.verify()
    return Verified(holds=True) if broken is None else Verified(holds=False, number=broken.number, reason=broken.reason)


def _sees(caller: Caller, project: str) -> bool:
    return caller.sees is None or project in caller.sees


def _plain(password: SecretStr | None) -> str | None:
    return password.get_secret_value() if password is not None else None


def _token(token: tokens.Token) -> Token:
    return Token(**{name: getattr(token, name) for name in Token.model_fields})


def _user(user: accounts.User) -> User:
    return User(**{name: getattr(user, name) for name in User.model_fields})


def _project(project: accounts.Project) -> Project:
    return Project(**{name: getattr(project, name) for name in Project.model_fields})
