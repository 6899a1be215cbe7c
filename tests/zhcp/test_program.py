"""The program: it says where it listens and what it manages, ends cleanly on a signal, and survives a kill."""

import asyncio
import signal
import ssl
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest
import trustme

from zvmcloud.images.sample import write_sample_image
from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp.client import ZhcpClient, ZhcpError
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.guest_messages import CreateGuest
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.messages import operation_json

PROGRAM = "from zvmcloud.zhcp.program import app; app()"


@asynccontextmanager
async def program(config: Path) -> AsyncIterator[tuple[asyncio.subprocess.Process, str]]:
    """The running program and where it listens."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "run", "--settings", str(config), "--log-level", "warning",
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode().strip()
        yield process, line
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def settings(simulator: Simulator, listen: str) -> str:
    return f"""
        [smapi]
        port = {simulator.smapi_port}
        password = "ZHCP"
        [machine]
        port = {simulator.machine_port}
        [listen]
        {listen}
        [storage]
        image_folders = ["."]
    """


def client_of(folder: Path) -> httpx.AsyncClient:
    """A client of the agent's socket."""
    transport = httpx.AsyncHTTPTransport(uds=str(folder / "zhcp.sock"))
    return httpx.AsyncClient(transport=transport, base_url="http://zhcp", timeout=60)


async def test_it_serves_a_unix_socket_until_sigterm(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path / "zvm") as simulator:
        (tmp_path / "zhcp.toml").write_text(settings(simulator, 'unix = "zhcp.sock"'))
        async with program(tmp_path / "zhcp.toml") as (process, line):
            assert line == f"zHCP listens on unix:{tmp_path}/zhcp.sock, manages ZVM1 as ZHCP"
            assert (tmp_path / "zhcp.sock").stat().st_mode & 0o077 == 0
            async with ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
                assert (await client.health())["system"] == "ZVM1"
            process.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(process.wait(), 15) == 0
            assert not (tmp_path / "zhcp.sock").exists()


async def test_who_waits_for_something_is_answered_when_it_is_to_stop(tmp_path: Path) -> None:
    guest = CreateGuest(userid="LINUX01", vcpus=1, memory_mb=512)
    body = {"epoch": 1, "kind": guest.kind, "parameters": operation_json(guest)}
    async with Simulator(state=tmp_path / "zvm") as simulator:
        simulator.faults.add(Rule(function="Image_Create_DM", action="hang"))
        (tmp_path / "zhcp.toml").write_text(settings(simulator, 'unix = "zhcp.sock"'))
        async with program(tmp_path / "zhcp.toml") as (process, _), client_of(tmp_path) as client:
            begun = await client.put("/v1/operations/j/s", params={"wait": 0}, json=body)
            assert begun.json()["state"] == "running"
            seen = (await client.get("/v1/events")).json()
            while not seen["listening"]:
                news = {"stream": seen["stream"], "after": seen["last"], "wait": 60}
                seen = (await client.get("/v1/events", params=news)).json()
            news = {"stream": seen["stream"], "after": seen["last"], "wait": 60}
            events = asyncio.create_task(client.get("/v1/events", params=news))
            outcome = asyncio.create_task(client.get("/v1/operations/j/s", params={"wait": 60}))
            await client.get("/v1/health")
            assert not events.done()
            assert not outcome.done()
            process.send_signal(signal.SIGTERM)
            assert (await events).json()["stream"] == seen["stream"]
            assert (await outcome).json()["state"] == "running"
            assert await asyncio.wait_for(process.wait(), 15) == 0


async def test_mutual_tls_lets_in_only_clients_of_the_authority(tmp_path: Path) -> None:
    authority, stranger = trustme.CA(), trustme.CA()
    server, manager = authority.issue_cert("127.0.0.1"), authority.issue_cert("manager")
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    server.private_key_and_cert_chain_pem.write_to_path(tmp_path / "server.pem")
    manager.private_key_and_cert_chain_pem.write_to_path(tmp_path / "manager.pem")
    stranger.issue_cert("manager").private_key_and_cert_chain_pem.write_to_path(tmp_path / "stranger.pem")
    listen = 'port = 0\ncertificate = "server.pem"\nkey = "server.pem"\nclient_ca = "ca.pem"'
    async with Simulator(state=tmp_path / "zvm") as simulator:
        (tmp_path / "zhcp.toml").write_text(settings(simulator, listen))
        async with program(tmp_path / "zhcp.toml") as (_, line):
            address = line.split()[3].rstrip(",")
            assert address.startswith("https://127.0.0.1:")
            ca = str(tmp_path / "ca.pem")
            async with ZhcpClient(address, ca=ca, certificate=str(tmp_path / "manager.pem")) as client:
                assert (await client.health())["userid"] == "ZHCP"
            for other in ("", str(tmp_path / "stranger.pem")):
                async with ZhcpClient(address, ca=ca, certificate=other) as client:
                    with pytest.raises(ZhcpError, match="agent-unreachable"):
                        await client.health()
            with pytest.raises(httpx.ConnectError):
                async with httpx.AsyncClient(verify=ssl.create_default_context()) as plain:
                    await plain.get(address)


async def test_killed_in_the_middle_of_a_copy_it_goes_on_after_a_restart(tmp_path: Path) -> None:
    image = write_sample_image(tmp_path / "sample", cylinders=20, filler_bytes=8_000_000)
    async with Simulator(state=tmp_path / "zvm") as simulator:
        (tmp_path / "zhcp.toml").write_text(settings(simulator, 'unix = "zhcp.sock"'))
        data = image.path.read_bytes()
        served = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 200 OK\r\nContent-Length: {len(data)}\r\n\r\n".encode())
            if not served.is_set():
                writer.write(data[: len(data) // 2])
                await writer.drain()
                await served.wait()
            else:
                writer.write(data)
                await writer.drain()
            writer.close()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/image"
        disk = NewDisk(vdev="0100", size_units=30, pool="POOL1")
        guest = CreateGuest(userid="LINUX01", vcpus=1, memory_mb=512, ipl="0100", disks=(disk,))
        write = WriteImage(
            userid="LINUX01", vdev="0100", source=ImageSource(url=url, sha256=image.sha256, bytes=image.bytes)
        )
        async with program(tmp_path / "zhcp.toml") as (process, _):
            async with ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
                await client.run(job="j", step="create", epoch=1, operation=guest)
                async with client_of(tmp_path) as http:
                    document = {"epoch": 1, "kind": write.kind, "parameters": operation_json(write)}
                    answer = await http.put("/v1/operations/j/write", params={"wait": 0.5}, json=document)
                    assert answer.json()["state"] == "running"
                    assert answer.json()["progress"] > 0.1
            process.kill()
            await process.wait()
        served.set()
        assert any("F00" in link for link in _links(simulator))
        async with program(tmp_path / "zhcp.toml"), ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
            outcome = await client.run(job="j", step="write", epoch=1, operation=write)
            assert outcome.result is not None
            assert outcome.result["bootable"] is True
        assert not any("F00" in link for link in _links(simulator))
        server.close()


def _links(simulator: Simulator) -> list[str]:
    return [path.name.upper() for path in (simulator.system.device_folder / "ZHCP").iterdir()]


async def test_settings_that_are_wrong_end_the_program_with_the_member(tmp_path: Path) -> None:
    (tmp_path / "zhcp.toml").write_text("[smapi]\nport = 0\n")
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", PROGRAM, "run", "--settings", str(tmp_path / "zhcp.toml"),
        stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    _, said = await process.communicate()
    assert process.returncode == 2
    assert b"smapi.port: 0 given, the range is 1 to 65535" in said


async def test_a_second_agent_with_the_same_state_folder_is_refused(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path / "zvm") as simulator:
        (tmp_path / "zhcp.toml").write_text(settings(simulator, 'unix = "zhcp.sock"'))
        async with program(tmp_path / "zhcp.toml"):
            second = await asyncio.create_subprocess_exec(
                sys.executable, "-c", PROGRAM, "run", "--settings", str(tmp_path / "zhcp.toml"),
                stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            )  # fmt: skip
            async with asyncio.timeout(20):
                _, said = await second.communicate()
            assert second.returncode == 2
            assert b"another agent uses the state folder" in said
            async with ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
                assert await client.health()


async def test_a_web_page_cannot_reach_the_agent(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path / "zvm") as simulator:
        (tmp_path / "zhcp.toml").write_text(settings(simulator, 'unix = "zhcp.sock"'))
        async with program(tmp_path / "zhcp.toml"), ZhcpClient(f"unix:{tmp_path}/zhcp.sock") as client:
            with pytest.raises(ZhcpError) as caught:
                await client.ask("GET", "/v1/health", headers={"Origin": "http://evil.example"})
    assert caught.value.problem.code == "browser"
