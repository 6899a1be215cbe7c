"""CP messages: `HCPmmmnnnnS text`, where mmm is the module, nnnn the number (three or four digits), S the severity.

    HCPCQU045E LINUX01 not logged on
    |  |  |  |
    |  |  |  `- severity: E error, W warning, I information, A action, R response, S severe
    |  |  `---- number; CP's return code of a refused command is this number
    |  `------- module that wrote it (differs by command; a reader must not depend on it)
    `---------- component

Each message is data: a number, the module that usually writes it, and a template. `render` fills the template (the
simulator speaks with it) and `recognise` reads it back (clients listen with it). The numbers and texts marked
CORPUS occur in reference/connector/cp_corpus.md; the others are judgement and are only recognised by number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from enum import StrEnum


class Source(StrEnum):
    """Where the text of a message comes from."""

    CORPUS = "corpus"
    JUDGEMENT = "judgement"


_OPERAND = re.compile(r"\{([a-z_]+)\}")
_LINE = re.compile(r"^HCP([A-Z0-9]{3})(\d{3,4})([AEIRSTW])(?:\s+(.*?))?\s*$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the catalogue. `template` names its operands in braces."""

    number: int
    module: str
    severity: str
    template: str
    source: Source = Source.JUDGEMENT

    @property
    def identifier(self) -> str:
        """`HCPCQU045E`."""
        return f"HCP{self.module}{self.number:03d}{self.severity}"

    @property
    def operands(self) -> tuple[str, ...]:
        """The names of the template's operands, in order."""
        return tuple(_OPERAND.findall(self.template))

    def render(self, *, module: str = "", **operands: str | int) -> str:
        """The whole line. `module` replaces the usual module. KeyError when an operand is missing."""
        text = _OPERAND.sub(lambda found: str(operands[found[1]]), self.template)
        return f"HCP{module or self.module}{self.number:03d}{self.severity} {text}"

    def match(self, text: str) -> dict[str, str] | None:
        """Operands of `text` (the line without its identifier), or None when it has another form."""
        parts = _OPERAND.split(self.template)
        pattern = "".join(re.escape(p) if i % 2 == 0 else f"(?P<{p}>.+?)" for i, p in enumerate(parts))
        found = re.fullmatch(pattern, text, re.IGNORECASE)
        return found.groupdict() if found else None


@dataclass(frozen=True, slots=True)
class Recognised:
    """A message line that was read. `message` is None when the catalogue does not have it."""

    module: str
    number: int
    severity: str
    text: str
    message: Message | None
    operands: dict[str, str] = field(default_factory=dict)

    @property
    def is_error(self) -> bool:
        """Whether the severity says that the command was refused."""
        return self.severity in ("E", "S", "T")


_C = Source.CORPUS

UNKNOWN_COMMAND = Message(1, "CMD", "E", "Unknown CP command: {command}")
INVALID_OPTION = Message(3, "CQV", "E", "Invalid option - {option}", _C)
EXCESS_OPTION = Message(3, "CFC", "E", "Invalid option - command contains extra option(s) starting with {option}")
USERID_INVALID = Message(20, "LNM", "E", "Userid missing or invalid")
VDEV_INVALID = Message(22, "LNM", "E", "A virtual device number was not supplied or it was invalid.")
OPERAND_INVALID = Message(26, "CFC", "E", "Operand missing or invalid", _C)
SPOOLID_INVALID = Message(27, "CSU", "E", "Spoolid missing or invalid")
CLASS_INVALID = Message(28, "CSU", "E", "Class missing or invalid")
DEVICE_MISSING = Message(40, "QVD", "E", "Device {vdev} does not exist", _C)
SPOOL_FILE_MISSING = Message(42, "CSU", "E", "Spoolid {spoolid} does not exist")
NOT_LOGGED_ON = Message(45, "CQU", "E", "{userid} not logged on", _C)
TRANSFER_SAME_USER = Message(7, "CSX", "E", "Invalid userid - {userid}")
NOT_IN_DIRECTORY = Message(53, "LNM", "E", "{userid} not in CP directory", _C)
ALREADY_LOGGED_ON = Message(54, "LGA", "E", "Already logged on {userid}")
VDEV_IN_USE = Message(92, "LNM", "E", "{kind} {vdev} not linked; device already defined")
LINK_READ_ONLY = Message(101, "LNM", "I", "{kind} {vdev} linked R/O; R/W by {owner}")
LINK_HELD_RO = Message(104, "LNM", "E", "{userid} {vdev} not linked; R/O by {owner}")
LINK_HELD_RW = Message(105, "LNM", "E", "{userid} {vdev} not linked; R/W by {owner}")
LINK_VOLUME_OFFLINE = Message(108, "LNM", "E", "{userid} {vdev} not linked; volid {volser} not mounted")
LINK_NO_DISK = Message(107, "LNM", "E", "{userid} {vdev} not linked; not in CP directory", _C)
LINK_MODE_CONFLICT = Message(110, "LNM", "E", "{userid} {vdev} not linked; mode conflict with the link by {owner}")
LINK_PASSWORD = Message(114, "LNM", "E", "{userid} {vdev} not linked; mode or password incorrect")
LINK_NO_PASSWORD = Message(118, "LNM", "E", "{userid} {vdev} not linked; request denied")
LINK_MODE_INVALID = Message(109, "LNM", "E", "Invalid mode - {mode}")
NOT_AUTHORIZED = Message(6033, "CMD", "E", "Not authorized to issue {command} for {userid}")
STORAGE_INVALID = Message(94, "LGA", "E", "{userid} not logged on; storage size {storage} cannot be provided")
LOGOFF_PENDING = Message(361, "CQU", "E", "LOGOFF/FORCE pending for user {userid}", _C)
CHPID_INVALID = Message(846, "QPA", "E", "Invalid channel path identifier.", _C)
IPL_DEVICE_MISSING = Message(2042, "VMI", "E", "IPL was not performed; device {vdev} does not exist")
DISABLED_WAIT = Message(450, "GIR", "W", "CP entered; disabled wait PSW {psw}")
SIGNAL_ACCEPTED = Message(2112, "SIG", "I", "The shutdown signal was sent to user {userid}; limit {seconds} seconds")
SIGNAL_DONE = Message(2113, "SIG", "I", "User {userid} has reported that it successfully terminated")
SIGNAL_TIMEOUT = Message(2114, "SIG", "E", "User {userid} did not end within {seconds} seconds and was forced")
SIGNAL_NOT_ENABLED = Message(2115, "SIG", "E", "User {userid} is not enabled to receive a shutdown signal")
LAN_INVALID = Message(2783, "NDL", "E", "LAN ID {name} is not valid")
VSWITCH_MISSING = Message(2788, "SWU", "E", "VSWITCH SYSTEM {name} does not exist")
VSWITCH_NOT_VLAN_AWARE = Message(2846, "SWU", "E", "VSWITCH SYSTEM {name} is VLAN unaware")
NIC_NOT_AUTHORIZED = Message(6011, "NDC", "E", "{userid} is not authorized to couple to SYSTEM {name}")
INVALID_OPERAND = Message(2, "CFC", "E", "Invalid operand - {operand}")
RANGE_INVALID = Message(9, "CFC", "E", "Invalid range - {range}")
CONFLICTING_OPTION = Message(13, "CFC", "E", "Conflicting option - {option}")
RDEV_INVALID = Message(21, "ATR", "E", "A real device number was not supplied or it was invalid.")
DEVICE_OFFLINE = Message(46, "ATR", "E", "{kind} {rdev} offline")
USER_DEVICE_MISSING = Message(47, "CPN", "E", "{userid} device {vdev} does not exist")
DEVICE_TYPE_WRONG = Message(6, "CPN", "E", "Invalid device type - {vdev}")
NOT_RECEIVING = Message(57, "MFC", "E", "{userid} not receiving; {reason}")
CPU_EXISTS = Message(1457, "DFC", "E", "CPU {address} already exists")
CPU_MISSING = Message(1458, "CPU", "E", "CPU {address} does not exist")
CPU_BASE = Message(1459, "CPU", "E", "CPU {address} is the base CPU; it cannot be detached")
CPU_LIMIT = Message(1460, "DFC", "E", "CPU {address} is above the maximum of {limit} CPUs")
STORAGE_LIMIT = Message(94, "DST", "E", "Storage not redefined; size {storage} exceeds the maximum {limit}")
STORAGE_BEYOND = Message(1003, "DST", "E", "Storage not redefined; standby and reserved sizes exceed {limit}")
DEVICE_DEFINED = Message(91, "DEF", "E", "{kind} {vdev} not defined; device already defined")
REAL_ATTACHED = Message(122, "ATR", "E", "{kind} {rdev} already attached to {userid}")
REAL_NOT_ATTACHED = Message(121, "DTR", "E", "{kind} {rdev} not attached to {userid}")
REAL_IN_USE = Message(125, "ATR", "E", "{kind} {rdev} in use by {owner}")
NIC_ALREADY_COUPLED = Message(2797, "NDC", "E", "Adapter {vdev} is already coupled")
NIC_NOT_COUPLED = Message(2798, "NDU", "E", "Adapter {vdev} is not coupled")
ADAPTER_PAIR = Message(2799, "CPL", "E", "{userid} {vdev} is not available for coupling")
LAN_EXISTS = Message(2781, "NDL", "E", "LAN {owner} {name} already exists")
LAN_NOT_YOURS = Message(6012, "NDL", "E", "You are not authorized to change LAN {owner} {name}")
LAN_LINKED = Message(2782, "NDL", "E", "LAN {owner} {name} is a VSWITCH; use the VSWITCH operand")
VSWITCH_EXISTS = Message(2785, "SWU", "E", "VSWITCH SYSTEM {name} already exists")
VLAN_INVALID = Message(2837, "SWU", "E", "VLAN {vlan} is missing or not valid")
PORT_INVALID = Message(2838, "SWU", "E", "Port number {port} is missing or not valid")
PORT_MISSING = Message(2839, "SWU", "E", "Port {port} of VSWITCH SYSTEM {name} is not defined")
PORT_TAKEN = Message(2840, "SWU", "E", "Port {port} of VSWITCH SYSTEM {name} belongs to {userid}")
GRANT_MISSING = Message(2842, "SWU", "E", "{userid} is not on the access list of {owner} {name}")
NOT_PORTBASED = Message(2848, "SWU", "E", "VSWITCH SYSTEM {name} is USERBASED")
PRIVCLASS_INVALID = Message(6614, "SPC", "E", "Privilege classes missing, invalid or not yours to give - {classes}")
PRIVCLASS_DISABLED = Message(6615, "SPC", "E", "SET PRIVCLASS is disabled on this system")
SEGMENT_MISSING = Message(1356, "QNS", "E", "Saved system or segment {name} does not exist")
FLASH_MISSING = Message(337, "NFC", "E", "No FLASHCOPY relationship with device {vdev} exists")
VLAN_PORT_MISSING = Message(3040, "SWU", "E", "VLAN {vlan} of VSWITCH SYSTEM {name} has no port {port}")
SHARE_INVALID = Message(1033, "SHA", "E", "SHARE value missing or invalid - {value}")
CONSOLE_IS_OWN = Message(6704, "CFX", "E", "Missing token or invalid operand; {userid} cannot be its own {role}")
SPOOL_DEVICE_MISSING = Message(40, "CSP", "E", "Device {vdev} does not exist")
COPIES_INVALID = Message(30, "CSP", "E", "Copies missing or invalid - {copies}")
FILENAME_INVALID = Message(29, "CSP", "E", "Filename missing or invalid")
TAG_MISSING = Message(43, "TAG", "E", "Tag text missing for {vdev}")
FLASH_EXTENT = Message(332, "NFC", "E", "Invalid or incompatible extent - {extent}")
FLASH_UNSUPPORTED = Message(333, "NFC", "E", "FLASHCOPY is not supported by device {vdev}")
FLASH_READ_ONLY = Message(335, "NFC", "E", "FLASHCOPY target {vdev} is read-only")
FLASH_OVERLAP = Message(336, "NFC", "E", "FLASHCOPY source and target extents overlap on {vdev}")
NOT_IN_CLUSTER = Message(1943, "RLX", "E", "The system is not a member of an SSI cluster; {userid} cannot be relocated")
NO_RELOCATION = Message(1926, "RLC", "E", "No relocation of {userid} is in progress")
DOMAIN_MISSING = Message(1944, "QRD", "E", "Relocation domain {name} does not exist")
CHPID_IN_USE = Message(847, "CPV", "E", "Channel path {chpid} is the last path to a device in use; it stays online")
SHUTDOWN_PENDING = Message(962, "SHU", "E", "A shutdown of the system is already pending")
COMMAND_ACCEPTED = "Command accepted"

MESSAGES: tuple[Message, ...] = tuple(value for value in list(globals().values()) if isinstance(value, Message))


def find(number: int, module: str = "") -> Message | None:
    """The catalogue's message with this number, preferring the one of `module`."""
    hits = [message for message in MESSAGES if message.number == number]
    hits.sort(key=lambda message: message.module != module.upper())
    return hits[0] if hits else None


def recognise(line: str) -> Recognised | None:
    """Read one line. None when it is not a message at all (an answer line, a blank line, vmcp's own `Error:`)."""
    found = _LINE.match(line.strip())
    if not found:
        return None
    module, digits, severity, text = found[1].upper(), int(found[2]), found[3].upper(), found[4] or ""
    candidates = [m for m in MESSAGES if m.number == digits and m.severity == severity]
    candidates.sort(key=lambda m: m.module != module)
    for message in candidates:
        operands = message.match(text)
        if operands is not None:
            return Recognised(module, digits, severity, text, message, operands)
    return Recognised(module, digits, severity, text, candidates[0] if candidates else None)


def first_error(lines: list[str] | tuple[str, ...]) -> Recognised | None:
    """The first line that is a message of severity E, S or T."""
    for line in lines:
        seen = recognise(line)
        if seen is not None and seen.is_error:
            return seen
    return None
