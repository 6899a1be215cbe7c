"""Who may call what: the authorization file (AUTHLIST) and the name lists (NAMELIST).

A record allows a requester (userid or list of userids) to call a function (name or list of functions) on a target
(userid or list). ALL stands for every target or function, an equal sign as target for the requester itself. Lists
inside lists are not expanded. A call without a target is one on the requester itself (judgement: some queries and the
legacy functions have none). Case does not matter.
"""

from __future__ import annotations

from zvmcloud.simulator.model import Authorization
from zvmcloud.simulator.system import System


class Access:
    """Answers from the two files, with an index that follows them."""

    def __init__(self, system: System) -> None:
        self._system = system
        self._by_requester: dict[str, list[Authorization]] | None = None
        system.authorizations.observe(self._forget)
        system.name_lists.observe(self._forget)

    def _forget(self, _key: str, _before: object, _after: object) -> None:
        self._by_requester = None

    def authenticate(self, userid: str, password: str) -> bool:
        """Whether the password is the userid's; never for userids without a password."""
        entry = self._system.entry(userid)
        return entry is not None and entry.accepts_password(password)

    def allows(self, userid: str, function: str, target: str) -> bool:
        """Whether a record allows the call."""
        if self._by_requester is None:
            self._by_requester = self._index()
        target = target or userid
        return any(
            self._covers(record.function, function)
            and (self._covers(record.target, target) or (record.target == "=" and target.upper() == userid))
            for record in self._by_requester.get(userid, ())
        )

    def _index(self) -> dict[str, list[Authorization]]:
        index: dict[str, list[Authorization]] = {}
        for record in self._system.authorizations.values():
            requester = record.requester.upper()
            index.setdefault(requester, []).append(record)
            found = self._system.name_lists.get(requester)
            for member in found.members if found else ():
                index.setdefault(member.upper(), []).append(record)
        return index

    def _covers(self, allowed: str, name: str) -> bool:
        """Whether what a record says covers a name: ALL, the name itself, or a list that has it as a member."""
        allowed, name = allowed.upper(), name.upper()
        if allowed in ("ALL", name):
            return True
        found = self._system.name_lists.get(allowed)
        return found is not None and any(member.upper() == name for member in found.members)
