"""The steps of a check, from the first contact with SMAPI to the agent's own clock."""

from __future__ import annotations

import calendar
import ipaddress
import os
import re
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from zvmcloud.cp import commands
from zvmcloud.directory.entry import Entry
from zvmcloud.directory.statements import DirectoryError
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.zhcp import pools
from zvmcloud.zhcp.check import authlist, rights
from zvmcloud.zhcp.check.authlist import Authorizations
from zvmcloud.zhcp.check.findings import Finding, Mend, Report, State, count
from zvmcloud.zhcp.errors import AgentError, Call, Problem
from zvmcloud.zhcp.machine import Identity, Machine
from zvmcloud.zhcp.settings import Settings
from zvmcloud.zhcp.smapi_port import SmapiPort

_OPERATOR = "MAINT"
_MOST_SECONDS = 30
_CLASSES = re.compile(r"Currently:\s*([A-Z1-6]+)")
_TIME = re.compile(r"TIME IS (\d\d):(\d\d):(\d\d) \S+ \S+ (\d\d)/(\d\d)/(\d\d)")
_ZONE = re.compile(r"\S+\s+(EAST|WEST|-+)\s+(\d\d)\.(\d\d)\.(\d\d)\s+ACTIVE", re.IGNORECASE)
_TOOLS = ("vmur", "dasdfmt", "multipath")
_NOTHING = ((4, 28), (420, 8), (420, 12))


class Check:
    """One run over the seams of an agent."""

    def __init__(
        self,
        settings: Settings,
        port: SmapiPort,
        machine: Machine,
        *,
        site: dict[str, str] | None = None,
        clock: Callable[[], float] = time.time,
        tool: Callable[[str], str | None] = shutil.which,
    ) -> None:
        """`site`: the properties of DMSSICNF COPY, if the settings name one; `tool` finds programs."""
        self._settings, self._port, self._machine = settings, port, machine
        self._site, self._clock, self._tool = site or {}, clock, tool
        self._findings: list[Finding] = []
        self._me = Identity(settings.machine_login[0], "")
        self._rights: Authorizations | None = None
        self._entry: Entry | None = None
        self._classes = ""

    async def run(self) -> Report:
        """All steps. Nothing is raised for what z/VM refuses."""
        machine = await self._reach_machine()
        if await self._contact():
            await self._authlist()
            await self._level()
            await self._directory()
            await self._pools()
            await self._fcps()
        else:
            self._skip("authlist", "level", "directory", "pools", "fcp", why="needs SMAPI and its credentials")
        if machine:
            await self._privileges()
            self._links()
            await self._unit_record("reader", "000C", rights.READER)
            await self._unit_record("punch", "000D", rights.PUNCH)
            self._iucv()
            await self._time()
        else:
            self._skip("classes", "links", "reader", "punch", "time", why="needs the virtual machine")
        self._tls()
        self._folders()
        self._programs()
        return Report(tuple(self._findings))

    def _say(self, step: str, state: State, detail: str, *mends: Mend) -> None:
        self._findings.append(Finding(step, state, detail, mends))

    def _skip(self, *steps: str, why: str) -> None:
        for step in steps:
            self._say(step, State.SKIPPED, why)

    def _needs(self, step: str, function: str) -> bool:
        """Whether the function may be called, as far as is known; says that the step is skipped otherwise."""
        if self._rights is not None and not self._rights.allows(function):
            self._skip(step, why=f"needs {function}")
            return False
        return True

    def _refused(self, step: str, problem: Problem, *mends: Mend) -> None:
        """A call that was refused: for want of a right, which the step `authlist` names, or for another reason."""
        if problem.code == "not-authorized" and self._rights is None:
            self._skip(step, why="needs a right that the step authlist could not look at")
        else:
            self._say(step, State.FAILED, problem.detail, *mends)

    # -- contact

    async def _reach_machine(self) -> bool:
        try:
            self._me = await self._machine.identity()
        except AgentError as error:
            login = Mend("settings", "[machine]", f'password = "<password of {self._me.userid} in the directory>"')
            modules = Mend("linux", "root", "modprobe vmcp")
            on = self._settings.machine.kind == "linux"
            unreachable = error.problem.code == "machine-unreachable"
            there = Mend("settings", "[machine]", 'host = "<where the machine port is>"')
            mend = modules if on else there if unreachable else login
            self._say("machine", State.FAILED, error.problem.detail, mend)
            return False
        self._say("machine", State.OK, f"{self._me.userid} on {self._me.system}")
        return True

    async def _contact(self) -> bool:
        """Whether the request server answers, and knows us. Check_Authentication needs no authorization."""
        smapi = self._settings.smapi
        where = f"{smapi.server} (IUCV)" if smapi.transport == "iucv" else f"{smapi.host}:{smapi.port}"
        refused: Problem | None = None
        try:
            await self._port.call(f.CheckAuthentication(target=self._me.userid), _ignore)
        except AgentError as error:
            refused = error.problem
            if refused.smapi is None:
                start = Mend("cp", _OPERATOR, "XAUTOLOG VSMWORK1")
                address = Mend("settings", "[smapi]", 'host = "<address of the request server>"')
                self._say("reach", State.FAILED, refused.detail, start, address)
                self._skip("credentials", why="needs SMAPI")
                return False
        self._say("reach", State.OK, f"the request server at {where} answers")
        if refused is not None:
            line = f'password = "<password of {smapi.userid} in the directory>"'
            self._say("credentials", State.FAILED, refused.detail, Mend("settings", "[smapi]", line))
            return False
        who = "IUCV names the caller" if smapi.transport == "iucv" else f"{smapi.userid} and its password are accepted"
        self._say("credentials", State.OK, who)
        return True

    # -- SMAPI

    async def _authlist(self) -> None:
        caller = self._me.userid if self._settings.smapi.transport == "iucv" else self._settings.smapi.userid
        if self._site.get("authorization_policy", "").lower().endswith("esmonly"):
            self._say("authlist", State.WARNING, "DMSSICNF COPY leaves authorization to the security manager alone")
            return
        try:
            self._rights = await authlist.read(self._port, caller)
        except AgentError as error:
            name = "Authorization_List_Query"
            detail = f"{caller} may not call {name}: {error.problem.detail}"
            self._say("authlist", State.FAILED, detail, _record(caller, name))
            return
        needed = rights.function_names()
        missing = [name for name in needed if not self._rights.allows(name)]
        for name in missing:
            detail = f"{caller} may not call {name} for every userid ({needed[name]})"
            self._say("authlist", State.FAILED, detail, _record(caller, name))
        if not missing:
            self._say("authlist", State.OK, f"{caller} may call every function that the agent uses")

    async def _level(self) -> None:
        if not self._needs("level", "Query_API_Functional_Level"):
            return
        try:
            answer = await self._port.call(f.QueryAPIFunctionalLevel(target=self._me.userid), _ignore)
        except AgentError as error:
            self._refused("level", error.problem)
            return
        late = [name for name in rights.function_names() if REGISTRY[name].level > answer.rs]
        if late:
            self._say(
                "level", State.FAILED, f"level {answer.rs} does not have {', '.join(late)}: a newer z/VM is needed"
            )
        else:
            self._say("level", State.OK, f"functional level {answer.rs}")

    async def _directory(self) -> None:
        if not self._needs("directory", "Image_Query_DM"):
            return
        try:
            answer = await self._port.call(f.ImageQueryDM(target=self._me.userid), _ignore)
            self._entry = Entry.parse([line.rstrip() for line in answer.reply.image_record_array])
        except AgentError as error:
            self._refused("directory", error.problem, Mend("cp", _OPERATOR, "XAUTOLOG DIRMAINT"))
        except DirectoryError as error:
            self._say("directory", State.FAILED, f"the entry of {self._me.userid} cannot be read: {error}")
        else:
            self._say("directory", State.OK, f"the directory manager shows the entry of {self._me.userid}")

    async def _pools(self) -> None:
        if not self._needs("pools", "Image_Volume_Space_Query_DM"):
            return
        try:
            names: set[str] = set()
            for kind, parse in ((2, pools.parse_free), (3, pools.parse_used)):
                request = f.ImageVolumeSpaceQueryDM(target=_OPERATOR, query_type=kind, entry_type=3, entry_names="*")
                answer = await self._port.call(request, _ignore, allow=_NOTHING)
                if answer.rc == 0 and answer.data is not None:
                    names |= {extent.pool for extent in parse(answer.data.record_array)} - {"*"}
        except AgentError as error:
            self._refused("pools", error.problem)
            return
        wanted = set(self._settings.storage.pools)
        if not names:
            dirmaint = Mend("directory", "EXTENT", ":GROUPS. POOL1 <region> <region>")
            self._say("pools", State.FAILED, "the directory manager has no group of volumes", dirmaint)
        elif wanted - names:
            line = f"pools = [{', '.join(repr(name) for name in sorted(wanted & names) or sorted(names))}]"
            mend = Mend("settings", "[storage]", line.replace("'", '"'))
            self._say("pools", State.FAILED, f"z/VM has no pool {', '.join(sorted(wanted - names))}", mend)
        else:
            self._say("pools", State.OK, ", ".join(sorted(wanted or names)))

    async def _fcps(self) -> None:
        if not self._needs("fcp", "System_WWPN_Query"):
            return
        try:
            query = f.SystemWWPNQuery(target=self._me.userid, owner="YES")
            answer = await self._port.call(query, _ignore, allow=_NOTHING)
        except AgentError as error:
            self._refused("fcp", error.problem)
            return
        rows = [row.split() for row in answer.data.wwpn_array] if answer.rc == 0 and answer.data is not None else []
        rows = [row for row in rows if len(row) >= 5]
        chpids = sorted({row[2] for row in rows})
        if not rows:
            self._say("fcp", State.WARNING, "no FCP devices: guests cannot have SCSI volumes")
        elif len(chpids) == 1:
            self._say("fcp", State.WARNING, f"all FCP devices are on channel path {chpids[0]}: no second path")
        else:
            self._say("fcp", State.OK, f"{count(rows, 'device')} on channel paths {', '.join(chpids)}")

    # -- the virtual machine

    async def _privileges(self) -> None:
        answer = await self._machine.cp("QUERY PRIVCLASS")
        found = _CLASSES.search(" ".join(answer.lines))
        if found is None:
            self._say("classes", State.FAILED, f"CP does not tell our privilege classes: {' / '.join(answer.lines)}")
            return
        self._classes = found[1]
        missing = rights.missing_classes(self._classes)
        for letter, right in missing.items():
            detail = f"class {letter} is missing, for {right.command} ({right.why})"
            self._say("classes", State.FAILED, detail, *self._classes_mend(sorted(set(self._classes) | set(missing))))
        if not missing:
            self._say("classes", State.OK, self._classes)
        for right in rights.COMMANDS.values():
            if not right.required and not set(right.classes) & set(self._classes):
                line = f"without class {right.classes[0]} there is no {right.command} ({right.why})"
                self._say("classes", State.WARNING, line)

    def _classes_mend(self, wanted: Sequence[str]) -> tuple[Mend, ...]:
        if self._entry is not None and set(wanted) <= set(self._entry.privilege_classes):
            return self._logon()
        letters = "".join(wanted)
        if self._entry is not None and self._entry.first("CLASS") is not None:
            line = f"CLASS {letters}"
        else:
            kind = self._entry.statements[0].keyword if self._entry is not None else "USER"
            line = f"{kind} {self._me.userid} = = = {letters}"
        return (Mend("directory", self._me.userid, line), *self._logon())

    def _logon(self) -> tuple[Mend, ...]:
        """An entry counts from the next logon on. It ends the agent's Linux: shut that down first."""
        return (
            Mend("cp", _OPERATOR, f"FORCE {self._me.userid}"),
            Mend("cp", _OPERATOR, f"XAUTOLOG {self._me.userid}"),
        )

    def _statement(self, step: str, wanted: str, without: str) -> None:
        """Whether the entry has a statement (an OPTION: with these operands among others)."""
        if self._entry is None:
            self._skip(step, why="needs the directory entry")
            return
        words = wanted.split()
        has = any(set(words[1:]) <= set(item.words) for item in self._entry.every(words[0]))
        if has:
            self._say(step, State.OK, f"the entry has {wanted}")
        else:
            self._say(step, State.FAILED, without, Mend("directory", self._me.userid, wanted), *self._logon())

    def _links(self) -> None:
        self._statement("links", rights.LINK_OPTION, "disks of guests cannot be linked without their passwords")

    def _iucv(self) -> None:
        if self._settings.machine.kind == "linux":
            self._statement("iucv", rights.IUCV_STATEMENT, "agents in guests and VSMREQIU cannot be connected to")

    async def _unit_record(self, step: str, vdev: str, statement: str) -> None:
        if "G" not in self._classes:
            self._skip(step, why="needs class G")
            return
        answer = await self._machine.cp(commands.query_virtual(vdev))
        if answer.rc == 0:
            self._say(step, State.OK, " ".join(answer.lines[0].split()) if answer.lines else vdev)
            return
        known = self._entry is not None and any(
            vdev.lstrip("0") in (word.lstrip("0") for word in item.words[1:2]) for item in self._entry.every("SPOOL")
        )
        mends = self._logon() if known else (Mend("directory", self._me.userid, statement), *self._logon())
        self._say(step, State.FAILED, f"there is no device {vdev}: {' / '.join(answer.lines)}", *mends)

    async def _time(self) -> None:
        answer = await self._machine.cp("QUERY TIME")
        zones = await self._machine.cp("QUERY TIMEZONES")
        said, zone = _TIME.search(" ".join(answer.lines)), _ZONE.search("\n".join(zones.lines))
        if said is None or zone is None:
            self._say("time", State.WARNING, "CP does not tell the time in a form that is known")
            return
        hours, minutes, seconds, month, day, year = (int(text) for text in said.groups())
        there = time.strptime(f"20{year:02} {month} {day} {hours} {minutes} {seconds}", "%Y %m %d %H %M %S")
        offset = int(zone[2]) * 3600 + int(zone[3]) * 60 + int(zone[4])
        utc = calendar.timegm(there) - (offset if zone[1].upper() == "EAST" else -offset)
        apart = round(self._clock() - utc)
        if abs(apart) > _MOST_SECONDS:
            which = "ahead of" if apart > 0 else "behind"
            mend = Mend("linux", "root", "chronyc makestep")
            self._say("time", State.FAILED, f"this clock is {abs(apart)} seconds {which} that of z/VM", mend)
        else:
            self._say("time", State.OK, f"this clock and that of z/VM are at most {_MOST_SECONDS} seconds apart")

    # -- the agent's Linux

    def _tls(self) -> None:
        smapi, listen = self._settings.smapi, self._settings.listen
        open_ends: list[tuple[str, tuple[tuple[str, str], ...]]] = []
        if smapi.transport == "tcp" and not smapi.tls and not _is_here(smapi.host):
            open_ends.append((f"SMAPI's passwords go to {smapi.host} in the clear", (("[smapi]", "tls = true"),)))
        if smapi.tls and not smapi.verify:
            text = f"the certificate of {smapi.host} is not verified"
            open_ends.append((text, (("[smapi]", "verify = true"), ("[smapi]", 'ca = "<file with the issuer>"'))))
        if not listen.unix and not _is_here(listen.host) and not listen.client_ca:
            files = ("certificate", "key", "client_ca")
            lines = tuple(("[listen]", f'{name} = "<file>"') for name in files if not getattr(listen, name))
            open_ends.append((f"whoever reaches {listen.host}:{listen.port} commands the agent", lines))
        for detail, lines in open_ends:
            self._say("tls", State.FAILED, detail, *(Mend("settings", where, line) for where, line in lines))
        if not open_ends:
            self._say("tls", State.OK, "nothing crosses a network without TLS and certificates")

    def _folders(self) -> None:
        wanted = [(self._settings.state, os.W_OK), *((folder, os.R_OK) for folder in self._settings.image_folders)]
        bad = [
            folder
            for folder, access in wanted
            if not os.access(folder if folder.exists() or access == os.R_OK else _above(folder), access)
        ]
        for folder in bad:
            mend = Mend("linux", "root", f"mkdir -p {folder}")
            self._say("folders", State.FAILED, f"{folder} is missing or closed to this user", mend)
        if not bad:
            self._say("folders", State.OK, ", ".join(str(folder) for folder, _ in wanted))

    def _programs(self) -> None:
        if self._settings.machine.kind != "linux":
            return
        missing = [name for name in _TOOLS if self._tool(name) is None]
        if missing:
            mend = Mend("linux", "root", "dnf install s390utils-base device-mapper-multipath")
            self._say("programs", State.FAILED, f"{', '.join(missing)} cannot be found", mend)
        else:
            self._say("programs", State.OK, ", ".join(_TOOLS))


def _above(folder: Path) -> Path:
    """The nearest folder above that exists: the agent makes the rest itself."""
    return next(parent for parent in (folder, *folder.parents) if parent.exists())


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _record(userid: str, function: str) -> Mend:
    return Mend("authlist", authlist.FILE, authlist.record(userid, function))


def _ignore(_: Call) -> None:
    """A check reports findings, not calls."""
