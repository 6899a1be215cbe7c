"""The control port: look at a simulator that runs, and change how it behaves. HTTP and JSON.

    GET    /state                    systems, what is in them, ports, latency
    GET    /model?member=VM1         a model file of a system: devices, volumes, networks (TOML)
    GET    /faults                   the fault rules with their counts
    POST   /faults     {rule}        add one; 201 with its number (PUT /faults [rules] replaces all)
    DELETE /faults[/number]          forget all, or one
    GET    /latency                  PUT /latency {"profile":"lab"} or {"smapi":0.5,...}
    GET    /journal?lines=n&follow=1&member=NAME      JSON lines, oldest first; follow: the connection stays open
    DELETE /journal                  forget what is kept in memory (the files stay)
    POST   /save                     the whole installation as a tar
    POST   /load       (tar)         become the saved one; the ports stay, every connection is cut
    POST   /members/NAME/down|up     a member of an SSI cluster leaves (?abend=1: without saying so) or joins

Wrong input is answered with 400 (404, 409) and {"error": ...}. Nobody is asked for a password: the port listens on a
Unix socket that only its owner may use, or on the loopback address.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import tempfile
from collections.abc import AsyncIterator
from dataclasses import asdict, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from zvmcloud.serving import Server, tcp_door, unix_door
from zvmcloud.simulator import model_file
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.faults import Rule
from zvmcloud.simulator.system import TIMINGS, Timing

if TYPE_CHECKING:
    from zvmcloud.simulator.embed import Member, Simulator

#: Bytes of a journal that may wait for a follower who does not read.
_BACKLOG = 10_000


class ControlPort:
    """The control port of one simulator."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        self._server: Server | None = None
        self._task: asyncio.Task[None] | None = None
        self._path: Path | None = None
        self._closing = asyncio.Event()

    async def start(self, *, port: int | None = None, path: Path | None = None) -> int:
        """Listen on a loopback port (0: any free one) or a Unix socket; gives the port, 0 for a socket. OSError."""
        door = _door(port or 0, path)
        self._path = path
        number = 0 if path is not None else int(door.getsockname()[1])
        config = uvicorn.Config(
            self.application(),
            log_level="warning",
            access_log=False,
            http="h11",
            proxy_headers=False,  # X-Forwarded-For would let any local process choose its address
            lifespan="off",
            timeout_graceful_shutdown=1,
        )
        self._server = Server(config)
        self._task = asyncio.create_task(self._server.serve([door]))
        return number

    async def close(self) -> None:
        self._closing.set()
        if self._server is not None:
            self._server.should_exit = True
        if self._task is not None:
            await self._task
        if self._path is not None:
            await asyncio.to_thread(self._path.unlink, missing_ok=True)
        self._server = self._task = None

    def application(self) -> Starlette:
        """The HTTP application."""
        return Starlette(
            routes=[
                Route("/state", self._state),
                Route("/faults", self._faults, methods=["GET", "POST", "PUT", "DELETE"]),
                Route("/faults/{number:int}", self._fault, methods=["GET", "DELETE"]),
                Route("/latency", self._latency, methods=["GET", "PUT", "DELETE"]),
                Route("/journal", self._journal, methods=["GET", "DELETE"]),
                Route("/model", self._model),
                Route("/save", self._save, methods=["POST"]),
                Route("/load", self._load, methods=["POST"]),
                Route("/members/{name}/{action}", self._member, methods=["POST"]),
            ],
            exception_handlers={ModelError: _refuse},
        )

    # -- routes -------------------------------------------------------------------------------------------------------

    async def _state(self, _request: Request) -> Response:
        return JSONResponse(state(self._simulator))

    async def _model(self, request: Request) -> Response:
        name = request.query_params.get("member", "")
        members = self._simulator.members
        member = next((item for item in members if name.upper() in ("", item.name)), None)
        if member is None:
            raise ModelError("member", f"{name!r} is not one of {', '.join(item.name for item in members)}")
        return PlainTextResponse(model_file.written(member.system), media_type="application/toml")

    async def _faults(self, request: Request) -> Response:
        faults = self._simulator.faults
        if request.method == "POST":
            data = await _json(request)
            return JSONResponse(faults.add(Rule.of(_object("fault", data))).data(), 201)
        if request.method == "PUT":
            data = await _json(request)
            if not isinstance(data, list):
                raise ModelError("faults", "is not a list of rules")
            rules = [Rule.of(_object("fault", item)) for item in data]
            faults.clear()
            for rule in rules:
                faults.add(rule)
        if request.method == "DELETE":
            faults.clear()
        return JSONResponse([rule.data() for rule in faults.rules])

    async def _fault(self, request: Request) -> Response:
        number = int(request.path_params["number"])
        found = next((rule for rule in self._simulator.faults.rules if rule.number == number), None)
        if found is None:
            return JSONResponse({"error": f"there is no fault rule {number}"}, 404)
        if request.method == "DELETE":
            self._simulator.faults.remove(number)
        return JSONResponse(found.data())

    async def _latency(self, request: Request) -> Response:
        if request.method == "PUT":
            self._simulator.timing = timing(_object("latency", await _json(request)), self._simulator.timing)
        if request.method == "DELETE":
            self._simulator.timing = TIMINGS["zero"]
        return JSONResponse(_latency(self._simulator.timing))

    async def _journal(self, request: Request) -> Response:
        chosen = self._members(request.query_params.get("member", ""))
        if request.method == "DELETE":
            for member in chosen:
                member.journal.recent.clear()
            return Response(status_code=204)
        text = request.query_params.get("lines", "")
        if text and not text.isdecimal():
            raise ModelError("lines", f"{text!r} is not a number")
        earlier = [line for member in chosen for line in member.journal.recent]
        if len(chosen) > 1:
            earlier.sort()
        if text:
            earlier = earlier[len(earlier) - min(int(text), len(earlier)) :]
        follow = request.query_params.get("follow", "") not in ("", "0")
        lines = self._follow(chosen, earlier) if follow else _each(earlier)
        return StreamingResponse(lines, media_type="application/jsonl")

    def _members(self, name: str) -> list[Member]:
        if not name:
            return list(self._simulator.members)
        found = [member for member in self._simulator.members if member.name == name.upper()]
        if not found:
            raise ModelError("member", f"there is no system {name!r}")
        return found

    async def _follow(self, members: list[Member], earlier: list[str]) -> AsyncIterator[str]:
        queue: asyncio.Queue[str] = asyncio.Queue(_BACKLOG)

        def note(line: str) -> None:
            # A follower that does not read loses lines; the file has them all.
            with contextlib.suppress(asyncio.QueueFull):
                queue.put_nowait(line)

        for member in members:
            member.journal.listeners.add(note)
        closing = asyncio.create_task(self._closing.wait())
        try:
            for line in earlier:
                yield line
            while not closing.done():
                waiting = asyncio.create_task(queue.get())
                done, _ = await asyncio.wait({waiting, closing}, return_when=asyncio.FIRST_COMPLETED)
                if waiting not in done:
                    waiting.cancel()
                    break
                yield waiting.result()
        finally:
            closing.cancel()
            for member in members:
                member.journal.listeners.discard(note)

    async def _save(self, _request: Request) -> Response:
        folder = tempfile.TemporaryDirectory()
        path = Path(folder.name) / "system.tar"
        try:
            self._simulator.save(path)
        except BaseException:
            folder.cleanup()
            raise

        return _Archive(path, folder)

    async def _load(self, request: Request) -> Response:
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "system.tar"
            with path.open("wb") as file:
                async for piece in request.stream():
                    file.write(piece)
            await self._simulator.load(path)
        return JSONResponse(state(self._simulator))

    async def _member(self, request: Request) -> Response:
        name, action = str(request.path_params["name"]), str(request.path_params["action"])
        if action not in ("down", "up"):
            return JSONResponse({"error": f"{action!r} is neither down nor up"}, 404)
        try:
            cluster = self._simulator.cluster
        except RuntimeError as error:
            return JSONResponse({"error": str(error)}, 409)
        if action == "down":
            cluster.take_down(name, abend=request.query_params.get("abend", "") not in ("", "0"))
        else:
            cluster.bring_up(name)
        await self._simulator.settle()
        return JSONResponse(state(self._simulator))


class _Archive(FileResponse):
    """A file that is gone when it has been sent."""

    def __init__(self, path: Path, folder: tempfile.TemporaryDirectory[str]) -> None:
        super().__init__(path, media_type="application/x-tar", filename="system.tar")
        self._folder = folder

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        try:
            await super().__call__(scope, receive, send)  # type: ignore[arg-type]
        finally:
            self._folder.cleanup()


def _door(port: int, path: Path | None) -> socket.socket:
    """A socket that listens: connections wait in it until the server takes them."""
    door = tcp_door("127.0.0.1", port) if path is None else unix_door(path)
    door.listen(64)
    return door


async def _each(lines: list[str]) -> AsyncIterator[str]:
    for line in lines:
        yield line


async def _refuse(_request: Request, error: Exception) -> Response:
    return JSONResponse({"error": str(error), "key": getattr(error, "key", "")}, 400)


async def _json(request: Request) -> object:
    try:
        return json.loads(await request.body())
    except ValueError as error:
        raise ModelError("body", f"is not JSON: {error}") from error


def _object(key: str, data: object) -> dict[str, object]:
    if not isinstance(data, dict):
        raise ModelError(key, "is not an object")
    return data


def timing(data: dict[str, object], now: Timing) -> Timing:
    """A latency from JSON data: a profile, single values, or a profile with values changed. ModelError."""
    values = dict(data)
    profile = values.pop("profile", None)
    if profile is not None:
        if not isinstance(profile, str) or profile not in TIMINGS:
            raise ModelError("latency.profile", f"{profile!r} is not one of {', '.join(TIMINGS)}")
        now = TIMINGS[profile]
    known = [field.name for field in fields(Timing)]
    for key, value in values.items():
        if key not in known:
            raise ModelError(f"latency.{key}", f"unknown key; known: profile, {', '.join(known)}")
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 86400:
            raise ModelError(f"latency.{key}", f"{value!r} is not a number of seconds from 0 to 86400")
    return replace(now, **values)  # type: ignore[arg-type]


def _latency(now: Timing) -> dict[str, object]:
    profile = next((name for name, known in TIMINGS.items() if known == now), "")
    return {"profile": profile, **asdict(now)}


def state(simulator: Simulator) -> dict[str, object]:
    """What the simulator runs, in numbers."""
    systems = []
    for member in simulator.members:
        system = member.system
        systems.append(
            {
                "name": member.name,
                "up": member.is_up,
                "smapi_port": member.smapi_port,
                "machine_port": member.machine_port,
                "release": system.facts.release,
                "level": system.facts.level,
                "time": system.now(),
                "entries": len(system.entries),
                "machines": len(system.machines),
                "disks": len(system.disks),
                "volumes": len(system.volumes),
                "vswitches": len(system.vswitches),
                "spool_files": len(system.spool),
                "operations": len(system.operations),
            }
        )
    return {
        "systems": systems,
        "latency": _latency(simulator.timing),
        "faults": len(simulator.faults.rules),
    }
