"""The KEYWORD=value language of Image_Definition_* and Query_All_DM, to and from directory statements.

    MDISK=VDEV=0100 DEVTYPE=3390 DISKTYPE=AUTOG COUNT=100 NAME=POOL1      sub-keywords
    STORAGE_INITIAL=1G                                                     a bare value

Which keywords and sub-keywords there are, their order in an answer, the bare password and the empty keywords at the end
are recorded; sub-keywords of keywords that were never seen with a value (DEDICATE, COMMAND_*, VMRELOCATE) are
judgement. What an entry inherits from its profile is shown with _PROFILE behind the keyword and cannot be set.
"""

from __future__ import annotations

from collections.abc import Callable

from zvmcloud.directory import Entry, Statement, statements
from zvmcloud.directory.devices import Mdisk
from zvmcloud.simulator.errors import Refused
from zvmcloud.simulator.smapi.definition_values import Keyword, Values, bad_input, joined, need, starts
from zvmcloud.simulator.system import System

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
    return joined(VDEV=item.operand(1), DEVTYPE=item.operand(2), CLASS=item.operand(3), USERID=item.operand(4))


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
    return joined(
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
    return joined(VDEV=item.operand(1), LOADPARM=ipl.loadparm, PARM=ipl.parameters) if ipl else ""


def _link(values: Values) -> Statement:
    owner, address = need("LINK", values, "USERID", "VDEV1")
    return statements.make("LINK", owner, address, values.get("VDEV2") or address, values.get("MODE", "RR"))


def _show_link(item: Statement) -> str:
    return joined(
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
    return joined(**common, **place, MODE=disk.mode, **passwords)


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
    return joined(
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
    return joined(
        VDEV=item.operand(1), RDEV=item.operand(2), READONLY="YES" if item.operand(3)[:5] in ("READO", "R/O") else ""
    )


def _spool(values: Values) -> Statement:
    address = _address("SPOOL", values)
    (device,) = need("SPOOL", values, "DEVTYPE")
    return statements.make("SPOOL", address, *device.split("_"), values.get("CLASS", ""))


def _show_spool(item: Statement) -> str:
    words = item.words
    if len(words) > 3 and words[3] in ("READER", "PUNCH"):
        return joined(VDEV=words[1], DEVTYPE=f"{words[2]}_{words[3]}", CLASS=item.operand(4))
    return joined(VDEV=words[1], DEVTYPE=item.operand(2), CLASS=item.operand(3))


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
    return joined(**values, LIMIT=next((word for word in item.words if word in _LIMITS), ""))


# -- commands at logon ------------------------------------------------------------------------------------------------


def _define_cpu(values: Values) -> Statement:
    (address,) = need("COMMAND_DEFINE_CPU", values, "CPUADDR")
    kind = values.get("TYPE", "IFL")
    return statements.make("COMMAND", "DEFINE", "CPU", cpu_address(address), "TYPE", kind)


def _show_define_cpu(item: Statement) -> str:
    return joined(CPUADDR=item.operand(3).rjust(2, "0"), TYPE=item.after("TYPE") or "")


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
        Keyword("COMMAND_DEFINE_CPU", ("CPUADDR", "TYPE"), starts("COMMAND", "DEFINE", "CPU"), _show_define_cpu,
                _define_cpu, "CPUADDR", *_OTHER_CODES),
        Keyword("COMMAND_SET_CPUAFFINITY", (), starts("COMMAND", "SET", "CPUAFFINITY"), _words_from(3),
                _command("SET", "CPUAFFINITY"), "", *_OTHER_CODES),
        Keyword("COMMAND_SET_SHARE", ("RELATIVE", "ABSOLUTE", "LIMIT"), starts("COMMAND", "SET", "SHARE"), _show_share,
                _command_share, "", *_OTHER_CODES),
        Keyword("COMMAND_SET_VCONFIG", ("MODE",), starts("COMMAND", "SET", "VCONFIG"),
                lambda item: joined(MODE=item.after("MODE") or ""), _command_vconfig, "", *_OTHER_CODES),
        Keyword("CONSOLE", ("VDEV", "DEVTYPE", "CLASS", "USERID"), starts("CONSOLE"), _show_console, _console),
        Keyword("CPU", ("CPUADDR", "BASE", "DEDICATE", "CPUID", "CRYPTO"), starts("CPU"), _show_cpu, _cpu, "CPUADDR",
                (520, 28), (520, 30)),
        Keyword("CPU_MAXIMUM", ("COUNT", "TYPE"), starts("MACHINE"),
                lambda item: joined(COUNT=item.operand(2), TYPE=item.operand(1)), _maximum, "", *_OTHER_CODES),
        Keyword("DEDICATE", ("VDEV", "RDEV", "READONLY"), starts("DEDICATE"), _show_dedicate, _dedicate, "VDEV"),
        Keyword("INCLUDE", (), starts("INCLUDE"), _words_from(1), _bare("INCLUDE"), "", *_OTHER_CODES),
        Keyword("IPL", ("VDEV", "LOADPARM", "PARM"), starts("IPL"), _show_ipl, _ipl, "", (404, 4), (460, 4), "PARM"),
        Keyword("LINK", ("USERID", "VDEV1", "VDEV2", "MODE"), starts("LINK"), _show_link, _link, "VDEV2", *_DISK_CODES),
        Keyword("MDISK", ("VDEV", "DEVTYPE", "DISKTYPE", "START", "COUNT", "VOLID", "NAME", "MODE", "READPASSWORD",
                          "WRITEPASSWORD", "MULTIPASSWORD"), starts("MDISK"), _show_mdisk,
                lambda values: mdisk(values).statement(), "VDEV", *_DISK_CODES),
        Keyword("NICDEF", ("VDEV", "TYPE", "LAN", "SWITCHNAME", "DEVICES", "MACID", "CHPID", "VLAN", "PORTTYPE"),
                starts("NICDEF"), _show_nicdef, _nicdef, "VDEV"),
        Keyword("OPTION", (), starts("OPTION"), _words_from(1), _bare("OPTION"), "", *_OTHER_CODES),
        Keyword("SHARE", ("RELATIVE", "ABSOLUTE", "LIMIT"), starts("SHARE"), _show_share, _share, "", *_OTHER_CODES),
        Keyword("SPOOL", ("VDEV", "DEVTYPE", "CLASS"), starts("SPOOL"), _show_spool, _spool, "VDEV"),
        Keyword("VMRELOCATE", (), starts("VMRELOCATE"), _words_from(1), _bare("VMRELOCATE"), "", *_OTHER_CODES),
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
