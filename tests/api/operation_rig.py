"""Every native operation in every state of the kill campaign, on a z/VM in this process: asked for, planned, undone,
and z/VM looked at as a whole, without killing anybody."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import hashlib
import itertools
import json
import re
import socket
import sqlite3
from collections.abc import AsyncIterator, Collection, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import uvicorn

from api.native import ok
from e2e.kill_cases import NATIVE, images
from e2e.kill_states import MEMBERS, NEW, SECOND, STATES, THIRD, USERID, Ask, State
from manager.over_simulator import Managed, managed
from manager.support import settings
from whole_system import differences, numbered, recorded, records, snapshot, unordered
from zhcp.image_server import ImageServer
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.directory import Entry
from zvmcloud.images.sample import write_sample_image
from zvmcloud.serving import tcp_door
from zvmcloud.simulator import luns
from zvmcloud.simulator.cp.interpreter import execute
from zvmcloud.simulator.presets import Model
from zvmcloud.simulator.smapi import registry
from zvmcloud.zhcp.errors import Call
from zvmcloud.zhcp.rehearsal.kinds import changes
from zvmcloud.zhcp.rehearsal.rehearse import shown
from zvmcloud.zhcp.smapi_port import parameters

Snapshot = dict[str, str]
CASES = {
    state: tuple(found) for state, found in itertools.groupby(sorted(NATIVE, key=lambda c: c.state), lambda c: c.state)
}
"""The cases of the native operations, by the state in which each is asked for."""
_LINK = re.compile(r"(LINK \S+ \S+) ([0-9A-F]{4} )")
"""As the journal has it: without the word AS."""
_SEEN_AT_Z_VM = {"smapi", "cp", "punch", "guest"}
FCPS = ("1A03", "1B03")
"""The FCP devices by which agents reach volumes."""
_DATA = b"a file that a guest is booted from" * 100


def states(cluster: bool) -> list[str]:
    """The states that have cases, of a z/VM alone or of a cluster."""
    return [state for state in sorted(CASES) if STATES[state].cluster == cluster]


@dataclass(slots=True)
class Heard:
    """What reached z/VM from the agent: (kind, name, parameters)."""

    calls: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)


def told(calls: list[dict[str, Any]], files: Collection[str]) -> list[tuple[str, str, dict[str, Any]]]:
    """The changes among calls that z/VM sees, as a plan shows them. ``files``: numbers of the spool files that were
    there before; those of new ones nobody can foretell."""
    found: list[tuple[str, str, dict[str, Any]]] = []
    for item in calls:
        call = Call(item["kind"], item["name"], item["parameters"])
        if call.kind not in _SEEN_AT_Z_VM or not changes(call):
            continue
        call = shown(call, set(str(call.parameters.get("spoolids", "")).split()) - set(files))
        if call.kind == "punch":
            found.append((call.kind, call.name.partition(".")[0].upper(), {}))
        elif call.kind == "guest":
            found.append((call.kind, call.name.split()[0], {}))
        else:
            found.append((call.kind, call.name, dict(call.parameters)))
    return found


class Rig:
    """One z/VM, its agent and a manager."""

    def __init__(self, zvm: Managed, client: httpx.AsyncClient, folder: Path, url: str) -> None:
        self.zvm = zvm
        self.client = client
        self._folder = folder
        self._facts: dict[str, Any] = {"url": url, "sha256": hashlib.sha256(_DATA).hexdigest()}
        self._kept: dict[str, dict[str, Any]] = {}
        self._known: dict[str, Snapshot] = {}
        """States that were reached: what bodies are made from, and the whole z/VM."""

    # -- asking ----------------------------------------------------------------------------------------------------

    async def send(self, ask: Ask, **query: str) -> httpx.Response:
        system = self.zvm.simulator.system
        files = [item.spoolid for item in system.spool.values() if item.owner == USERID and item.queue == "RDR"]
        body = ask.body({**self._facts, "spool": files}) if callable(ask.body) else ask.body
        if ask.text:
            return await self.client.request(ask.method, ask.path, content=ask.text)
        return await self.client.request(ask.method, ask.path, json=body, params=query or None)

    def files(self) -> set[str]:
        """The numbers of all spool files."""
        return {file.spoolid for member in self.zvm.simulator.members for file in member.system.spool.values()}

    async def job(self, answer: httpx.Response) -> dict[str, Any]:
        """The job of an accepted change, when it is over."""
        job: dict[str, Any] = await ok(answer, 202)
        for _ in range(30_000):
            job = await ok(await self.client.get(f"/v1/jobs/{job['id']}"))
            if job["state"] in {"done", "failed", "cancelled", "undone"}:
                return job
            await asyncio.sleep(0.002)
        raise AssertionError(job)

    async def run(self, ask: Ask) -> None:
        answer = await self.send(ask)
        assert answer.is_success, f"{ask.method} {ask.path}: {answer.text}"
        found = answer.json()
        if answer.status_code == 202:
            job = await self.job(answer)
            assert job["state"] == "done", job
        elif isinstance(found, dict) and isinstance(found.get("output"), dict) and "zvm_fcp" in found["output"]:
            output = found["output"]
            self._facts |= {"fcps": output["zvm_fcp"], "template": output["fcp_template_id"]}

    # -- states ----------------------------------------------------------------------------------------------------

    async def bring(self, name: str) -> Snapshot:
        """To that state, as it was when it was first reached; the whole z/VM then."""
        state = STATES[name]
        if name in self._kept:
            await self._back(state)
            await self._ready()
            return await self.settled(self._known[name])
        if state.parent:
            await self.bring(state.parent)
        for ask in state.asks:
            await self.run(ask)
        await self._ready()
        self._known[name] = await self.settled()
        place = self._folder / f"state-{name}"
        place.mkdir()
        await asyncio.to_thread(self.zvm.simulator.save, place / "vm.tar")
        self._copy(self._database, place / "manager.sqlite")
        self._kept[name] = dict(self._facts)
        return self._known[name]

    async def _ready(self) -> None:
        """All agents are logged on, and have FCP devices to reach volumes by."""
        for name, member in zip(self.zvm.node.core.agents.names, self.zvm.simulator.members, strict=True):
            await self.zvm.node.core.agent(name).get("/v1/system")
            with member.system.transaction():
                for device in FCPS:
                    execute(member.system, "ZHCP", f"ATTACH {device} TO * AS {device}")
                    luns.set_online(member.system, "ZHCP", device, online=True)

    async def _back(self, state: State) -> None:
        place = self._folder / f"state-{state.name}"
        await self.zvm.simulator.load(place / "vm.tar")
        self._copy(place / "manager.sqlite", self._database)
        self._facts = dict(self._kept[state.name])

    @property
    def _database(self) -> Path:
        return self._folder / "state" / "manager.sqlite"

    @staticmethod
    def _copy(source: Path, target: Path) -> None:
        with contextlib.closing(sqlite3.connect(source)) as one, contextlib.closing(sqlite3.connect(target)) as other:
            one.backup(other)

    # -- looking ---------------------------------------------------------------------------------------------------

    async def whole(self) -> Snapshot:
        """Every row of z/VM, and what the manager has recorded of it."""
        found: Snapshot = {}
        for member in self.zvm.simulator.members:
            for key, text in snapshot(member.system, USERID, SECOND, THIRD, NEW).items():
                rows = key.startswith(("machines", "entries", "texts"))
                found[f"{member.name} {key}"] = unordered(text) if rows else text
        found = numbered(found)
        for path in records(self.zvm.node.core.agents.names):
            answer = await self.client.get(path)
            assert answer.status_code in {200, 404}, answer.text  # before a pool is made
            found[f"records {path}"] = recorded(answer.json())
        return found

    async def settled(self, wanted: Snapshot | None = None) -> Snapshot:
        """The same, as soon as it is as wanted, or once nothing moves any more."""
        last = wanted or {}
        for _ in range(3000):
            now = await self.whole()
            if now == last and not any('"phase": "booting"' in text for text in now.values()):
                return now
            last = now
            await asyncio.sleep(0.01)
        raise AssertionError("z/VM does not come to rest")

    async def becomes(self, wanted: Snapshot) -> list[str]:
        """What differs from what is wanted, as soon as nothing does, or when nothing moves any more."""
        return differences(wanted, await self.settled(wanted))

    # -- changing --------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def changed(self, name: str) -> Iterator[None]:
        """z/VM with another entry of a userid, or without a network ("vswitch NAME", "lan OWNER NAME"); what is not
        there has come."""
        system = self.zvm.simulator.members[0].system
        kind, _, what = name.partition(" ")
        collection: Any = {"vswitch": system.vswitches, "lan": system.guest_lans}.get(kind, system.entries)
        key = what.replace(" ", ".") or name
        was = collection.get(key)
        if collection is system.entries:
            lines = was.entry.render() if was else [f"USER {key} NOLOG 32M 32M G"]
            record = was or system.entries["MAINT"]
            now = dataclasses.replace(record, entry=Entry.parse([*lines, "* BY ANOTHER"]))
        else:
            now = (
                None if was else dataclasses.replace(next(iter(collection.values())), name=name.rsplit(maxsplit=1)[-1])
            )
        with system.transaction():
            self._put(collection, key, now)
        try:
            yield
        finally:
            with system.transaction():
                self._put(collection, key, was)

    @staticmethod
    def _put(collection: Any, key: str, row: Any) -> None:
        if row is None:
            collection.remove(key)
        else:
            collection.put(key, row)

    # -- listening -------------------------------------------------------------------------------------------------

    @contextlib.contextmanager
    def listening(self) -> Iterator[Heard]:
        """What reaches z/VM in the block, changes only, as a plan shows them."""
        heard, files = Heard(), self.files()
        before = dict(registry.HANDLERS)

        def said(kind: str, name: str, given: dict[str, Any]) -> None:
            heard.calls += told([{"kind": kind, "name": name, "parameters": given}], files)

        def through(found: registry.Registered) -> registry.Registered:
            def handler(call: registry.Call, request: Any) -> registry.Done:
                said("smapi", request.spec.name, parameters(request))
                return found.handler(call, request)

            return dataclasses.replace(found, handler=handler)

        def line(text: str) -> None:
            row = json.loads(text)
            if row["kind"] == "cp" and row["who"] == "ZHCP":
                said("cp", _LINK.sub(r"\1 AS \2", row["function"]), {})
            elif row["kind"] == "punch":
                said("punch", row["function"].split()[0], {})
            elif row["kind"] == "guest":
                said("guest", row["function"], {})

        registry.HANDLERS.update({name: through(found) for name, found in before.items()})
        for member in self.zvm.simulator.members:
            member.journal.listeners.add(line)
        try:
            yield heard
        finally:
            registry.HANDLERS.update(before)
            for member in self.zvm.simulator.members:
                member.journal.listeners.discard(line)


@asynccontextmanager
async def rig(folder: Path, *, cluster: bool = False) -> AsyncIterator[Rig]:
    """A z/VM, or a cluster whose members are all managed, and the sample image."""
    names = MEMBERS if cluster else MEMBERS[:1]
    listener = tcp_door("127.0.0.1", 0)
    url = f"http://127.0.0.1:{listener.getsockname()[1]}"
    found = settings(
        folder / "state",
        base_url=url,
        systems=[{"name": name, "url": f"http://zhcp-{name.lower()}"} for name in names],
        connector={"mode": "open", "open_from": ["127.0.0.1"]},
        import_folders=[str(folder)],
    )
    make_secret(folder / "state" / "connector.token")
    model = Model(ssi="SSI", members=names) if cluster else None
    async with (
        managed(folder, found, model, storage={"fcps": [*FCPS]}) as zvm,
        ImageServer(_DATA).running() as file,
        served(zvm, listener),
    ):
        headers = {"authorization": f"Bearer {zvm.node.new_admin_token}"}
        async with httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client:
            image = folder / "sample.img"
            write_sample_image(image)
            for body in images(image, folder):
                await ok(await client.post("/images", json={"image": body}))
            yield Rig(zvm, client, folder, file)


@asynccontextmanager
async def served(zvm: Managed, listener: socket.socket) -> AsyncIterator[None]:
    """The manager's doors on a port: the agents fetch images there."""
    server = uvicorn.Server(uvicorn.Config(doors(zvm.node), log_level="warning", lifespan="off"))
    running = asyncio.create_task(server.serve([listener]))
    try:
        yield
    finally:
        server.should_exit = True
        await running
