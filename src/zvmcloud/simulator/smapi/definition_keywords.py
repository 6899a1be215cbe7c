"""The KEYWORD=value language of Image_Definition_* and Query_All_DM, to and from directory statements.

    MDISK=VDEV=0100 DEVTYPE=3390 DISKTYPE=AUTOG COUNT=100 NAME=POOL1      sub-keywords
    STORAGE_INITIAL=1G                                                     a bare value

Which keywords and sub-keywords there are, their order in an answer, the bare password and the empty keywords at the end
are recorded; sub-keywords of keywords that were never seen with a value (DEDICATE, COMMAND_*, VMRELOCATE) are
judgement. What an entry inherits from its profile is shown with _PROFILE behind the keyword and cannot be set.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from zvmcloud.directory import Entry, Statement, statements
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.system import System

UNKNOWN = (8, 3002)
BAD_INPUT = (8, 3032)
Values = Mapping[str, str]


def unknown(text: str) -> Refused:
    return Refused(*UNKNOWN, (f"UNKNOWN_DIRECTORY_KEYWORD_PARAMETER={text}",))


def bad_input(keyword: str, problem: str) -> Refused:
    return Refused(*BAD_INPUT, (f"{keyword}: {problem}",))


@dataclass(frozen=True, slots=True)
class Keyword:
    """One keyword that stands for statements of an entry."""

    name: str
    subkeys: tuple[str, ...]
    """Known sub-keywords; none for a bare value."""
    is_it: Callable[[Statement], bool]
    show: Callable[[Statement], str]
    make: Callable[[Values], Statement]
    key: str = ""
    """The sub-keyword that tells statements apart; empty when an entry has one."""
    exists: tuple[int, int] = (404, 4)
    missing: tuple[int, int] = (404, 8)
    rest: str = ""
    """The sub-keyword that takes everything behind it."""

    def parse(self, text: str) -> dict[str, str]:
        """The sub-keywords of a value; the bare value is under the empty name. Refused 8/3002 for an unknown one."""
        if not self.subkeys:
            return {"": " ".join(statements.upper(text).split())}
        values: dict[str, str] = {}
        words = text.split()
        for number, word in enumerate(words):
            name, equals, value = word.partition("=")
            name = name.upper()
            if not equals or name not in (*self.subkeys, "OPERATION"):
                raise unknown(name)
            if name == self.rest:
                values[name] = statements.upper(" ".join([value, *words[number + 1 :]]))
                break
            values[name] = value.upper()
        return values

    def identity(self, values: Values) -> str:
        """What tells the statement apart that the values are about; empty when they do not say."""
        value = values.get(self.key, "")
        if self.key == "CPUADDR":
            return value.rjust(2, "0") if value else ""
        return (statements.vdev(value) or value) if self.key else ""

    def says(self, item: Statement, values: Values) -> bool:
        """Whether a statement has every sub-keyword of the values, addresses in any length."""
        if not self.subkeys:
            return values.get("", "") in ("", self.show(item))
        shown = dict(_pairs(self.show(item)))
        return all(
            value == shown.get(name)
            or (name.startswith(("VDEV", "RDEV")) and statements.vdev(value) == statements.vdev(shown.get(name, "")))
            or (name == "CPUADDR" and value.rjust(2, "0") == shown.get(name))
            or name == self.rest
            for name, value in values.items()
            if name and value
        )

    def found(self, entry: Entry, identity: str = "") -> list[Statement]:
        """The entry's statements of this keyword, or the one with that identity."""
        items = [item for item in entry.statements if self.is_it(item)]
        if not identity:
            return items
        return [item for item in items if self.identity(dict(_pairs(self.show(item)))) == identity]


def _pairs(text: str) -> Iterator[tuple[str, str]]:
    for word in text.split():
        name, equals, value = word.partition("=")
        if equals:
            yield name, value


def need(keyword: str, values: Values, *names: str) -> list[str]:
    """Values that must be there. Refused 8/3032."""
    for name in names:
        if not values.get(name):
            raise bad_input(keyword, f"{name} is missing")
    return [values[name] for name in names]


def _joined(**parts: str) -> str:
    return " ".join(f"{name}={value}" for name, value in parts.items() if value)


def _is(*words: str) -> Callable[[Statement], bool]:
    def is_it(item: Statement) -> bool:
        return item.words[: len(words)] == words or (
            words[0] == "COMMAND"
            and item.keyword == "COMMAND"
            and len(item.words) > len(words) - 1
            and all(long.startswith(word) for word, long in zip(item.words[1:], words[1:], strict=False))
            and len(item.words[1]) >= 3
        )

    return is_it


# -- single statements ------------------------------------------------------------------------------------------------


def _address(keyword: str, values: Values, name: str = "VDEV") -> str:
    (text,) = need(keyword, values, name)
    found = statements.vdev(text)
    if found is None:
        raise bad_input(keyword, f"{name} {text!r} is not a device number")
    return found


def _console(values: Values) -> Statement:
    address = _address("CONSOLE", values)
    return statements.make(
        "CONSOLE", address, values.get("DEVTYPE", "3215"), values.get("CLASS", ""), values.get("USERID", "")
    )


def _show_console(item: Statement) -> str:
    return _joined(VDEV=item.operand(1), DEVTYPE=item.operand(2), CLASS=item.operand(3), USERID=item.operand(4))


def _cpu(values: Values) -> Statement:
    (address,) = need("CPU", values, "CPUADDR")
    dedicate = {"YES": "DEDICATE", "NO": "NODEDICATE"}.get(values.get("DEDICATE", ""), "")
    cpuid = ("CPUID", values["CPUID"]) if values.get("CPUID") else ()
    crypto = "CRYPTO" if values.get("CRYPTO") == "YES" else ""
    base = "BASE" if values.get("BASE") == "YES" else ""
    return statements.make("CPU", cpu_address(address), base, *cpuid, dedicate, crypto)


def cpu_address(text: str) -> str:
    """A virtual CPU address as two digits. Refused 520/28 when it is none."""
    if statements.vdev(text) is None or int(text, 16) > 63:
        raise Refused(520, 28)
    return text.upper().rjust(2, "0")


def _show_cpu(item: Statement) -> str:
    return _joined(
        CPUADDR=item.operand(1).rjust(2, "0"),
        BASE="YES" if "BASE" in item.words else "",
        DEDICATE="YES" if "DEDICATE" in item.words else "NO",
        CPUID=item.after("CPUID") or "",
        CRYPTO="YES" if "CRYPTO" in item.words else "",
    )


def _maximum(values: Values) -> Statement:
    return statements.make("MACHINE", values.get("TYPE", "ESA"), values.get("COUNT", ""))


def _ipl(values: Values) -> Statement:
    words = [*need("IPL", values, "VDEV")]
    if values.get("LOADPARM"):
        words += ["LOADPARM", values["LOADPARM"]]
    if values.get("PARM"):
        words += ["PARM", *values["PARM"].split()]
    return statements.make("IPL", *words)


def _show_ipl(item: Statement) -> str:
    ipl = Entry((item,)).ipl
    return _joined(VDEV=item.operand(1), LOADPARM=ipl.loadparm, PARM=ipl.parameters) if ipl else ""


def _link(values: Values) -> Statement:
    owner, address = need("LINK", values, "USERID", "VDEV1")
    return statements.make("LINK", owner, address, values.get("VDEV2") or address, values.get("MODE", "RR"))


def _show_link(item: Statement) -> str:
    return _joined(
        USERID=item.operand(1),
        VDEV1=item.operand(2),
        VDEV2=item.operand(3) or item.operand(2),
        MODE=item.operand(4),
    )


def mdisk(values: Values) -> Mdisk:
    """The minidisk that MDISK= asks for. The mode is W when none is given (recorded)."""
    address = _address("MDISK", values)
    device, kind, count = need("MDISK", values, "DEVTYPE", "DISKTYPE", "COUNT")
    if not count.isdecimal() or not int(count):
        raise bad_input("MDISK", f"COUNT {count!r} is not a number above 0")
    mode = values.get("MODE", "W")
    names = ("READPASSWORD", "WRITEPASSWORD", "MULTIPASSWORD")
    passwords = tuple(values[name] for name in names if values.get(name))
    if kind in ("V-DISK", "T-DISK"):
        return Mdisk(address, device, kind, None, int(count), "", mode, passwords)
    if kind == "PERM":
        start, volser = need("MDISK", values, "START", "VOLID")
        if not start.isdecimal():
            raise bad_input("MDISK", f"START {start!r} is not a number")
        return Mdisk(address, device, "PERM", int(start), int(count), volser, mode, passwords)
    if kind in ("AUTOG", "AUTOR", "AUTOV"):
        area = values.get("NAME") or values.get("VOLID") or ""
        if not area:
            raise bad_input("MDISK", "NAME is missing")
        return Mdisk(address, device, kind, None, int(count), area, mode, passwords)
    raise bad_input("MDISK", f"DISKTYPE {kind!r} is not one of PERM, AUTOG, AUTOR, AUTOV, T-DISK, V-DISK")


def _show_mdisk(item: Statement) -> str:
    disk = Mdisk.of(item)
    words = item.words
    passwords = dict(zip(("READPASSWORD", "WRITEPASSWORD", "MULTIPASSWORD"), disk.passwords, strict=False))
    common = {"VDEV": disk.vdev, "DEVTYPE": disk.device_type, "DISKTYPE": disk.placement}
    if disk.placement == "PERM":
        place = {"START": words[3], "COUNT": words[4], "VOLID": disk.volser}
    elif disk.placement == "DEVNO":
        place = {"RDEV": disk.volser}
    elif disk.placement in ("T-DISK", "V-DISK"):
        place = {"COUNT": words[4]}
    else:
        place = {"COUNT": words[4], "NAME": disk.volser}
    return _joined(**common, **place, MODE=disk.mode, **passwords)


def _nicdef(values: Values) -> Statement:
    words: list[str] = ["NICDEF", _address("NICDEF", values), "TYPE", values.get("TYPE", "QDIO")]
    if values.get("SWITCHNAME"):
        words += ["LAN", values.get("LAN", "SYSTEM"), values["SWITCHNAME"]]
    for name in ("DEVICES", "MACID", "CHPID", "VLAN", "PORTTYPE"):
        if values.get(name):
            words += [name, values[name]]
    return statements.make(*words)


def _show_nicdef(item: Statement) -> str:
    lan = item.words.index("LAN") if "LAN" in item.words else len(item.words)
    parts = {name: item.after(name) or "" for name in ("DEVICES", "MACID", "CHPID", "VLAN", "PORTTYPE")}
    if parts["DEVICES"] == "3":
        # The usual number is not shown (recorded: VDEV, TYPE, LAN and SWITCHNAME alone).
        del parts["DEVICES"]
    return _joined(
        VDEV=item.operand(1),
        TYPE=item.after("TYPE") or "",
        LAN=item.operand(lan + 1),
        SWITCHNAME=item.operand(lan + 2),
        **parts,
    )


def _dedicate(values: Values) -> Statement:
    address = _address("DEDICATE", values)
    (rdev,) = need("DEDICATE", values, "RDEV")
    return statements.make("DEDICATE", address, rdev, "READONLY" if values.get("READONLY") == "YES" else "")


def _show_dedicate(item: Statement) -> str:
    return _joined(
        VDEV=item.operand(1), RDEV=item.operand(2), READONLY="YES" if item.operand(3)[:5] in ("READO", "R/O") else ""
    )


def _spool(values: Values) -> Statement:
    address = _address("SPOOL", values)
    (device,) = need("SPOOL", values, "DEVTYPE")
    return statements.make("SPOOL", address, *device.split("_"), values.get("CLASS", ""))


def _show_spool(item: Statement) -> str:
    words = item.words
    if len(words) > 3 and words[3] in ("READER", "PUNCH"):
        return _joined(VDEV=words[1], DEVTYPE=f"{words[2]}_{words[3]}", CLASS=item.operand(4))
    return _joined(VDEV=words[1], DEVTYPE=item.operand(2), CLASS=item.operand(3))


_SHARES = ("RELATIVE", "ABSOLUTE")
_LIMITS = ("NOLIMIT", "LIMITSOFT", "LIMITHARD")


def _share_words(keyword: str, values: Values) -> list[str]:
    kind = next((name for name in _SHARES if values.get(name)), "")
    if not kind:
        raise bad_input(keyword, "RELATIVE or ABSOLUTE is missing")
    limit = values.get("LIMIT", "")
    if limit and limit not in _LIMITS:
        raise bad_input(keyword, f"LIMIT {limit!r} is not one of {', '.join(_LIMITS)}")
    return [kind, values[kind], limit]


def _share(values: Values) -> Statement:
    return statements.make("SHARE", *_share_words("SHARE", values))


def _show_share(item: Statement) -> str:
    values = {name: item.after(name) or "" for name in _SHARES}
    return _joined(**values, LIMIT=next((word for word in item.words if word in _LIMITS), ""))


# -- commands at logon ------------------------------------------------------------------------------------------------


def _define_cpu(values: Values) -> Statement:
    (address,) = need("COMMAND_DEFINE_CPU", values, "CPUADDR")
    kind = values.get("TYPE", "IFL")
    return statements.make("COMMAND", "DEFINE", "CPU", cpu_address(address), "TYPE", kind)


def _show_define_cpu(item: Statement) -> str:
    return _joined(CPUADDR=item.operand(3).rjust(2, "0"), TYPE=item.after("TYPE") or "")


def _command(*words: str) -> Callable[[Values], Statement]:
    def make(values: Values) -> Statement:
        if not values.get(""):
            raise bad_input("_".join(("COMMAND", *words)), "the value is missing")
        return statements.make("COMMAND", *words, *values[""].split())

    return make


def _command_share(values: Values) -> Statement:
    return statements.make("COMMAND", "SET", "SHARE", "*", *_share_words("COMMAND_SET_SHARE", values))


def _command_vconfig(values: Values) -> Statement:
    (mode,) = need("COMMAND_SET_VCONFIG", values, "MODE")
    return statements.make("COMMAND", "SET", "VCONFIG", "MODE", mode)


def _words_from(number: int) -> Callable[[Statement], str]:
    return lambda item: " ".join(item.words[number:])


def _bare(keyword: str) -> Callable[[Values], Statement]:
    def make(values: Values) -> Statement:
        if not values.get(""):
            raise bad_input(keyword, "the value is missing")
        return statements.make(keyword, *values[""].split())

    return make


_DISK_CODES = ((408, 4), (408, 8))
_OTHER_CODES = ((404, 4), (8, 4))

STATEMENTS: dict[str, Keyword] = {
    item.name: item
    for item in (
        Keyword("COMMAND_DEFINE_CPU", ("CPUADDR", "TYPE"), _is("COMMAND", "DEFINE", "CPU"), _show_define_cpu,
                _define_cpu, "CPUADDR", *_OTHER_CODES),
        Keyword("COMMAND_SET_CPUAFFINITY", (), _is("COMMAND", "SET", "CPUAFFINITY"), _words_from(3),
                _command("SET", "CPUAFFINITY"), "", *_OTHER_CODES),
        Keyword("COMMAND_SET_SHARE", ("RELATIVE", "ABSOLUTE", "LIMIT"), _is("COMMAND", "SET", "SHARE"), _show_share,
                _command_share, "", *_OTHER_CODES),
        Keyword("COMMAND_SET_VCONFIG", ("MODE",), _is("COMMAND", "SET", "VCONFIG"),
                lambda item: _joined(MODE=item.after("MODE") or ""), _command_vconfig, "", *_OTHER_CODES),
        Keyword("CONSOLE", ("VDEV", "DEVTYPE", "CLASS", "USERID"), _is("CONSOLE"), _show_console, _console),
        Keyword("CPU", ("CPUADDR", "BASE", "DEDICATE", "CPUID", "CRYPTO"), _is("CPU"), _show_cpu, _cpu, "CPUADDR",
                (520, 28), (520, 30)),
        Keyword("CPU_MAXIMUM", ("COUNT", "TYPE"), _is("MACHINE"),
                lambda item: _joined(COUNT=item.operand(2), TYPE=item.operand(1)), _maximum, "", *_OTHER_CODES),
        Keyword("DEDICATE", ("VDEV", "RDEV", "READONLY"), _is("DEDICATE"), _show_dedicate, _dedicate, "VDEV"),
        Keyword("INCLUDE", (), _is("INCLUDE"), _words_from(1), _bare("INCLUDE"), "", *_OTHER_CODES),
        Keyword("IPL", ("VDEV", "LOADPARM", "PARM"), _is("IPL"), _show_ipl, _ipl, "", (404, 4), (460, 4), "PARM"),
        Keyword("LINK", ("USERID", "VDEV1", "VDEV2", "MODE"), _is("LINK"), _show_link, _link, "VDEV2", *_DISK_CODES),
        Keyword("MDISK", ("VDEV", "DEVTYPE", "DISKTYPE", "START", "COUNT", "VOLID", "NAME", "MODE", "READPASSWORD",
                          "WRITEPASSWORD", "MULTIPASSWORD"), _is("MDISK"), _show_mdisk,
                lambda values: mdisk(values).statement(), "VDEV", *_DISK_CODES),
        Keyword("NICDEF", ("VDEV", "TYPE", "LAN", "SWITCHNAME", "DEVICES", "MACID", "CHPID", "VLAN", "PORTTYPE"),
                _is("NICDEF"), _show_nicdef, _nicdef, "VDEV"),
        Keyword("OPTION", (), _is("OPTION"), _words_from(1), _bare("OPTION"), "", *_OTHER_CODES),
        Keyword("SHARE", ("RELATIVE", "ABSOLUTE", "LIMIT"), _is("SHARE"), _show_share, _share, "", *_OTHER_CODES),
        Keyword("SPOOL", ("VDEV", "DEVTYPE", "CLASS"), _is("SPOOL"), _show_spool, _spool, "VDEV"),
        Keyword("VMRELOCATE", (), _is("VMRELOCATE"), _words_from(1), _bare("VMRELOCATE"), "", *_OTHER_CODES),
    )
}  # fmt: skip

#: Words of the USER statement by their keywords.
OPERANDS = {"PASSWORD": 2, "STORAGE_INITIAL": 3, "STORAGE_MAXIMUM": 4, "PRIVILEGE_CLASSES": 5}
KEYWORDS = tuple(sorted((*STATEMENTS, *OPERANDS)))
_INHERITED = ("CONSOLE", "CPU", "CPU_MAXIMUM", "IPL", "LINK", "NICDEF", "SPOOL")
_PROFILE = "_PROFILE"


def describe(system: System, entry: Entry, wanted: tuple[str, ...] = ()) -> tuple[str, ...]:
    """An entry in keywords: those it has, those of its profile, then the others with nothing behind the sign."""
    present: list[str] = []
    absent: list[str] = []
    inherited = _profile(system, entry)
    for name in wanted or KEYWORDS:
        lines = _lines(entry, name)
        present += lines
        if not lines and not (name in OPERANDS and entry.kind == "PROFILE"):
            absent.append(f"{name}=")
    if inherited is not None and not wanted:
        for name in _INHERITED:
            present += [f"{name}{_PROFILE}={STATEMENTS[name].show(item)}" for item in STATEMENTS[name].found(inherited)]
    return (*present, *absent)


def _profile(system: System, entry: Entry) -> Entry | None:
    if not entry.includes:
        return None
    found = system.entries.get(entry.includes[0])
    return found.entry if found else None


def _lines(entry: Entry, name: str) -> list[str]:
    if name == "PASSWORD":
        # Recorded: the password is a bare word.
        return [entry.password] if entry.password else []
    if name in OPERANDS:
        value = entry.statements[0].operand(OPERANDS[name]) if entry.is_machine else ""
        return [f"{name}={value}"] if value else []
    keyword = STATEMENTS[name]
    return [f"{name}={keyword.show(item)}" for item in keyword.found(entry)]
