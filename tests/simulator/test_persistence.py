"""State outlives the process: kill -9 under load loses no acknowledged change and leaves nothing half written."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from simulator.checks import consistent
from simulator.support import linux
from zvmcloud.simulator import guests
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.filling import open_system
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import encode_request

RUN = [sys.executable, "-c", "from zvmcloud.simulator.program import app; app()", "run", "--host", "127.0.0.1"]


class Server:
    """The program in a process of its own."""

    def __init__(self, state: Path) -> None:
        command = [*RUN, "--state", str(state), "--smapi-port", "0", "--machine-port", "0"]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        lines = [self.process.stdout.readline() for _ in range(3)]
        assert lines[2].endswith("ready\n"), lines
        self.port = int(lines[0].rpartition(":")[2])

    def call(self, request: bytes) -> tuple[int, int]:
        with socket.create_connection(("127.0.0.1", self.port), timeout=10) as connection:
            connection.sendall(request)
            data = b""
            while piece := connection.recv(65536):
                data += piece
        if len(data) < 20:
            raise ConnectionError("no reply")
        return int.from_bytes(data[12:16], "big"), int.from_bytes(data[16:20], "big")

    def stop(self, number: int = signal.SIGTERM) -> int:
        self.process.send_signal(number)
        try:
            return self.process.wait(10)
        finally:
            if self.process.stdout is not None:
                self.process.stdout.close()


def create(name: str) -> bytes:
    records = (*linux(name), "MDISK 0100 3390 AUTOG 2 POOL1 MR")
    return encode_request(f.ImageCreateDM(target=name, image_record_array=records), "MAINT", "MAINT")


def test_killed_again_and_again_under_load(tmp_path: Path) -> None:
    acknowledged: set[str] = set()
    number = 0
    for round_ in range(4):
        server = Server(tmp_path)
        # The kill comes from another process in the middle of the calls, at a moment nobody chose.
        killer = subprocess.Popen(
            [
                sys.executable,
                "-c",
                f"import os,time; time.sleep({0.1 + 0.07 * round_}); os.kill({server.process.pid}, 9)",
            ]
        )
        try:
            while True:
                number += 1
                name = f"L{number:06d}"
                assert server.call(create(name)) == (0, 0)
                acknowledged.add(name)
                if number % 3 == 0:
                    gone = f"L{number - 1:06d}"
                    if gone in acknowledged:
                        acknowledged.discard(gone)
                        server.call(encode_request(f.ImageDeleteDM(target=gone), "MAINT", "MAINT"))
        except (ConnectionError, TimeoutError):
            pass
        killer.wait()
        assert server.stop(0) == -9
        system = open_system(tmp_path)
        try:
            assert acknowledged <= set(system.entries)
            consistent(system)
        finally:
            system.close()
    assert len(acknowledged) > 20


def test_the_program_ends_cleanly_when_told_to(tmp_path: Path) -> None:
    server = Server(tmp_path)
    assert server.call(create("LINUX01")) == (0, 0)
    assert server.stop() == 0
    again = Server(tmp_path)
    query = encode_request(f.ImageQueryDM(target="LINUX01"), "MAINT", "MAINT")
    assert again.call(query) == (0, 0)
    log = subprocess.run(
        [*RUN[:3], "log", "--state", str(tmp_path), "--json"], capture_output=True, text=True, check=True
    )
    calls = [json.loads(line) for line in log.stdout.splitlines()]
    assert [(call["function"], call["target"], call["rc"]) for call in calls] == [
        ("Image_Create_DM", "LINUX01", 0),
        ("Image_Query_DM", "LINUX01", 0),
    ]
    assert again.stop(signal.SIGINT) == 0


def test_a_wrong_option_is_named(tmp_path: Path) -> None:
    model = tmp_path / "model.toml"
    model.write_text("[pool.POOL1]\nsize = 5\n")
    ended = subprocess.run(
        [*RUN, "--state", str(tmp_path / "s"), "--model", str(model)], capture_output=True, text=True, check=False
    )
    assert ended.returncode == 2
    assert "pool.POOL1.size" in ended.stderr


def test_a_machine_that_was_booting_comes_up_after_a_restart(tmp_path: Path) -> None:
    clock = ManualClock()
    system = open_system(tmp_path, clock=clock)
    logon = system.machines["TCPIP"].logon_at
    system.close()
    system = open_system(tmp_path, clock=clock)
    guests.resume(system)
    clock.advance(1)
    running = system.machines["TCPIP"].system
    assert running is not None
    assert (running.phase, system.machines["TCPIP"].logon_at) == ("up", logon)
    system.close()


def test_a_state_folder_has_one_simulator(tmp_path: Path) -> None:
    system = open_system(tmp_path, clock=ManualClock())
    with pytest.raises(ModelError, match="in use"):
        open_system(tmp_path, clock=ManualClock())
    system.close()
    open_system(tmp_path, clock=ManualClock()).close()


def test_passwords_of_a_model_replace_those_of_the_preset(tmp_path: Path) -> None:
    system = open_system(tmp_path, replace(PRESETS["lpar"], passwords={"MAINT": "OTHER"}), clock=ManualClock())
    entry = system.entry("MAINT")
    assert entry is not None
    assert entry.accepts_password("other")
    assert not entry.accepts_password("MAINT")
    system.close()
    assert oct((tmp_path / "system.sqlite").stat().st_mode & 0o077) == "0o0" or os.name != "posix"
