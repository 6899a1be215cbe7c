"""`zvm up` as a process, and eyes on the z/VM behind it through its public doors only (SMAPI, the machine port)."""

from __future__ import annotations

import base64
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.blocking import BlockingClient
from zvmcloud.smapi.declare import Answer, Request

PROGRAM = [sys.executable, "-c", "from zvmcloud.cli.main import main; main()"]


def zvm(*words: str, timeout: float = 90, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a command to its end."""
    env = {**os.environ, "COLUMNS": "120", **environment}
    return subprocess.run([*PROGRAM, *words], capture_output=True, text=True, env=env, timeout=timeout, check=False)


@dataclass(frozen=True, slots=True)
class Stack:
    """A running `zvm up`: what its up.json says."""

    state: Path
    process: subprocess.Popen[str]
    facts: dict[str, Any]

    @property
    def connector_port(self) -> int:
        return int(self.facts["connector"].rsplit(":", 1)[1])

    @property
    def admin_token(self) -> str:
        return Path(self.facts["admin_token_file"]).read_text().strip()

    def system(self, name: str) -> Stack:
        """The same stack, with the eyes on another of its z/VM systems."""
        (found,) = [system for system in self.facts["systems"] if system["name"] == name]
        return Stack(self.state, self.process, {**self.facts, **found})

    def smapi(self, request: Request[Any], allow: tuple[tuple[int, int], ...] = ()) -> Answer[Any]:
        """Call the simulated z/VM as MAINT."""
        smapi, password = self.facts["smapi"], Path(self.facts["maint_password_file"]).read_text().strip()
        with BlockingClient(smapi["host"], smapi["port"], userid="MAINT", password=password) as client:
            return client.call(request, allow=allow)

    def entry(self, userid: str) -> list[str]:
        """The directory entry, records without trailing blanks."""
        answer = self.smapi(f.ImageQueryDM(target=userid))
        return [record.rstrip() for record in answer.reply.image_record_array]

    def exists(self, userid: str) -> bool:
        return self.smapi(f.ImageQueryDM(target=userid), allow=((400, 4),)).rc == 0

    def is_on(self, userid: str) -> bool:
        return self.smapi(f.ImageStatusQuery(target=userid)).rs == 0

    @contextmanager
    def fault(self, **rule: object) -> Iterator[Callable[[], int]]:
        """A fault rule of the simulated z/VM until the end of the `with`; gives how often it has struck so far."""
        transport = httpx.HTTPTransport(uds=str(self.state / "simulator.control"))
        with httpx.Client(base_url="http://simulator", transport=transport, timeout=60) as control:
            made = control.post("/faults", json=rule)
            assert made.status_code == 201, made.text
            path = f"/faults/{made.json()['number']}"
            try:
                yield lambda: int(control.get(path).json()["struck"])
            finally:
                control.delete(path)

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """The agent's virtual machine, beside the agent: CP commands and linked disks."""
        machine, password = self.facts["machine"], Path(self.facts["zhcp_password_file"]).read_text().strip()
        with socket.create_connection((machine["host"], machine["port"]), timeout=10) as connection:
            yield Machine(connection, password)

    def disk_digest(self, userid: str, vdev: str, cylinders: int | None = None) -> str:
        """sha256 of what is on an ECKD minidisk, as the track stream of an image file."""
        with self.machine() as zhcp:
            zhcp.cp(f"LINK {userid} {vdev} 0F00 RR")
            try:
                with EckdDisk(zhcp.devices / "0.0.0f00") as disk:
                    return disk.sha256(cylinders)
            finally:
                zhcp.cp("DETACH 0F00")


class Machine:
    """One logged-on virtual machine at the machine port."""

    def __init__(self, connection: socket.socket, password: str) -> None:
        self._file = connection.makefile("rwb")
        welcome = self.ask(op="logon", userid="ZHCP", password=password)
        self.devices = Path(welcome["devices"])

    def ask(self, **message: object) -> dict[str, Any]:
        self._file.write(json.dumps(message).encode() + b"\n")
        self._file.flush()
        answer: dict[str, Any] = json.loads(self._file.readline())
        assert answer["ok"], answer
        return answer

    def cp(self, command: str) -> list[str]:
        answer = self.ask(op="cp", command=command)
        assert answer["rc"] == 0, answer
        lines: list[str] = answer["lines"]
        return lines

    def guest(self, userid: str, command: str) -> str:
        return str(self.ask(op="guest", userid=userid, command=command)["output"])

    def try_guest(self, userid: str, command: str) -> bool:
        """Whether the agent in the guest answers."""
        self._file.write(json.dumps({"op": "guest", "userid": userid, "command": command}).encode() + b"\n")
        self._file.flush()
        return bool(json.loads(self._file.readline())["ok"])

    def punch(self, name: str, data: bytes) -> str:
        return str(self.ask(op="punch", name=name, type="FILE", data=base64.b64encode(data).decode())["spoolid"])


@contextmanager
def running(state: Path, *words: str) -> Iterator[Stack]:
    """`zvm up` on free ports, until the end of the `with`; it must end cleanly when it is told to."""
    ports = ("--port", "0", "--smapi-port", "0", "--machine-port", "0")
    log = (state.parent / f"{state.name}.log").open("a+")
    process = subprocess.Popen(
        [*PROGRAM, "up", "--state", str(state), *ports, *words], stdout=log, stderr=subprocess.STDOUT, text=True
    )
    try:
        facts_file = state / "up.json"
        deadline = time.monotonic() + 300  # a busy machine starts six programs slowly
        while not (facts_file.exists() and json.loads(facts_file.read_text() or "{}").get("pid") == process.pid):
            if process.poll() is not None or time.monotonic() > deadline:
                log.seek(0)
                raise AssertionError(f"zvm up did not come up:\n{log.read()}")
            time.sleep(0.05)
        yield Stack(state, process, json.loads(facts_file.read_text()))
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            code = process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            raise
        log.close()
    assert code == 0, (state.parent / f"{state.name}.log").read_text()
