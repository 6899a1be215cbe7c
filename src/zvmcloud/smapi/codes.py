"""What the return and reason codes (rc, rs) of SMAPI mean, and whether the same call may succeed later.

Source: public SMAPI clients (pysmapi, zthin, fence-agents, snipl) and recorded exchanges with z/VM 7.1, told in our
own words; see docs. The rows are in `code_tables`.

Three families carry a number from elsewhere as rs: 396 a CP or CMS message, 592 an operation id, 596 a DirMaint
message. rc 24 packs two numbers into rs: parameter number * 100 + detail (`SYNTAX_DETAILS`).
"""

from dataclasses import dataclass
from typing import Final

from zvmcloud.smapi.code_tables import GENERAL, SPECIAL

_SYNTAX_ERROR: Final = 24

SYNTAX_DETAILS: Final[dict[int, str]] = {
    1: "begins with a colon, which a list name may not",
    10: "may hold decimal digits only",
    11: "names a function that is not supported",
    13: "is longer than its limit or than the request",
    14: "is too short",
    15: "is empty or a number that is too small",
    16: "may hold hex digits only",
    17: "may hold hex digits and hyphens only",
    18: "is a number that is too large",
    19: "is none of the values known",
    23: "contradicts another parameter",
    24: "is required",
    25: "does not belong here",
    26: "may hold letters only",
    27: "is no function name (letters and underscores)",
    36: "may hold letters and digits only",
    37: "may hold letters, digits and hyphens only",
    38: "is not a list",
    42: "has a character outside char42",
    43: "has a character outside char43",
    44: "has a character outside char43 and =",
    45: "does not follow the SFS syntax",
    88: "ends too early",
    99: "holds a blank, NUL, delete, carriage return, line feed or line end",
}
"""rc 24: what is wrong with the parameter, by rs % 100 (rs // 100 is the parameter's number)."""

_RETRYABLE: Final = frozenset(
    {
        (8, 241),  # the server's own communication broke
        (8, 3006),  # SSI cluster not STABLE while a member joins or leaves
        (8, 3016),  # monitor data not there yet
        (8, 3017),
        (8, 3020),  # TCP/IP stack is restarting
        (200, 16),  # logoff under way
        (204, 12),  # device busy
        (396, 361),  # HCP361E: logoff or force pending
        (400, 12),  # entry, device or disk locked by another change
        (404, 12),
        (408, 12),
        (500, 4),  # directory manager suspended or restarting
        (500, 8),
        (596, 1185),  # DirMaint: entry or device locked
        (596, 6312),
        (800, 8),  # nothing measured yet
        (900, 8),  # worker, socket or metadata server restarting
        (900, 40),
        (900, 68),
        (900, 99),  # the server itself asks for a repeat
    }
)


@dataclass(frozen=True, slots=True)
class Code:
    """One meaning of a return and reason code.

    `rs` None stands for any reason code; `functions` None for any function.
    """

    rc: int
    rs: int | None
    meaning: str
    functions: frozenset[str] | None
    retryable: bool


def retryable(rc: int, rs: int) -> bool:
    """Whether the condition passes by itself, so that the same call may succeed a little later.

    True for locks held by another change (400/12, 404/12, 408/12; DirMaint 596/1185 and 596/6312), for devices and
    guests in transition (204/12, 200/16, 396/361), for servers that are away for the moment (directory manager 500/4
    and 500/8, worker 900/8, metadata server 900/68, TCP/IP stack 8/3020, socket and communication errors 900/40 and
    8/241), for an SSI cluster in transition (8/3006), for data not collected yet (8/3016, 8/3017, 800/8) and for
    900/99, by which the server asks for a repeat. False for everything else: success, asynchronous work (592, which
    must be followed instead), refusals, missing or duplicate objects and faulty parameters. This is judgement; the
    clients that were studied repeat 400/12 and little else.

    It says nothing on whether a failed call changed something: look before repeating a call that is not idempotent.
    """
    return (rc, rs) in _RETRYABLE


CODES: Final[tuple[Code, ...]] = (
    *(Code(rc, rs, text, None, rs is not None and retryable(rc, rs)) for rc, rs, text in GENERAL),
    *(
        Code(rc, rs, text, frozenset(names.split()), rs is not None and retryable(rc, rs))
        for rc, rs, names, text in SPECIAL
    ),
)
"""Every documented code: first the general meanings, then those of particular functions."""

_GENERAL: Final = {(code.rc, code.rs): code.meaning for code in CODES if code.functions is None}
_SPECIAL: Final = {
    (code.rc, code.rs, name.upper()): code.meaning for code in CODES for name in sorted(code.functions or ())
}


def meaning(rc: int, rs: int, function: str | None = None) -> str:
    """The meaning of a return and reason code in a few words; for pairs not documented, a sentence saying so.

    The meaning for `function` (case does not matter) goes before the general one, and a row for this very reason
    code before a row for any. rc 24 names parameter number and fault.
    """
    name = function.upper() if function else ""
    for wanted in (rs, None):
        if (text := _SPECIAL.get((rc, wanted, name))) is not None:
            return _with_number(rc, rs, text) if wanted is None else text
        if wanted is None and rc == _SYNTAX_ERROR:
            return _syntax_error(rs)
        if (text := _GENERAL.get((rc, wanted))) is not None:
            return _with_number(rc, rs, text) if wanted is None else text
    return f"return code {rc}, reason code {rs} is not documented"


def _with_number(rc: int, rs: int, text: str) -> str:
    """A meaning that holds for any reason code, with the number that the reason code carries."""
    return f"{text} ({rc}/{rs})"


def _syntax_error(rs: int) -> str:
    number, detail = divmod(rs, 100)
    fault = SYNTAX_DETAILS.get(detail, f"is malformed in a way that is not documented (detail {detail})")
    return f"parameter {number} {fault}" if number else f"a parameter {fault}"
