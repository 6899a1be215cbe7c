"""The manager's program."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from manager.support import settings
from zvmcloud.api.program import serve
from zvmcloud.serving import TakenError, alone


async def test_one_manager_uses_a_state_folder(tmp_path: Path) -> None:
    found = replace(settings(tmp_path / "state"), port=0)
    with (
        alone(tmp_path / "state", "manager"),
        pytest.raises(TakenError, match="another manager uses the state folder"),
    ):
        await serve(found)
    assert not (tmp_path / "state" / "manager.sqlite").exists()


def test_a_state_folder_is_free_when_its_program_has_ended(tmp_path: Path) -> None:
    for _ in range(2):
        with alone(tmp_path, "program"), pytest.raises(TakenError), alone(tmp_path, "program"):
            raise AssertionError


async def test_a_header_does_not_change_a_clients_address(tmp_path: Path) -> None:
    """The door is open for one address; a process of this machine cannot say that it comes from there."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = settings(tmp_path / "state", connector={"mode": "open", "open_from": ["192.0.2.5"]})
    running = asyncio.create_task(serve(replace(found, port=port)))
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            for _ in range(400):
                with contextlib.suppress(httpx.ConnectError):
                    await client.get("/")
                    break
                assert not running.done()
                await asyncio.sleep(0.05)
            for name in ("x-forwarded-for", "x-real-ip", "forwarded"):
                answer = await client.get("/guests", headers={name: "192.0.2.5"})
                assert answer.status_code == 401, name
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
