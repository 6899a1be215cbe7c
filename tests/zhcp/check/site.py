"""A simulated z/VM whose agent may have any rights, and somebody who does exactly what a report says."""

from __future__ import annotations

import re
import shlex
import tomllib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from zvmcloud.directory.entry import Entry
from zvmcloud.simulator import guests
from zvmcloud.simulator.clock import Scheduler
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.model import Authorization, DirectoryEntry
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client
from zvmcloud.zhcp import settings as settings_module
from zvmcloud.zhcp.check import rights
from zvmcloud.zhcp.check.findings import Report
from zvmcloud.zhcp.program import check_installation
from zvmcloud.zhcp.settings import Settings

BARE = ("USER ZHCP ZHCP 2G 4G G", "CONSOLE 0009 3215 T")
WHOLE = ("USER ZHCP ZHCP 2G 4G BG", "OPTION LNKNOPAS", rights.READER, rights.PUNCH, "CONSOLE 0009 3215 T")
_MEND = re.compile(r"  > (authlist|directory|cp|settings|linux) (\S+): (.+)")


class Site:
    """The system, and its administrator."""

    def __init__(self, simulator: Simulator, folder: Path) -> None:
        self.simulator = simulator
        self.folder = folder
        self.document: dict[str, dict[str, object]] = {
            "smapi": {"port": simulator.smapi_port, "userid": "ZHCP", "password": "ZHCP", "timeout": 10},
            "machine": {"port": simulator.machine_port},
            "storage": {"image_folders": ["images"], "pools": ["POOL1"]},
        }

    @property
    def settings(self) -> Settings:
        return settings_module.read(self.document, self.folder)

    async def check(self) -> Report:
        return await check_installation(self.settings)

    def put_rights(self, entry: Sequence[str], functions: Sequence[str]) -> None:
        """What the agent's userid has: its entry, and a record of the authorization file for each function."""
        system = self.simulator.system
        with system.transaction():
            for key in [key for key in system.authorizations if key.startswith("ZHCP ")]:
                system.authorizations.remove(key)
            for name in functions:
                key = f"ZHCP ALL {name.upper()}"
                system.authorizations.put(key, Authorization("ZHCP", "ALL", name.upper()))
            system.entries.put("ZHCP", DirectoryEntry(Entry.parse(list(entry))))
        if "ZHCP" in system.machines:
            execute(system, "MAINT", "FORCE ZHCP")

    async def follow(self, report: Report) -> int:
        """Do what the lines of the report say, and nothing else; how many they were. AssertionError for any other."""
        lines = [line for line in str(report).splitlines() if line.startswith("  ")]
        for line in dict.fromkeys(lines):
            found = _MEND.fullmatch(line)
            assert found is not None, line
            await getattr(self, f"_{found[1]}")(found[2], found[3])
        return len(lines)

    def _maint(self) -> Client:
        port = self.simulator.smapi_port
        return Client("127.0.0.1", port, userid="MAINT", password="MAINT", patience=IMPATIENT)

    async def _authlist(self, file: str, record: str) -> None:
        assert file == "VSMWORK1"
        requester, target, function = record[:65].strip(), record[65:130].strip(), record[130:].strip()
        await self._maint().call(f.AuthorizationListAdd(target=requester, for_id=target, function_id=function))

    async def _directory(self, userid: str, statement: str) -> None:
        answer = await self._maint().call(f.ImageQueryDM(target=userid))
        records = [line.rstrip() for line in answer.reply.image_record_array if not line.startswith("*DVHOPT")]
        words = statement.split()
        same = {"USER": 1, "IDENTITY": 1, "OPTION": 1, "SPOOL": 2}[words[0]]
        at = next((n for n, line in enumerate(records) if line.split()[:same] == words[:same]), None)
        if words[0] == "OPTION" and at is not None:
            records[at] += f" {' '.join(words[1:])}"
        elif at is None:
            records.insert(len(records), statement)
        else:
            there = records[at].split()
            records[at] = " ".join(there[n] if word == "=" else word for n, word in enumerate(words))
        entry = self.simulator.system.entries[userid].entry.statements[0]
        records[0] = records[0].replace("XXXXXXXX", entry.words[2])
        await self._maint().call(f.ImageLockDM(target=userid))
        await self._maint().call(f.ImageReplaceDM(target=userid, image_record_array=tuple(records)))

    async def _cp(self, userid: str, command: str) -> None:
        with self.simulator.system.transaction():
            result = execute(self.simulator.system, userid, command)
        assert result.rc == 0, result

    async def _settings(self, section: str, line: str) -> None:
        name, _, value = line.partition(" = ")
        assert "<" not in value, line
        self.document[section.strip("[]")][name] = tomllib.loads(f"x = {value}")["x"]

    async def _linux(self, user: str, command: str) -> None:
        words = shlex.split(command)
        assert (user, words[:2]) == ("root", ["mkdir", "-p"]), command
        path = Path(words[2])
        assert path.is_relative_to(self.folder)
        path.mkdir(parents=True)


@asynccontextmanager
async def site(
    folder: Path, entry: Sequence[str] = WHOLE, functions: Sequence[str] = (), clock: Scheduler | None = None
) -> AsyncIterator[Site]:
    """A system; `functions` are those that the agent may call."""
    async with Simulator(state=folder / "zvm", clock=clock) as simulator:
        made = Site(simulator, folder)
        with simulator.system.transaction():
            guests.log_on(simulator.system, "MAINT")
        made.put_rights(entry, functions)
        yield made
