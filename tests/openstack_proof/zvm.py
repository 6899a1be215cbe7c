"""The z/VM of the proof: two members of one SSI cluster in software in this process, an agent for each and a manager
as programs, so that they can be killed. What z/VM is like is read from the model itself, not asked of the manager."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.programs import TOKEN, free_port
from openstack_proof.daemons import Daemon, Daemons
from whole_system import UNTOLD, VOLATILE, scrubbed
from zvmcloud.client import Client, change
from zvmcloud.simulator import shutdown
from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.presets import Model
from zvmcloud.simulator.values import to_json

SYSTEMS = ("ZVM1", "ZVM2")
FLAT, TAGGED = "VSW1", "OSVSW2"
"""FLAT is the administrators' and there from the start; TAGGED is made by the agents."""


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

    def nics(self, userid: str) -> dict[str, tuple[str, int]]:
        """VSWITCH and VLAN of each adapter in the directory."""
        record = self.simulator.members[0].system.entries.get(userid)
        nicdefs = record.entry.nicdefs if record is not None else ()
        return {nic.vdev: (nic.lan_name, int(nic.vlan or 0)) for nic in nicdefs}

    def rows(self) -> dict[str, str]:
        """Every row of the cluster's model, but what tells when or how often; and the content of guests' disks."""
        found: dict[str, str] = {}
        for name, collection in self.simulator.members[0].system.store._collections.items():
            if name.rpartition(":")[2] in UNTOLD:
                continue
            for key, value in collection.items():
                row = scrubbed(to_json(value), VOLATILE | {"ipl_at", "heard"})
                if key.endswith("SYSTEM CONFIG"):  # a changed VSWITCH is written behind the others
                    row = {**row, "lines": sorted(row["lines"])}
                found[f"{name} {key}"] = json.dumps(row, sort_keys=True)
        return found

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


@contextlib.asynccontextmanager
async def started(folder: Path, daemons: Daemons) -> AsyncIterator[Zvm]:
    """The simulated systems and the programs over them; the programs are among ``daemons`` and end with these."""
    model = Model(ssi="PROOF", members=SYSTEMS)
    async with Simulator(state=folder / "vm", model=model) as simulator:
        password, token = folder / "ZHCP", folder / "token"
        password.write_text("ZHCP")
        token.write_text(TOKEN)
        token.chmod(0o600)
        for member in simulator.members:
            settings = folder / f"zhcp-{member.name}.toml"
            settings.write_text(
                f'[smapi]\nhost = "127.0.0.1"\nport = {member.smapi_port}\nuserid = "ZHCP"\n'
                f'password_file = "{password}"\n'
                f'[machine]\nhost = "127.0.0.1"\nport = {member.machine_port}\n'
                f'[listen]\nunix = "{folder / member.name}"\n[storage]\nstate = "{folder / f"zhcp-{member.name}"}"\n'
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
