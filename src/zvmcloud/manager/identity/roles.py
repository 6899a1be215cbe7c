"""Roles and callers."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from zvmcloud.manager.errors import Hidden, NotAllowed


class Role(StrEnum):
    """From the least to the most: ``reader`` sees, ``member`` changes what is its project's, ``operator`` runs the
    z/VM systems and all projects' guests, ``admin`` rules over users, projects and settings too."""

    READER = "reader"
    MEMBER = "member"
    OPERATOR = "operator"
    ADMIN = "admin"

    def covers(self, other: Role) -> bool:
        """Whether this role may do what ``other`` may."""
        return _ORDER[self] >= _ORDER[other]

    @property
    def everywhere(self) -> bool:
        """Whether the role acts on every project."""
        return self.covers(Role.OPERATOR)


_ORDER = {role: number for number, role in enumerate(Role)}


def least(one: Role, other: Role) -> Role:
    """The smaller of two roles."""
    return other if one.covers(other) else one


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks, as found from a token. ``projects`` maps the projects of a caller that does not act everywhere to the
    role there; ``project`` is where new things go when the request does not say. ``address`` is the peer's. ``limit``:
    the one project that the token is for, "" for all of the user's; what it makes is limited so as well."""

    user: str
    role: Role
    projects: dict[str, Role] = field(default_factory=dict)
    project: str = ""
    token: str = ""
    address: str = ""
    limit: str = ""

    def role_in(self, project: str) -> Role | None:
        """The caller's role in a project, None for a stranger there."""
        if self.role.everywhere and (not self.projects or project in self.projects):
            return self.role
        return self.projects.get(project)

    @property
    def sees(self) -> tuple[str, ...] | None:
        """The projects whose things the caller sees; None for all."""
        return None if self.role.everywhere and not self.projects else tuple(sorted(self.projects))

    def needs(self, role: Role) -> None:
        """Raises NotAllowed (role) unless the caller has ``role`` somewhere. What needs an admin is beyond any one
        project, and so beyond a token for one."""
        if role is Role.ADMIN and self.role is Role.ADMIN and self.limit:
            raise NotAllowed(
                f"this is beyond project {self.limit}, the only one that the token is for",
                code="role",
                remedy="use a token for all projects",
                subject=self.user,
            )
        if not self.role.covers(role):
            raise NotAllowed(
                f"this needs the role {role}; {self.user} has {self.role}",
                code="role",
                remedy=f"ask an admin for a token with the role {role}",
                subject=self.user,
            )

    def enters(self, project: str, role: Role, what: str) -> None:
        """Raises NotFound when ``what`` is in a project that the caller does not see, NotAllowed (role) when the
        caller's role there is too small."""
        held = self.role_in(project)
        if held is None:
            raise Hidden(f"{what} does not exist, or is not in a project of {self.user}", subject=what)
        if not held.covers(role):
            raise NotAllowed(
                f"{what} is in project {project}, where {self.user} is {held}; this needs {role}",
                code="role",
                remedy=f"ask an admin for the role {role} in project {project}",
                subject=what,
            )


SYSTEM = Caller("system", Role.ADMIN)
"""The manager itself: what it does by its own rules, not for a user."""
