"""kill -9 in the middle of calls of several clients, again and again (KILLS of them; `make test-kills` does 200).

Compared after every kill: what clients were told, what the journal says, what the state holds.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

from simulator.checks import consistent
from simulator.support import linux
from simulator.test_persistence import Server
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.filling import open_system
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.connection import encode_request
from zvmcloud.smapi.declare import Request

KILLS = int(os.environ.get("KILLS", "3"))
CLIENTS = 3
#: Guests a client keeps; it deletes the oldest beyond that.
KEPT = 5


def wire(request: Request) -> bytes:  # type: ignore[type-arg]
    return encode_request(request, "MAINT", "MAINT")


class Client(threading.Thread):
    """Creates, enlarges and deletes guests of its own until the server is gone; knows what it was told."""

    def __init__(self, server: Server, number: int, round_: int, there: list[str]) -> None:
        super().__init__()
        self.server = server
        self.prefix = f"K{number}{round_:04d}"
        self.there = there
        self.doubtful = ""
        """The guest of the call that got no answer."""
        self.calls = 0
        self.refused: list[str] = []

    def run(self) -> None:
        number = 0
        try:
            while True:
                name = f"{self.prefix}{number:02d}"[:8]
                number += 1
                records = (*linux(name), "MDISK 0100 3390 AUTOG 1 POOL1 MR")
                self.call(name, f.ImageCreateDM(target=name, image_record_array=records))
                self.there.append(name)
                if len(self.there) > KEPT:
                    gone = self.there[0]
                    self.call(gone, f.ImageDeleteDM(target=gone))
                    self.there.pop(0)
                if number == 99:
                    return
        except (OSError, TimeoutError):
            pass

    def call(self, name: str, request: Request) -> None:  # type: ignore[type-arg]
        self.doubtful = name
        codes = self.server.call(wire(request))
        if codes != (0, 0):
            self.refused.append(f"{request.spec.name} {name}: {codes}")
        self.calls += 1
        self.doubtful = ""


def journalled(state: Path) -> set[str]:
    """The guests that the journal's calls leave behind. A kill may tear its last line."""
    there: set[str] = set()
    for path in (state / "journal.old.jsonl", state / "journal.jsonl"):
        for line in path.read_text().splitlines() if path.exists() else ():
            try:
                call = json.loads(line)
            except ValueError:
                continue
            if call["rc"] == 0 and call["function"] == "Image_Create_DM":
                there.add(call["target"])
            if call["rc"] == 0 and call["function"] == "Image_Delete_DM":
                there.discard(call["target"])
    return there


def test_what_was_acknowledged_survives_every_kill(tmp_path: Path) -> None:
    kept: list[list[str]] = [[] for _ in range(CLIENTS)]
    # Calls that were in flight when a kill came: done and not answered, or not done.
    open_names: set[str] = set()
    calls = 0
    for round_ in range(KILLS):
        server = Server(tmp_path)
        # The kill comes from another process, at a moment nobody chose.
        delay = 0.05 + (round_ * 37 % 40) / 200
        program = f"import os,time; time.sleep({delay}); os.kill({server.process.pid}, {signal.SIGKILL})"
        clients = [Client(server, number, round_, kept[number]) for number in range(CLIENTS)]
        for client in clients:
            client.start()
        subprocess.run([sys.executable, "-c", program], check=True)
        for client in clients:
            client.join(30)
            assert not client.is_alive()
            calls += client.calls
        assert server.stop(0) == -signal.SIGKILL
        # A guest whose create or delete was in doubt may be refused when the same name is tried again: none is.
        assert [line for client in clients for line in client.refused if client.doubtful not in line] == []
        open_names |= {client.doubtful for client in clients if client.doubtful}
        system = open_system(tmp_path, clock=ManualClock())
        try:
            consistent(system)
            there = {name for name in system.entries if name.startswith("K")}
        finally:
            system.close()
        told = {name for names in kept for name in names}
        assert told - there <= open_names, "a guest that was acknowledged is gone"
        assert there - told <= open_names, "a guest is there whose deletion was acknowledged, or that nobody asked for"
        assert journalled(tmp_path) ^ there <= open_names, "journal and state say different things"
        # A delete that was in doubt and has been done: the client must not expect the guest.
        for names in kept:
            names[:] = [name for name in names if name in there]
    assert calls > KILLS
