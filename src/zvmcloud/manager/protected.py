"""Userids that are z/VM's own: no job makes one of them a guest, nor changes, stops or deletes it.

An agent refuses the same of its own userid, whatever its name, and of the SMAPI servers; this list protects a system's
service machines before anything is sent, and those that an agent does not know.
"""

from __future__ import annotations

import fnmatch
from collections.abc import Mapping
from dataclasses import dataclass

from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.plan import Plan
from zvmcloud.smapi.servers import SERVERS

_RECORDED = "an entry of the recorded z/VM 7.1 directory (reference: recorded.md, Query_All_DM)"
_JUDGEMENT = "a service machine of z/VM by that name (judgement)"
SERVICE_MACHINES: Mapping[str, str] = {
    **dict.fromkeys(sorted(SERVERS), "a SMAPI server (reference: protocol.md, server userids)"),
    **dict.fromkeys(("MAINT", "PMAINT", "TCPIP", "VSMSSLIN", "SSLDCSSM"), _RECORDED),
    **dict.fromkeys(("DTCVSW1", "DTCVSW2", "DTCVSW3", "DTCVSW4"), f"a VSWITCH controller: {_RECORDED}"),
    **dict.fromkeys(("OPERATOR", "DIRMAINT", "DATAMOVE", "DIRMSAT", "AUTOLOG1", "AUTOLOG2"), _JUDGEMENT),
    **dict.fromkeys(("EREP", "DISKACNT", "OPERSYMP", "RACFVM", "VMSERVS", "VMSERVU", "VMSERVR", "VMSERVP"), _JUDGEMENT),
    **dict.fromkeys(("PERFSVM", "VMRMSVM", "RSCS", "XCAT"), _JUDGEMENT),
    "ZHCP": "the agent, as its guide names it",
}
"""The userids, and where each is known from."""
_HARMLESS = frozenset({"guest.deregister", "guest.forget", "vswitch.grant", "vswitch.revoke", "vswitch.set_vlan"})
"""What changes nothing of the userid: it ends that it counts as a guest, or changes a VSWITCH."""


@dataclass(frozen=True, slots=True)
class Protected:
    """``more``: userids besides :data:`SERVICE_MACHINES`, with * and ? (the setting ``protected``)."""

    more: tuple[str, ...] = ()

    def check(self, plan: Plan) -> None:
        """Raises Conflict (guest-protected) for a plan that makes such a userid a guest or changes it."""
        name = plan.userid
        if plan.kind not in _HARMLESS and (
            name in SERVICE_MACHINES or any(fnmatch.fnmatchcase(name, pattern) for pattern in self.more)
        ):
            raise protected(name)


def protected(name: str) -> Conflict:
    """A userid that no job changes."""
    return Conflict(
        f"{name} is a service machine of z/VM, no guest: it is neither adopted nor changed, stopped or deleted",
        code="guest-protected",
        remedy="look after it with z/VM's own means; the manager's setting protected names further ones",
        subject=name,
    )
