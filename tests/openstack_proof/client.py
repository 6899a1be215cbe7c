"""The real `openstack` command, one process for each, and what it answers."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from openstack_proof.settings import REGION, Places


class CommandFailed(Exception):
    """The command said no; its words are the message."""


class Transcript:
    """A file with every command and its output, for the guide."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def note(self, words: Sequence[str], output: str) -> None:
        with self._path.open("a") as file:
            file.write(f"$ {shlex.join(words)}\n{output}")


class Openstack:
    """The command line as the cloud's admin."""

    def __init__(self, places: Places, transcript: Transcript) -> None:
        self._program = places.program("openstack")
        self._transcript = transcript
        self._environment = {
            **os.environ,
            "OS_AUTH_URL": f"{places.url('keystone')}/v3", "OS_USERNAME": "admin", "OS_PASSWORD": places.password,
            "OS_PROJECT_NAME": "admin", "OS_USER_DOMAIN_ID": "default", "OS_PROJECT_DOMAIN_ID": "default",
            "OS_REGION_NAME": REGION, "OS_IDENTITY_API_VERSION": "3", "OS_COMPUTE_API_VERSION": "2.95",
            "COLUMNS": "120",
        }  # fmt: skip

    async def __call__(self, *words: str, seconds: float = 300.0) -> str:
        """Run it; its output. Raises CommandFailed."""
        process = await asyncio.create_subprocess_exec(
            str(self._program), *words, env=self._environment,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                out, error = await process.communicate()
        except TimeoutError:
            process.kill()
            await process.wait()
            raise CommandFailed(f"openstack {' '.join(words)}: not within {seconds:.0f} s") from None
        self._transcript.note(["openstack", *words], out.decode())
        if process.returncode:
            raise CommandFailed(f"openstack {' '.join(words)}: {error.decode().strip()[-2000:]}")
        return out.decode()

    async def json(self, *words: str) -> Any:
        """Its answer as data."""
        return json.loads(await self(*words, "-f", "json"))

    async def until(
        self,
        words: tuple[str, ...],
        true: Callable[[dict[str, Any]], bool],
        *,
        bad: str = "ERROR",
        seconds: float = 300,
    ) -> dict[str, Any]:
        """Ask again and again until the answer is right. Raises CommandFailed: its status is ``bad``, or it is late.

        Between two questions it waits longer than a question takes: the command needs a processor for seconds."""
        deadline = time.monotonic() + seconds
        while True:
            begin = time.monotonic()
            found: dict[str, Any] = await self.json(*words)
            if true(found):
                return found
            if found.get("status") == bad:
                fault = found.get("fault") or {}
                raise CommandFailed(f"{' '.join(words)}: {bad}: {json.dumps(fault)[:3000]}")
            if time.monotonic() > deadline:
                raise CommandFailed(f"{' '.join(words)}: still {json.dumps(found)[:1500]}")
            await asyncio.sleep(max(1.0, 1.5 * (time.monotonic() - begin)))
