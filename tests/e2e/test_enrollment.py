"""An agent on another machine: a manager with a certificate of its site, `zvm zhcp enroll` and `zvm zhcp run` as
processes, an image fetched over HTTPS, and an agent that is removed."""

from __future__ import annotations

import asyncio
import hashlib
import ssl
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from e2e.programs import Manager, Program, free_port, until
from e2e.stack import zvm
from zvmcloud.images import sample
from zvmcloud.manager.systems.authority import Authority
from zvmcloud.simulator.embed import Simulator


@dataclass(frozen=True, slots=True)
class Site:
    """A z/VM, its agent's settings file, and a manager behind HTTPS that knows neither."""

    folder: Path
    simulator: Simulator
    manager: Manager
    url: str
    ca: Path
    agent_url: str
    agent_settings: Path
    agent: Program

    async def invited(self) -> str:
        return str((await self.manager.post("/systems/zvm1/enrollment"))["token"])

    async def enroll(self, token: str, *more: str) -> subprocess.CompletedProcess[str]:
        """The agent's side, as its administrator types it."""
        words = ("--settings", str(self.agent_settings), "--manager", self.url, "--url", self.agent_url, *more)
        return await asyncio.to_thread(
            lambda: zvm("zhcp", "enroll", *words, "--token", token, SSL_CERT_FILE="/nonexistent")
        )

    async def reachable(self) -> bool:
        found = (await self.manager.client.get("/v1/systems")).json()
        return [row["reachable"] for row in found] == [True]


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """A certificate for 127.0.0.1 of the site's own authority: the authority, the certificate, its key."""
    site = Authority(folder / "site")
    key = folder / "server.key"
    words = ["openssl", "req", "-new", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    request = subprocess.run(
        [*words, "-subj", "/CN=manager", "-keyout", str(key)], capture_output=True, text=True, check=True
    ).stdout
    file = folder / "server.pem"
    file.write_text(site.sign(request, "127.0.0.1").certificate)
    return site.ca, file, key


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    ca, file, key = await asyncio.to_thread(certificate, tmp_path)
    port, agent_port = free_port(), free_port()
    url = f"https://127.0.0.1:{port}"
    settings = f'state = "{tmp_path / "one"}"\nhost = "127.0.0.1"\nport = {port}\n'
    settings += f'[tls]\ncertificate = "{file}"\nkey = "{key}"\n[inventory]\nseconds = 0\n'
    manager = Manager(tmp_path, "one", "zvmcloud.api.program", settings, url)
    manager.client = httpx.AsyncClient(
        base_url=url,
        timeout=60,
        headers=manager.client.headers,
        verify=ssl.create_default_context(cafile=str(ca)),
    )
    async with Simulator(state=tmp_path / "vm") as simulator:
        (tmp_path / "zhcp").mkdir()
        agent = tmp_path / "zhcp" / "zhcp.toml"
        agent.write_text(
            f'[smapi]\nport = {simulator.smapi_port}\nuserid = "ZHCP"\npassword = "ZHCP"\n'
            f"[machine]\nport = {simulator.machine_port}\n[listen]\nport = {agent_port}\n"
            f'[storage]\nstate = "{tmp_path / "zhcp" / "state"}"\n'
        )
        agent_url = f"https://127.0.0.1:{agent_port}"
        program = Program(tmp_path, "agent", "zvmcloud.zhcp.program", agent.read_text(), agent_url)
        await manager.start()
        try:
            yield Site(tmp_path, simulator, manager, url, ca, agent_url, agent, program)
        finally:
            for one in (manager, program):
                if one.process is not None:
                    await one.end()
                await one.client.aclose()


async def test_an_agent_comes_in_gets_images_over_https_and_is_refused_when_it_is_removed(site: Site) -> None:
    manager = site.manager
    token = await site.invited()
    unknown = await site.enroll(token)
    assert unknown.returncode == 2
    assert "CERTIFICATE_VERIFY_FAILED" in unknown.stderr, "the site's authority is not a public one"
    done = await site.enroll(token, "--ca", str(site.ca))
    assert done.returncode == 0, done.stderr
    assert "enrolled as ZVM1" in done.stdout
    again = await site.enroll(token, "--ca", str(site.ca))
    assert again.returncode == 2
    assert "was used" in again.stderr
    agent = site.agent
    await agent.start(wait=False)
    await until(site.reachable, agent.log)

    image = await asyncio.to_thread(lambda: sample.write_sample_image(site.folder / "sample.img", cylinders=10))
    data = image.path.read_bytes()
    announced = {"name": "web", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "os_version": "rhel8.6"}
    upload = await manager.post("/uploads", **announced)
    await manager.client.put(f"/v1/uploads/{upload['id']}", content=data)
    assert (await manager.over(upload["id"]))["state"] == "done"
    # What an earlier fetch left: the agent asks for the rest with Range.
    cache = site.folder / "zhcp" / "state" / "images"
    cache.mkdir(parents=True, exist_ok=True)
    half = cache / f"sha256-{announced['sha256']}.partial"
    half.write_bytes(data[: len(data) // 2])
    half.with_name(half.name.replace(".partial", ".etag")).write_text(f'"{announced["sha256"]}"')
    await manager.done("/systems/ZVM1/guests", userid="LINUX01", disks=[{"size": "10", "boot": True}])
    await manager.done("/guests/ZVM1/LINUX01/deploy", image="web")
    assert (cache / f"sha256-{announced['sha256']}").read_bytes() == data
    await manager.done("/guests/ZVM1/LINUX01/capture", image="copy", os_version="rhel8.6")
    assert (await manager.client.get("/v1/images/copy")).json()["cylinders"] == 10

    # Another certificate takes the place of the first: the agent that still shows that one is not believed any more.
    renewed = await site.enroll(await site.invited(), "--ca", str(site.ca))
    assert renewed.returncode == 0, renewed.stderr
    assert not await site.reachable()
    refused = await manager.client.get("/v1/guests/ZVM1/LINUX01")
    assert (refused.status_code, refused.json()["code"]) == (503, "agent-unreachable")
    assert "another certificate" in refused.json()["detail"]
    await agent.end()
    await agent.start(wait=False)
    await until(site.reachable, agent.log)

    await manager.done("/guests/ZVM1/LINUX01/forget")
    assert (await manager.client.delete("/v1/systems/ZVM1")).status_code == 204
    assert (await manager.client.get("/v1/systems")).json() == []
    gone = await manager.client.post("/v1/systems/ZVM1/look")
    assert (gone.status_code, gone.json()["code"]) == (404, "system-unknown")
