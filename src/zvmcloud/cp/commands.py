"""Builders of CP commands. Each checks every operand by its own rule, so nothing can be slipped into a command line.

A builder returns the command in upper case, ready for `/dev/vmcp` or a simulator's CP port. An operand that breaks its
rule is an `OperandError` that names operand, value and rule; no builder quotes or escapes, because CP has no quoting.
Longest CP command: 240 bytes.
"""

from __future__ import annotations

import re

MAX_COMMAND = 240
_MAX_CYLINDERS = 1_182_006
"""Of the largest 3390, a Model A: `directory.extents.LARGEST_3390`, which this room does not import."""
LINK_MODES = frozenset({"R", "RR", "W", "WR", "M", "MR", "MW", "SR", "SW", "SM", "ER", "EW"})
_USERID = re.compile(r"[A-Z0-9@#$_+:-]{1,8}")
_VDEV = re.compile(r"[0-9A-F]{1,4}")
_SPOOLID = re.compile(r"\d{1,4}")
_CLASS = re.compile(r"[A-Z0-9]")
_NAME = re.compile(r"[A-Z0-9@#$_-]{1,8}")
_TEXT = re.compile(r"[ -~]+")
_SHARE_VALUE = r"(RELATIVE [0-9]{1,5}|ABSOLUTE [0-9]{1,3}(\.[0-9]{1,2})?%)"
_SHARE = re.compile(rf"{_SHARE_VALUE}( {_SHARE_VALUE})?( LIMITSOFT| LIMITHARD| NOLIMIT)?")


class OperandError(ValueError):
    """An operand of a CP command breaks its rule."""

    def __init__(self, operand: str, value: object, rule: str) -> None:
        self.operand = operand
        self.value = value
        self.rule = rule
        super().__init__(f"{operand} {value!r}: {rule}")


def userid(value: str, operand: str = "userid") -> str:
    """A userid in upper case: 1 to 8 characters A-Z 0-9 @ # $ _ + : -."""
    upper = value.upper()
    if not _USERID.fullmatch(upper):
        raise OperandError(operand, value, "1 to 8 characters A-Z, 0-9, @, #, $, _, +, : or -")
    return upper


def vdev(value: str, operand: str = "vdev") -> str:
    """A device number as four hexadecimal digits in upper case."""
    upper = value.upper()
    if not _VDEV.fullmatch(upper):
        raise OperandError(operand, value, "1 to 4 hexadecimal digits")
    return upper.zfill(4)


def spoolid(value: str, operand: str = "spoolid") -> str:
    """A spool file number, 1 to 9999, as four digits."""
    if not _SPOOLID.fullmatch(value) or int(value) == 0:
        raise OperandError(operand, value, "a number from 1 to 9999")
    return value.zfill(4)


def spool_class(value: str, operand: str = "class") -> str:
    """A spool class, one letter or digit."""
    upper = value.upper()
    if not _CLASS.fullmatch(upper):
        raise OperandError(operand, value, "one letter or digit")
    return upper


def name(value: str, operand: str = "name") -> str:
    """The name of a VSWITCH or a spool file: 1 to 8 characters A-Z 0-9 @ # $ _ -."""
    upper = value.upper()
    if not _NAME.fullmatch(upper):
        raise OperandError(operand, value, "1 to 8 characters A-Z, 0-9, @, #, $, _ or -")
    return upper


def _seconds(value: int, limit: int, operand: str) -> str:
    if not 0 <= value <= limit:
        raise OperandError(operand, value, f"0 to {limit} seconds")
    return str(value)


def _line(*words: str) -> str:
    line = " ".join(word for word in words if word)
    if len(line) > MAX_COMMAND:
        raise OperandError("command", line[:40] + "...", f"{len(line)} bytes, limit {MAX_COMMAND}")
    return line


def query_userid() -> str:
    """QUERY USERID: who am I, and on which system."""
    return "QUERY USERID"


def query_user(user: str) -> str:
    """QUERY USER: is it logged on here (refused with 45 when not, 361 while it is being logged off)."""
    return _line("QUERY USER", userid(user))


def query_virtual(device: str) -> str:
    """QUERY VIRTUAL vdev: one of the caller's own devices (refused with 40 when there is none)."""
    return _line("QUERY VIRTUAL", vdev(device))


def query_virtual_dasd() -> str:
    """QUERY VIRTUAL DASD: all disks of the caller."""
    return "QUERY VIRTUAL DASD"


def query_fcp_active() -> str:
    """QUERY FCP ACTIVE: the FCP devices that somebody has."""
    return "QUERY FCP ACTIVE"


def vary(device: str, *, online: bool) -> str:
    """VARY ONLINE or OFFLINE rdev: a real device that nobody has (refused with 122 when somebody has it)."""
    return _line("VARY", "ONLINE" if online else "OFFLINE", vdev(device))


def query_vswitch(switch: str = "", *, details: bool = False) -> str:
    """QUERY VSWITCH, of one switch or all."""
    return _line("QUERY VSWITCH", name(switch, "switch") if switch else "ALL", "DETAILS" if details else "")


def query_lan(lan: str, owner: str) -> str:
    """QUERY LAN name OWNERID owner: one guest LAN."""
    return _line("QUERY LAN", name(lan, "lan"), "OWNERID", userid(owner, "owner"))


def query_cplevel() -> str:
    """QUERY CPLEVEL: version and IPL time."""
    return "QUERY CPLEVEL"


def link(owner: str, owner_vdev: str, as_vdev: str, mode: str) -> str:
    """LINK owner vdev AS vdev mode. Modes: R RR W WR M MR MW and the stable and exclusive S., E. forms."""
    upper = mode.upper()
    if upper not in LINK_MODES:
        raise OperandError("mode", mode, "one of " + " ".join(sorted(LINK_MODES)))
    return _line("LINK", userid(owner, "owner"), vdev(owner_vdev, "owner_vdev"), "AS", vdev(as_vdev, "as_vdev"), upper)


def flashcopy(source: str, target: str, last: int) -> str:
    """FLASHCOPY of cylinders 0 to `last` of one of the caller's disks to the same of another, complete at its answer.

    Source: z/VM CP Commands and Utilities Reference, FLASHCOPY.
    """
    if not 0 <= last < _MAX_CYLINDERS:
        raise OperandError("last", last, f"a cylinder from 0 to {_MAX_CYLINDERS - 1}")
    return _line("FLASHCOPY", vdev(source), "0", str(last), "TO", vdev(target), "0", str(last), "SYNCHRONOUS")


def detach(device: str) -> str:
    """DETACH one of the caller's devices."""
    return _line("DETACH", vdev(device))


def spool_reader_any_class(device: str = "") -> str:
    """SPOOL READER CLASS *: the reader takes files of every class."""
    return _line("SPOOL", vdev(device) if device else "READER", "CLASS *")


def spool_punch(to: str, file_class: str) -> str:
    """SPOOL PUNCH TO userid CLASS c."""
    return _line("SPOOL PUNCH TO", userid(to, "to"), "CLASS", spool_class(file_class))


def change_reader(spool: str, file_class: str = "", file_name: str = "", file_type: str = "") -> str:
    """CHANGE RDR id, its class and its name."""
    words = ["CHANGE RDR", spoolid(spool)]
    if file_class:
        words += ["CLASS", spool_class(file_class)]
    if file_name:
        words += ["NAME", name(file_name, "file_name"), name(file_type or "DATA", "file_type")]
    if len(words) == 2:
        raise OperandError("file_class", file_class, "a class or a name to change must be given")
    return _line(*words)


def release_reader(spool: str) -> str:
    """CHANGE RDR id NOHOLD: a file on user hold can be read again."""
    return _line("CHANGE RDR", spoolid(spool), "NOHOLD")


def transfer_reader(spool: str, to: str) -> str:
    """TRANSFER * RDR id TO userid RDR: hand a reader file over."""
    return _line("TRANSFER * RDR", spoolid(spool), "TO", userid(to, "to"), "RDR")


def purge_reader(spool: str, user: str = "") -> str:
    """PURGE RDR id, or a file or ALL of another user's reader (needs the class)."""
    what = "ALL" if spool.upper() == "ALL" else spoolid(spool)
    return _line("PURGE", userid(user) if user else "", "RDR", what)


def xautolog(user: str) -> str:
    """XAUTOLOG: log a virtual machine on, disconnected."""
    return _line("XAUTOLOG", userid(user))


def force(user: str) -> str:
    """FORCE: log a virtual machine off at once."""
    return _line("FORCE", userid(user))


def signal_shutdown(user: str, within: int) -> str:
    """SIGNAL SHUTDOWN user WITHIN seconds (0 to 65535): let the guest's system end itself, then log it off."""
    return _line("SIGNAL SHUTDOWN", userid(user), "WITHIN", _seconds(within, 65_535, "within"))


def send(user: str, text: str, *, cp: bool = False) -> str:
    """SEND [CP] user text: type on another virtual machine's console, to its system or (`cp`) to CP.

    Printable ASCII, no CP line end character (#).
    """
    if not _TEXT.fullmatch(text) or "#" in text:
        raise OperandError("text", text, "printable characters, without #, the CP line end")
    return _line("SEND CP" if cp else "SEND", userid(user), text)


def set_vswitch_grant(switch: str, user: str, vlan: int | None = None) -> str:
    """SET VSWITCH name GRANT user, with a VLAN from 1 to 4094 on wish."""
    if vlan is not None and not 1 <= vlan <= 4094:
        raise OperandError("vlan", vlan, "1 to 4094")
    return _line(
        "SET VSWITCH", name(switch, "switch"), "GRANT", userid(user), f"VLAN {vlan}" if vlan is not None else ""
    )


def set_share(user: str, share: str) -> str:
    """SET SHARE user RELATIVE n (1 to 10000) or ABSOLUTE n%: of a virtual machine that is logged on (class A).

    `share` may go on with a maximum of the same form, and with LIMITSOFT, LIMITHARD or NOLIMIT.
    """
    if not _SHARE.fullmatch(share):
        raise OperandError("share", share, "RELATIVE n or ABSOLUTE n%, a maximum of that form, a limit")
    return _line("SET SHARE", userid(user), share)


def indicate_user(user: str) -> str:
    """INDICATE USER: processor time, pages and I/O operations of a virtual machine that is on (classes A, B, C, E)."""
    return _line("INDICATE USER", userid(user))


def query_chpid_pchid(chpid: str) -> str:
    """QUERY CHPID nn PCHID: the physical channel behind a channel path."""
    upper = chpid.upper()
    if not re.fullmatch("[0-9A-F]{1,2}", upper):
        raise OperandError("chpid", chpid, "1 or 2 hexadecimal digits")
    return _line("QUERY CHPID", upper, "PCHID")
