"""Agents come in by a one-time token and a certificate request; then both sides show certificates."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from starlette.types import ASGIApp

from api.native import ok, refused
from zvmcloud.api.program import doors
from zvmcloud.manager.node import Node
from zvmcloud.manager.systems.authority import Authority
from zvmcloud.serving import Server, tcp_door
from zvmcloud.simulator.embed import Simulator
from zvmcloud.zhcp import enrollment
from zvmcloud.zhcp import settings as agent_settings
from zvmcloud.zhcp.enrollment import EnrollmentError
from zvmcloud.zhcp.program import runner_of
from zvmcloud.zhcp.service import Service
from zvmcloud.zhcp.settings import Settings


@asynccontextmanager
async def served(app: ASGIApp, door: socket.socket, **tls: Any) -> AsyncIterator[None]:
    server = Server(uvicorn.Config(app, http="h11", lifespan="off", log_level="critical", **tls))
    task = asyncio.create_task(server.serve([door]))
    try:
        yield
    finally:
        server.leave()
        server.leave()
        await task


def listening() -> tuple[socket.socket, int]:
    door = tcp_door("127.0.0.1", 0)
    return door, door.getsockname()[1]


@pytest.fixture
async def manager(node: Node) -> AsyncIterator[str]:
    """The manager's URL."""
    door, port = listening()
    async with served(doors(node), door):
        yield f"http://127.0.0.1:{port}"


def settings_of(folder: Path, **more: Any) -> Settings:
    folder.mkdir(exist_ok=True)
    return agent_settings.read({"smapi": {"userid": "ZHCP", "password": "ZHCP"}, **more}, folder)


async def invite(admin: httpx.AsyncClient, system: str = "zvm9") -> str:
    found = await ok(await admin.post(f"/systems/{system}/enrollment", json={}), 201)
    return str(found["token"])


async def test_an_enrolled_agent_and_its_manager_know_each_other(
    tmp_path: Path, node: Node, admin: httpx.AsyncClient, manager: str
) -> None:
    async with Simulator(state=tmp_path / "zvm") as simulator:
        settings = settings_of(
            tmp_path / "agent",
            smapi={"port": simulator.smapi_port, "userid": "ZHCP", "password": "ZHCP"},
            machine={"port": simulator.machine_port},
        )
        door, port = listening()
        url = f"https://127.0.0.1:{port}"
        token = await invite(admin)
        assert await asyncio.to_thread(enrollment.enroll, settings, manager, token, url) == "ZVM9"
        tls = settings.tls
        assert tls is not None
        assert tls.key.stat().st_mode & 0o077 == 0
        runner = runner_of(settings)
        files = {"ssl_certfile": tls.certificate, "ssl_keyfile": tls.key, "ssl_ca_certs": str(tls.client_ca)}
        async with served(Service(runner).application(), door, **files, ssl_cert_reqs=ssl.CERT_REQUIRED):
            detail = await ok(await admin.get("/systems/ZVM9"))
            assert (detail["origin"], detail["reachable"], detail["url"]) == ("enrolled", True, url)
            assert detail["certificate"]["expires"] > detail["certificate"]["issued"]
            await ok(await admin.post("/systems/ZVM9/look"))
            found = await ok(await admin.get("/inventory/guests", params={"system": "ZVM9", "userid": "MAINT"}))
            assert found["items"][0]["userid"] == "MAINT"
            context = ssl.create_default_context(cafile=str(tls.client_ca))
            async with httpx.AsyncClient(verify=context) as stranger:
                with pytest.raises(httpx.HTTPError):
                    await stranger.get(f"{url}/v1/health")
            context.load_cert_chain(tls.certificate, tls.key)
            async with httpx.AsyncClient(verify=context) as another_agent:
                with pytest.raises(httpx.HTTPError):
                    await another_agent.get(f"{url}/v1/health")
        await runner.stop()
    stored = await ok(await admin.get("/audit", params={"limit": 1000}))
    assert token not in str(stored)
    assert {"system.invite", "system.enroll"} <= {row["action"] for row in stored["items"]}
    await ok(await admin.delete("/systems/ZVM9"), 204)
    await refused(await admin.get("/systems/ZVM9"), 404, "system-unknown")
    assert (await ok(await admin.get("/inventory/guests", params={"system": "ZVM9"})))["items"] == []


async def test_a_token_works_once_and_only_for_its_system(
    tmp_path: Path, admin: httpx.AsyncClient, manager: str
) -> None:
    token = await invite(admin)
    settings = settings_of(tmp_path / "agent")
    await asyncio.to_thread(enrollment.enroll, settings, manager, token, "https://zvm9.example.org:8091")
    key = (settings.tls_folder / "agent.key").read_bytes()
    with pytest.raises(EnrollmentError, match="unknown, was used"):
        await asyncio.to_thread(enrollment.enroll, settings, manager, token, "https://evil.example.org")
    assert (settings.tls_folder / "agent.key").read_bytes() == key, "a refusal leaves the agent as it was"
    assert (await ok(await admin.get("/systems/ZVM9")))["url"] == "https://zvm9.example.org:8091"
    first = await invite(admin)
    await invite(admin)
    with pytest.raises(EnrollmentError, match="unknown, was used"):
        await asyncio.to_thread(enrollment.enroll, settings, manager, first, "https://zvm9.example.org")


async def test_an_answer_of_another_authority_is_not_believed(
    tmp_path: Path, admin: httpx.AsyncClient, manager: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = Authority(tmp_path / "other")
    other.ensure()
    real = enrollment._ask

    def forged(manager: str, body: dict[str, str], ca: Path | None) -> dict[str, str]:
        issued = other.sign(body["csr"], "127.0.0.1")
        return {**real(manager, body, ca), "certificate": issued.certificate, "ca": other.text}

    monkeypatch.setattr(enrollment, "_ask", forged)
    settings = settings_of(tmp_path / "agent")
    with pytest.raises(EnrollmentError, match="another authority"):
        await asyncio.to_thread(enrollment.enroll, settings, manager, await invite(admin), "https://zvm9")
    assert settings.tls is None


async def test_a_token_does_not_go_over_an_open_line(tmp_path: Path, admin: httpx.AsyncClient, manager: str) -> None:
    settings = settings_of(tmp_path / "agent")
    token = await invite(admin)
    with pytest.raises(EnrollmentError, match="not https"):
        enrollment.enroll(settings, "http://192.0.2.1:8080", token, "https://zvm9")
    with pytest.raises(EnrollmentError, match="names no authority"):
        enrollment.enroll(settings, manager, "x", "https://zvm9")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"token": "x"}, "enrollment-token"),
        ({"csr": "x"}, "bad-input"),
        ({"url": "http://zvm9"}, "bad-input"),
        ({"url": "https://"}, "bad-input"),
        ({"url": "https://a b"}, "bad-input"),
    ],
)
async def test_bad_requests_use_no_token(
    change: dict[str, str], code: str, tmp_path: Path, admin: httpx.AsyncClient, client: Any
) -> None:
    token = await invite(admin)
    csr = await asyncio.to_thread(enrollment._request, tmp_path / "key")
    body = {"token": token, "csr": csr, "url": "https://zvm9.example.org"}
    await refused(await client("").post("/enroll", json=body | change), 401 if "token" in change else 400, code)
    assert await ok(await client("").post("/enroll", json=body), 201)


async def test_a_weak_key_is_refused(tmp_path: Path, admin: httpx.AsyncClient, client: Any) -> None:
    import subprocess

    words = ["openssl", "req", "-new", "-newkey", "rsa:1024", "-nodes", "-subj", "/CN=x", "-keyout"]
    csr = subprocess.run([*words, str(tmp_path / "key")], capture_output=True, text=True, check=True).stdout
    body = {"token": await invite(admin), "csr": csr, "url": "https://zvm9.example.org"}
    problem = await refused(await client("").post("/enroll", json=body), 400, "bad-input")
    assert "2048" in problem["detail"]


async def test_systems_of_the_settings_are_not_changed_at_run_time(admin: httpx.AsyncClient) -> None:
    await refused(await admin.post("/systems/ZVM1/enrollment", json={}), 409, "system-settings")
    await refused(await admin.delete("/systems/ZVM1"), 409, "system-settings")
    await refused(await admin.post("/systems", json={"name": "ZVM1", "url": "http://zhcp"}), 409, "system-exists")
    await refused(await admin.post("/systems", json={"name": "a b", "url": "http://zhcp"}), 400, "bad-input")
    await refused(await admin.post("/systems", json={"name": "ZVM2", "url": "ftp://zhcp"}), 400, "bad-input")


async def test_a_system_added_at_run_time_is_there_until_it_is_removed(admin: httpx.AsyncClient, node: Node) -> None:
    found = await ok(await admin.post("/systems", json={"name": "zvm2", "url": "http://127.0.0.1:1"}), 201)
    assert (found["name"], found["origin"], found["reachable"]) == ("ZVM2", "api", False)
    assert [row["name"] for row in await ok(await admin.get("/systems"))] == ["ZVM1", "ZVM2"]
    await ok(await admin.delete("/systems/zvm2"), 204)
    assert node.core.agents.names == ("ZVM1",)
