"""An agent in memory: the operations contract over ASGI, with a small z/VM (:mod:`manager.fake_system`) behind it and a
journal of what it was asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from manager.fake_fcps import Refused, fcp
from manager.fake_system import FakeSystem
from zvmcloud.zhcp.http import LostError

__all__ = ["FakeZhcp", "Refused"]


class FakeZhcp(FakeSystem):
    """The agent of one z/VM system. ``log`` (a file) survives the process, for tests that kill it."""

    def __init__(self, log: Path | None = None) -> None:
        super().__init__()
        self.operations: dict[str, dict[str, Any]] = {}
        self.bodies: dict[str, dict[str, Any]] = {}
        self.ran: list[str] = []
        self.highest_epoch = 0
        self.rehearsal_refused: Refused | None = None
        self.refuse_next: Refused | None = None
        self.delay = 0.0
        self.lag = 0.0
        """Seconds between the moment in which something is done and the answer."""
        self.deaf = False
        self.os_release = 'ID="rhel"\nVERSION_ID="8.6"\n'
        """Whether no guest answers the agent."""
        self.write_seconds = 0.0
        self.fetch: httpx.AsyncClient | None = None
        self.fetched: list[bytes] = []
        self.captured = b""
        self.answers |= {
            "smapi": {"total_success": 7, "total_fail": 1, "last_success": "2026-11-21 08:00:00", "healthy": True},
            "volumes": {"volumes": [{"volume": "VOL001", "device_type": "3390-54", "size": 60102}]},
            "ssi": {"member": False, "members": []},
            "traffic": {"nics": []},
            "luns": {"luns": []},
            "pools": {"pools": []},
            "samples": {"guests": []},
            "fcps": {"fcps": [fcp(number) for first in (0x1A00, 0x1B00) for number in range(first, first + 4)]},
        }
        self.log = log
        self.url = ""
        self._tasks: set[asyncio.Task[None]] = set()
        self.app = Starlette(
            routes=[
                Route("/v1/health", self._health),
                Route("/v1/system", self._system),
                Route("/v1/smapi", self._answer("smapi")),
                Route("/v1/volumes", self._answer("volumes")),
                Route("/v1/fcps", self._fcps),
                Route("/v1/luns", self._answer("luns")),
                Route("/v1/ssi", self._answer("ssi")),
                Route("/v1/traffic", self._answer("traffic")),
                Route("/v1/pools", self._answer("pools")),
                Route("/v1/samples", self._answer("samples")),
                Route("/v1/inventory", self._inventory),
                Route("/v1/pools/{name}", self._pool),
                Route("/v1/guests", self._guests),
                Route("/v1/guests/{userid}", self._guest),
                Route("/v1/guests/{userid}/console", self._console),
                Route("/v1/guests/{userid}/adapters", self._adapters),
                Route("/v1/guests/{userid}/command", self._command, methods=["POST"]),
                Route("/v1/vswitches", self._vswitches),
                Route("/v1/vswitches/{name}", self._vswitch),
                Route("/v1/operations/rehearse", self._rehearse, methods=["POST"]),
                Route("/v1/operations/{job}/{step}", self._put, methods=["PUT"]),
                Route("/v1/operations/{job}/{step}", self._get, methods=["GET"]),
                Route("/v1/operations/{job}/{step}", self._cancel, methods=["DELETE"]),
            ]
        )

    def kinds(self) -> list[str]:
        """The operations that ran, in order."""
        return [entry.split(" ")[1] for entry in self.ran]

    async def _rehearse(self, request: Request) -> Response:
        """One call for each operation, named as its kind; what a real agent tells is tested with a simulated z/VM."""
        told = [
            {"kind": item["kind"], "calls": [{"kind": "smapi", "name": item["kind"], "parameters": {}}], "entries": []}
            for item in json.loads(await request.body())["operations"]
        ]
        if self.rehearsal_refused is not None:
            return _refuse(self.rehearsal_refused)
        return JSONResponse({"operations": told})

    async def _put(self, request: Request) -> Response:
        key = f"{request.path_params['job']}/{request.path_params['step']}"
        body = json.loads(await request.body())
        if body["epoch"] < self.highest_epoch:
            return _refuse(Refused(409, "stale-epoch", f"epoch {body['epoch']} is older than {self.highest_epoch}"))
        self.highest_epoch = body["epoch"]
        same = {"kind": body["kind"], "parameters": body["parameters"]}
        if self.bodies.setdefault(key, same) != same:
            return _refuse(Refused(409, "operation-mismatch", "another body was sent under this key"))
        state = self.operations.get(key)
        if state is None:
            state = {"key": key, "kind": body["kind"], "state": "running", "progress": 0.0, "detail": ""}
            state |= {"result": None, "error": None, "calls": []}
            self.operations[key] = state
            task = asyncio.create_task(self._run(key, body["kind"], body["parameters"], state))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await self._wait(request, state)

    async def _get(self, request: Request) -> Response:
        key = f"{request.path_params['job']}/{request.path_params['step']}"
        if key not in self.operations:
            return _refuse(Refused(404, "operation-unknown", key))
        return await self._wait(request, self.operations[key])

    async def _cancel(self, request: Request) -> Response:
        key = f"{request.path_params['job']}/{request.path_params['step']}"
        never = Refused(409, "cancelled", "it was cancelled before it began").problem([])
        state = self.operations.setdefault(key, {"key": key, "kind": "", "state": "failed", "error": never})
        if state["state"] == "running":
            state["cancelled"] = True
        return JSONResponse(state)

    async def _wait(self, request: Request, state: dict[str, Any]) -> Response:
        end = asyncio.get_running_loop().time() + float(request.query_params.get("wait", "60"))
        while state["state"] == "running" and asyncio.get_running_loop().time() < end:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        if state["state"] == "killed":
            raise LostError("the agent was killed", sent=True)
        return JSONResponse(state)

    def killed(self) -> None:
        """Killed and started again: what ran is begun anew when it is asked for again; who waits gets no answer."""
        for task in self._tasks:
            task.cancel()
        for key in [key for key, state in self.operations.items() if state["state"] == "running"]:
            self.operations.pop(key)["state"] = "killed"

    async def _run(self, key: str, kind: str, parameters: dict[str, Any], state: dict[str, Any]) -> None:
        self.ran.append(f"{key} {kind}")
        if self.log is not None:
            with self.log.open("a") as file:
                file.write(f"{key} {kind}\n")
        calls = [
            {"kind": "smapi", "name": kind.title(), "parameters": {}, "rc": 0, "rs": 0, "text": [], "milliseconds": 1.0}
        ]
        try:
            await asyncio.sleep(self.delay)
            if self.refuse_next is not None:
                refused, self.refuse_next = self.refuse_next, None
                raise refused
            if kind == "disk.write_image":
                await self._write(parameters, state)
            if kind == "disk.read_image" and not parameters.get("raw"):
                received = await self._send(parameters)
                units = self._known(parameters)["disks"][0]["size_units"]
                result = {"units": units, "unit": "CYL", "received": received}
                state |= {"state": "done", "progress": 1.0, "result": result, "calls": calls}
                return
            result = getattr(self, "_do_" + kind.replace(".", "_"))(parameters)
            if self.lag:
                await asyncio.sleep(self.lag)
            state |= {"state": "done", "progress": 1.0, "result": result, "calls": calls}
        except Refused as refused:
            state |= {"state": "failed", "error": refused.problem(calls), "calls": calls}
        except Exception as mistake:
            state |= {
                "state": "failed",
                "error": Refused(500, "internal", repr(mistake)).problem(calls),
                "calls": calls,
            }
            raise

    async def _write(self, parameters: dict[str, Any], state: dict[str, Any]) -> None:
        source = parameters["source"]
        if self.fetch is not None:
            answer = await self.fetch.get(source["url"], headers=source["headers"])
            if answer.status_code != 200:
                raise Refused(502, "image-unreadable", f"HTTP {answer.status_code} from {source['url']}")
            self.fetched.append(answer.content)
        ticks = int(self.write_seconds / 0.05)
        for tick in range(ticks):
            await asyncio.sleep(0.05)
            state |= {"progress": tick / ticks, "detail": f"copied {tick} of {ticks} cylinders"}
            if state.get("cancelled"):
                raise Refused(409, "cancelled", "cancelled while copying")

    async def _send(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest, target = self._known(parameters), parameters["target"]
        if guest["state"] == "on":
            raise Refused(409, "guest-active", f"{parameters['userid']} is on")
        assert self.fetch is not None
        answer = await self.fetch.put(target["url"], headers=target["headers"], content=self.captured)
        if answer.status_code != 200:
            raise Refused(502, "target-refused", f"HTTP {answer.status_code} from {target['url']}: {answer.text}")
        received: dict[str, Any] = answer.json()
        return received

    async def _health(self, _request: Request) -> Response:
        return JSONResponse({"status": "ok"})

    def _answer(self, name: str) -> Callable[[Request], Awaitable[Response]]:
        async def endpoint(_request: Request) -> Response:
            return JSONResponse(self.answers[name])

        return endpoint

    async def _system(self, _request: Request) -> Response:
        return JSONResponse(
            {
                "system": "ZVM1",
                "userid": "ZHCP",
                "cpus_total": 4,
                "cpus_used": 4,
                "memory_mb": 65536,
                "memory_used_mb": 1024,
                "version": "7.3.0",
                "model": "3931",
                "ipl_time": "IPL at 11/21/26 08:00:00 UTC",
            }
        )

    async def _pool(self, request: Request) -> Response:
        name = request.path_params["name"]
        if name not in self.pools:
            return _refuse(Refused(404, "pool-unknown", f"no pool {name}"))
        return JSONResponse({"name": name, "total_bytes": 40 * 2**30, "used_bytes": 10 * 2**30, "volumes": []})

    async def _guests(self, _request: Request) -> Response:
        return JSONResponse({"guests": [{"userid": name} for name in ("MAINT", *self.guests)]})

    async def _inventory(self, request: Request) -> Response:
        """Of some guests, or of all."""
        asked = request.query_params.get("userids")
        found = [self._entry(name) for name in self.guests if asked is None or name in asked.split(",")]
        on = [name for name, guest in self.guests.items() if guest["state"] == "on"]
        return JSONResponse({"system": "ZVM1", "userid": "ZHCP", "entries": found, "on": on, "missing": {}})

    async def _guest(self, request: Request) -> Response:
        try:
            return JSONResponse(self._facts(request.path_params["userid"]))
        except Refused as refused:
            return _refuse(refused)

    async def _console(self, request: Request) -> Response:
        return JSONResponse({"text": self.guests[request.path_params["userid"]]["console"]})

    async def _adapters(self, request: Request) -> Response:
        guest = self.guests[request.path_params["userid"]]
        mac = {"mac_address": "02000000000A", "mac_ip_version": "4", "mac_ip_address": "192.0.2.10"}
        found = [
            {"adapter_address": vdev, "adapter_status": "02", "lan_name": nic["vswitch"], "macs": [mac]}
            for vdev, nic in guest["nics"].items()
        ]
        return JSONResponse({"adapters": found})

    async def _command(self, request: Request) -> Response:
        if self.deaf:
            return _refuse(Refused(409, "guest-unreachable", "the guest does not answer"))
        command = json.loads(await request.body())["command"]
        output = {
            "uname -srm": "Linux 5.14.0 s390x",
            "cat /etc/os-release": self.os_release,
            "lscpu --parse=ADDRESS": "# comment\n0\n1\n",
        }.get(command, "")
        return JSONResponse({"rc": 0, "output": output})

    async def _vswitches(self, _request: Request) -> Response:
        return JSONResponse({"vswitches": [{"name": name} for name in self.vswitches]})

    async def _vswitch(self, request: Request) -> Response:
        switch = self.vswitches.get(request.path_params["name"])
        if switch is None:
            return _refuse(
                Refused(404, "vswitch-unknown", "no such VSWITCH", ("Virtual_Network_Vswitch_Query", 212, 40))
            )
        users = [
            {"grant_userid": user, "port_num": "0", "vlan_count": "1", "user_vlan_ids": []} for user in switch["users"]
        ]
        device = {"real_device_address": "0600", "controller_name": "DTCVSW1", "device_status": "1"}
        return JSONResponse(
            {
                "name": switch["name"],
                "status": "OSA device ready",
                "attributes": {"switch_name": switch["name"], "vlan_awareness": "UNAWARE", "queue_memory_limit": "8"},
                "real_devices": [device],
                "authorized_users": users,
                "adapters": [],
            }
        )


def _refuse(refused: Refused) -> Response:
    return JSONResponse(refused.problem([]), refused.status, media_type="application/problem+json")
