"""The z/VM of the proof: two members of one SSI cluster in software in this process, an agent for each and a manager
as programs, so that they can be killed. What z/VM is like is read from the model itself, not asked of the manager."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.programs import TOKEN, free_port
from openstack_proof import rows
from openstack_proof.daemons import Daemon, Daemons
from zvmcloud.client import Client, change
from zvmcloud.directory.statements import Statement
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import luns, shutdown
from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.model import RealDevice
from zvmcloud.simulator.model_devices import Lun
from zvmcloud.simulator.presets import Model

SYSTEMS = ("ZVM1", "ZVM2")
FLAT, TAGGED = "VSW1", "OSVSW2"
"""FLAT is the administrators' and there from the start; TAGGED is made by the agents."""
LUNS, LUN_GB = 6, 2
"""In the pool of each system."""
PORTS = ("500507630708D3B3", "50050763071BC5E3")
AGENTS_FCPS, GUESTS_FCPS = ("1A03", "1B03"), "1a00-1a02;1b00-1b02"


def pool_of(system: str) -> str:
    """The name of a system's pool of LUNs."""
    return f"pool-{system.lower()}"


@dataclass(frozen=True, slots=True)
class Zvm:
    """The two systems, and how their manager is asked. ``token_file`` holds an admin's token."""

    simulator: Simulator
    url: str
    token_file: Path
    manager: Daemon

    def ask(self, method: str, path: str, body: dict[str, object] | None = None) -> Any:
        """The manager's native API; a change is waited for."""
        with Client(self.url, TOKEN) as client:
            return change(client, method, path, body) if method != "GET" else client.call(method, path)

    def userids(self, uuid: str) -> list[str]:
        """The guests that are an instance of nova."""
        with Client(self.url, TOKEN) as client:
            return [guest["userid"] for guest in client.pages("/guests", {"tag": [f"openstack_instance={uuid}"]})]

    def inside(self, system: str, userid: str, command: str) -> dict[str, Any]:
        """What a command says in a guest. Raises ProblemError, also while its agent does not answer yet."""
        with Client(self.url, TOKEN) as client:
            return client.ask("POST", f"/guests/{system}/{userid}/command", body={"command": command})

    def attached(self, system: str) -> list[str]:
        """The volumes of a system that a guest has, or is about to have."""
        with Client(self.url, TOKEN) as client:
            return [str(item["name"]) for item in client.pages(f"/systems/{system}/volumes", {}) if item["attachments"]]

    def devices_in_use(self, system: str) -> list[str]:
        """The FCP devices of a system that a guest has, as the manager says and as z/VM says."""
        with Client(self.url, TOKEN) as client:
            told: Any = client.call("GET", f"/systems/{system}/fcp-devices")
        machines = self.simulator.member(system).system.machines.values()
        there = [
            f"{machine.userid} {device.rdev}"
            for machine in machines
            for device in machine.devices
            if isinstance(device, RealDevice) and device.kind == "FCP" and device.rdev not in AGENTS_FCPS
        ]
        return [f"{item['fcp']} {item['assigner']}" for item in told if item["use"] != "free"] + there

    def content(self, system: str, volume: str) -> bytes:
        """What is on a volume, as large as it was asked for."""
        found = self.ask("GET", f"/systems/{system}/volumes/{volume}")
        model = self.simulator.member(system).system
        (lun,) = {item.uuid: item for item in model.luns.values() if item.lun.lower() == found["lun"]}.values()
        with luns.file(model, lun).open("rb") as file:
            return file.read(found["size_gb"] * 2**30)

    def share(self, system: str, *, shared: bool) -> None:
        """Have both systems reach a system's pool, or only that one."""
        with Client(self.url, TOKEN) as client:
            client.call("PATCH", f"/systems/{system}/volume-pools/{pool_of(system)}", body={"shared": shared})

    def nics(self, userid: str) -> dict[str, tuple[str, int]]:
        """VSWITCH and VLAN of each adapter in the directory."""
        record = self.simulator.members[0].system.entries.get(userid)
        nicdefs = record.entry.nicdefs if record is not None else ()
        return {nic.vdev: (nic.lan_name, int(nic.vlan or 0)) for nic in nicdefs}

    def rows(self) -> dict[str, str]:
        """See rows.rows: of the cluster and of each member."""
        return rows.rows(self.simulator.members[0].system)

    async def end(self, system: str, *, reipl: bool) -> None:
        """SHUTDOWN IMMEDIATE of a system, with or without REIPL: its guests end. It returns when it is down or up."""
        member = self.simulator.member(system)
        with member.system.transaction():
            shutdown.plan(member.system, 0, reipl=reipl, immediate=True)
        while (found := shutdown.planned(member.system)) is not None and (reipl or not found.down):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    def ipl(self, system: str) -> None:
        """IPL of a system that is down."""
        member = self.simulator.member(system)
        with member.system.transaction():
            shutdown.ipl(member.system)


def _equip(simulator: Simulator) -> None:
    """LUNs that every system reaches through all its FCP devices, whichever's pool they are in; the agents' machines
    have devices of their own."""
    for member in simulator.members:
        model = member.system
        with model.transaction():
            for system, at, port in itertools.product(SYSTEMS, range(LUNS), PORTS):
                number = _number(system, at)
                uuid = f"6005076307FFC5E3{number}"
                model.luns.put(f"{port} {number}", Lun(port, number, uuid, LUN_GB * 2**21))
    first = simulator.members[0].system
    with first.transaction():
        for device in AGENTS_FCPS:
            words = f"DEDICATE {device} {device}"
            dm.add_device(first, "ZHCP", device, Statement((words,), tuple(words.split())))


def lun_table(system: str) -> str:
    """The LUNs of a system's pool, as `zvm volume-pool import` reads them."""
    rows = (f"free,{';'.join(PORTS)},{_number(system, at)}".lower() for at in range(LUNS))
    return "".join(f"{row},{LUN_GB}G,,,,\n" for row in rows)


def _number(system: str, at: int) -> str:
    return f"40{SYSTEMS.index(system)}0{at:04X}".ljust(16, "0")


@contextlib.asynccontextmanager
async def started(folder: Path, daemons: Daemons) -> AsyncIterator[Zvm]:
    """The simulated systems and the programs over them; the programs are among ``daemons`` and end with these."""
    model = Model(ssi="PROOF", members=SYSTEMS)
    async with Simulator(state=folder / "vm", model=model) as simulator:
        password, token = folder / "ZHCP", folder / "token"
        password.write_text("ZHCP")
        token.write_text(TOKEN)
        token.chmod(0o600)
        _equip(simulator)
        for member in simulator.members:
            settings = folder / f"zhcp-{member.name}.toml"
            settings.write_text(
                f'[smapi]\nhost = "127.0.0.1"\nport = {member.smapi_port}\nuserid = "ZHCP"\n'
                f'password_file = "{password}"\n'
                f'[machine]\nhost = "127.0.0.1"\nport = {member.machine_port}\n'
                f'[listen]\nunix = "{folder / member.name}"\n[storage]\nstate = "{folder / f"zhcp-{member.name}"}"\n'
                f"fcps = {json.dumps(AGENTS_FCPS)}\n"
            )
            daemons.add(f"zhcp-{member.name}", _program("zvmcloud.zhcp.program", settings))
        port = free_port()
        systems = "".join(f'[[systems]]\nname = "{name}"\nurl = "unix:{folder / name}"\n' for name in SYSTEMS)
        settings = folder / "manager.toml"
        settings.write_text(
            f'state = "{folder / "manager"}"\nport = {port}\nimport_folders = ["{folder}"]\n'
            f'[connector]\nmode = "token"\n{systems}'
        )
        manager = daemons.add("manager", _program("zvmcloud.api.program", settings), {"ZVMCLOUD_ADMIN_TOKEN": TOKEN})
        yield Zvm(simulator, f"http://127.0.0.1:{port}", token, manager)


def _program(module: str, settings: Path) -> list[str | Path]:
    return [sys.executable, "-c", f"from {module} import app; app()", "run", "--settings", settings]
