"""The userids that make SMAPI up (reference: protocol.md, the table of server userids)."""

from __future__ import annotations

SERVERS: frozenset[str] = frozenset(
    {
        "VSMREQIN",
        "VSMREQI6",
        "VSMREQIU",
        "VSMREQIM",
        "VSMPROXY",
        "VSMEVSRV",
        "VSMWORK1",
        "VSMWORK2",
        "VSMWORK3",
        "VSMGUARD",
        "DTCSMAPI",
        "PERSMAPI",
        "LOHCOST",
        "OPERATNS",
    }
)
