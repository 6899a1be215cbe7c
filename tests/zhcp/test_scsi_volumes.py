"""SCSI volumes: images onto LUNs and back through FCP devices of the agent's own machine; guests boot from them."""

from __future__ import annotations

import asyncio
import dataclasses
import gzip
import hashlib
from pathlib import Path
from typing import Any

import pytest

from zhcp.conftest import Agent
from zhcp.image_server import ImageServer
from zhcp.test_image_read import Receiver, receiver
from zhcp.test_road import until_up
from zvmcloud.images import header
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.sample import write_sample_blocks
from zvmcloud.simulator import luns
from zvmcloud.simulator.faults import Rule
from zvmcloud.simulator.model_devices import Lun
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.fcp_messages import RefreshBootmap
from zvmcloud.zhcp.guest_messages import CreateGuest, StartGuest
from zvmcloud.zhcp.image_messages import CloneDisk, EraseDisk, ImageSource, ImageTarget, ReadImage, Volume, WriteImage
from zvmcloud.zhcp.messages import parse_operation
from zvmcloud.zhcp.operations.linked import online

BLOCKS = 8192
PORT, OTHER_PORT = "500507630708d3b3", "50050763071bc5e3"
FIRST, SECOND = "4010400000000000", "4010400100000000"
__all__ = ["receiver"]


def lun(agent: Agent, number: str = FIRST, blocks: int = BLOCKS) -> Lun:
    """A LUN behind two ports."""
    system = agent.simulator.system
    with system.transaction():
        for port in (PORT.upper(), OTHER_PORT.upper()):
            made = Lun(port, number, f"60050763{number}00000010".ljust(32, "0"), blocks)
            system.luns.put(f"{port} {number}", made)
    return made


def content(agent: Agent, number: str = FIRST) -> bytes:
    found = next(item for item in agent.simulator.system.luns.values() if item.lun == number)
    return luns.file(agent.simulator.system, found).read_bytes()


def volume(number: str = FIRST, devices: tuple[str, ...] = ("1A00", "1B00")) -> Volume:
    return Volume(lun=number, wwpns=(PORT, OTHER_PORT), devices=devices)


def an_image(agent: Agent, blocks: int = BLOCKS) -> ImageSource:
    """A system for a SCSI disk, as raw bytes."""
    path = agent.folder / "images" / "scsi"
    with FbaDisk.create(path, blocks) as disk:
        write_sample_blocks(disk, scsi=True)
    return ImageSource(url=path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


async def with_devices(agent: Agent) -> None:
    """The agent's machine has two FCP devices."""
    for device in ("1A00", "1B00"):
        answer = await agent.runner.machine.cp(f"ATTACH {device} TO * AS {device}")
        assert answer.rc == 0, answer.lines


def units_online(agent: Agent) -> tuple[str, ...]:
    return agent.simulator.system.machines["ZHCP"].units


def clean(agent: Agent) -> None:
    assert units_online(agent) == ()
    assert agent.runner.journal.volumes() == ()


async def test_a_guest_boots_from_a_volume_that_the_agent_wrote(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    written = await agent.run(WriteImage(source=an_image(agent), volume=volume()))
    assert written.result is not None
    assert (written.result["kind"], written.result["lun"]) == ("SCSI", FIRST)
    assert (written.result["units"], written.result["bootable"]) == (BLOCKS, True)
    assert content(agent) == (agent.folder / "images" / "scsi").read_bytes()
    clean(agent)
    loaddev = {"portname": PORT.upper(), "lun": FIRST}
    guest = CreateGuest("LINUX01", 1, 1024, ipl="1C00", loaddev=loaddev, dedicate=(("1C00", "1B02"),))
    await agent.run(guest)
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    said = await agent.client.console("LINUX01")
    for words in (
        "IPL 1C00 CLEAR", "MLOPDM003I: Machine loader finished", "root=/dev/mapper/mpatha1",
        f"ccw-0.0.1c00-zfcp-0x{PORT}:0x{FIRST}: {BLOCKS} 512-byte", "login:",
    ):  # fmt: skip
        assert words in said, "it was loaded from the volume and runs there"
    problem = await agent.refused(EraseDisk(userid="LINUX01", volume=volume()))
    assert (problem.status, problem.code) == (409, "guest-active")
    assert any(content(agent))


async def test_a_volume_behind_which_storage_is_full_is_erased_and_offline(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    agent.simulator.faults.add(Rule(action="disk-full", target=f"{PORT}.{FIRST}", bytes=10_000, count=1))
    write = WriteImage(source=an_image(agent), volume=volume())
    problem = await agent.refused(write)
    assert (problem.status, problem.code) == (507, "disk-write-failed")
    assert not any(content(agent))
    clean(agent)
    await agent.run(write)
    assert content(agent) == (agent.folder / "images" / "scsi").read_bytes()


def online_before(agent: Agent) -> str:
    """Somebody has brought the volume online on one path; which."""
    system = agent.simulator.system
    path = f"1A00 {PORT.upper()} {FIRST}"
    with system.transaction():
        luns.set_online(system, "ZHCP", "1A00", online=True)
        luns.add(system, "ZHCP", path)
    return path


async def test_a_path_on_which_a_volume_was_online_before_stays_so(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    before = online_before(agent)
    await agent.run(WriteImage(source=an_image(agent), volume=volume()))
    assert content(agent) == (agent.folder / "images" / "scsi").read_bytes()
    assert units_online(agent) == (before,), "the other three paths are gone again"
    assert agent.runner.journal.volumes() == ()


async def test_recovery_leaves_a_volume_on_the_path_on_which_it_was_before_the_crash(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    before = online_before(agent)
    crashed = online(agent.runner.context("job/step"), volume())
    await crashed.__aenter__()
    assert len(units_online(agent)) == 4
    agent.restart()
    assert await agent.runner.recover() == (FIRST,)
    assert units_online(agent) == (before,)
    assert agent.runner.journal.volumes() == ()


async def test_an_empty_volume_does_not_boot_and_its_boot_map_says_so(agent: Agent) -> None:
    await with_devices(agent)
    agent.runner.settings = dataclasses.replace(
        agent.runner.settings, storage=dataclasses.replace(agent.runner.settings.storage, fcps=("1A00", "1B00"))
    )
    lun(agent)
    look = RefreshBootmap(lun=FIRST, devices=("1a01", "1b01"), wwpns=(PORT, OTHER_PORT), min_paths=2)
    outcome = await agent.run(look)
    assert outcome.result is not None
    assert outcome.result["bootable"] is False
    # Without devices in the operation those of the settings are taken.
    await agent.run(WriteImage(source=an_image(agent), volume=volume(devices=())))
    outcome = await agent.run(look)
    assert outcome.result is not None
    assert outcome.result["bootable"] is True
    clean(agent)


@pytest.mark.parametrize("codec", ["gzip", "zstd"])
async def test_a_volume_is_captured_and_written_again(agent: Agent, receiver: Receiver, codec: str) -> None:
    await with_devices(agent)
    lun(agent)
    lun(agent, SECOND, BLOCKS + 64)
    await agent.run(WriteImage(source=an_image(agent), volume=volume()))
    captured = await agent.run(ReadImage(target=ImageTarget(url=receiver.url), volume=volume(), codec=codec))
    assert captured.result is not None
    assert (captured.result["kind"], captured.result["unit"], captured.result["bootable"]) == ("SCSI", "BLK", True)
    (image,) = receiver.files
    if codec == "gzip":
        found = header.parse(image[: header.PROBE_BYTES])
        assert (found.kind, found.size) == (header.ImageKind.FCP_DISK, BLOCKS)
    path = agent.folder / "images" / "captured"
    path.write_bytes(image)
    source = ImageSource(url=path.as_uri(), sha256=hashlib.sha256(image).hexdigest())
    await agent.run(WriteImage(source=source, volume=volume(SECOND)))
    assert content(agent, SECOND)[: BLOCKS * 512] == content(agent)
    clean(agent)


async def test_a_volume_is_cloned_to_another_and_erased(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    larger = lun(agent, SECOND, BLOCKS + 64)
    await agent.run(WriteImage(source=an_image(agent), volume=volume()))
    clone = CloneDisk(volume=volume(SECOND), source_volume=volume())
    outcome = await agent.run(clone)
    assert outcome.result is not None
    assert (outcome.result["method"], outcome.result["lun"], outcome.result["units"]) == ("copy", SECOND, BLOCKS)
    assert content(agent, SECOND)[: BLOCKS * 512] == content(agent)
    back = CloneDisk(volume=volume(), source_volume=volume(SECOND))
    assert (await agent.run(back)).result["units"] == BLOCKS, "what does not fit is zeros"  # type: ignore[index]
    with luns.file(agent.simulator.system, larger).open("r+b") as file:
        file.seek((BLOCKS + 63) * 512)
        file.write(b"a backup of the partition table")
    problem = await agent.refused(back)
    assert (problem.status, problem.code) == (409, "image-too-large")
    await agent.run(EraseDisk(volume=volume(SECOND)))
    assert not any(content(agent, SECOND))
    await agent.run(agent.guest("LINUX01", NewDisk(vdev="0100", size_units=BLOCKS, type="FBA", pool="FBAPOOL")))
    mixed = await agent.refused(CloneDisk(userid="LINUX01", vdev="0100", source_volume=volume()))
    assert (mixed.status, mixed.code) == (409, "disk-kind-mismatch")
    clean(agent)


async def test_a_volume_is_sent_as_it_is_to_one_who_says_nothing(agent: Agent, receiver: Receiver) -> None:
    """An image service answers 204: the sender's digests are for who asked."""
    await with_devices(agent)
    lun(agent)
    receiver.refuse = 204
    await agent.run(WriteImage(source=an_image(agent), volume=volume()))
    whole = content(agent)
    used = len(whole.rstrip(bytes(1)))
    for least in (0, BLOCKS * 512, 2**40):
        headers = {"X-Auth-Token": "secret-of-the-caller", "Content-Type": "application/octet-stream"}
        target = ImageTarget(url=receiver.url, headers=headers)
        sent = await agent.run(ReadImage(target=target, volume=volume(), raw=True, least_bytes=least))
        assert sent.result is not None
        data = receiver.files[-1]
        assert used <= len(data) == sent.result["file_bytes"]
        assert data == whole[: len(data)]
        assert len(data) == BLOCKS * 512 or not least
        assert sent.result["sha256"] == hashlib.sha256(data).hexdigest()
        assert sent.result["sha512"] == hashlib.sha512(data).hexdigest()
        assert receiver.types[-1] == ["application/octet-stream"], "glance refuses a type that is said twice"
        assert "secret-of-the-caller" not in repr(sent) + repr(target)
    receiver.refuse = 401
    problem = await agent.refused(ReadImage(target=ImageTarget(url=receiver.url), volume=volume(), raw=True))
    assert (problem.status, problem.code) == (502, "target-refused")
    clean(agent)


async def test_raw_bytes_are_written_as_they_are_whatever_they_look_like(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    data = gzip.compress(b"an archive that somebody wrote onto the volume").ljust(512, b"\0")
    server = ImageServer(data)
    digest = hashlib.sha512(data).hexdigest()
    async with server.running() as url:
        headers = {"X-Auth-Token": "t"}
        source = ImageSource(url=url, sha512=digest, headers=headers, format="raw")
        written = await agent.run(WriteImage(source=source, volume=volume()))
        assert written.result is not None
        assert (written.result["format"], written.result["sha512"]) == ("raw", digest)
        assert content(agent)[: len(data)] == data
        assert "x-auth-token: t" in server.requests[0].lower()
        problem = await agent.refused(WriteImage(source=dataclasses.replace(source, format="qcow2"), volume=volume()))
        assert problem.code == "image-format"
    clean(agent)


async def test_a_volume_is_discarded_where_its_blocks_can_be(agent: Agent, monkeypatch: pytest.MonkeyPatch) -> None:
    await with_devices(agent)
    disk = luns.file(agent.simulator.system, lun(agent))
    for able in (True, False):
        if not able:
            monkeypatch.setattr("zvmcloud.zhcp.operations.disk_erase.discard", lambda *_: False)
        await agent.run(WriteImage(source=an_image_again(agent) if not able else an_image(agent), volume=volume()))
        assert any(disk.read_bytes())
        await agent.run(EraseDisk(volume=volume(), method="discard"))
        assert not any(disk.read_bytes())
        assert (disk.stat().st_blocks == 0) == able
    clean(agent)


async def test_what_cannot_be_written_leaves_the_volume_as_it_was(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent, blocks=BLOCKS - 1)
    problem = await agent.refused(WriteImage(source=an_image(agent), volume=volume()))
    assert (problem.status, problem.code) == (409, "image-too-large")
    wrong_kind = dataclasses.replace(agent.write_image(), userid="", vdev="", volume=volume())
    assert (await agent.refused(wrong_kind)).code == "image-kind-mismatch"
    source = dataclasses.replace(an_image_again(agent), sha256="0" * 64)
    lun(agent, SECOND)
    assert (await agent.refused(WriteImage(source=source, volume=volume(SECOND)))).code == "digest-mismatch"
    assert not any(content(agent, SECOND))
    clean(agent)


def an_image_again(agent: Agent) -> ImageSource:
    path = agent.folder / "images" / "scsi"
    return ImageSource(url=path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest())


async def test_a_volume_without_a_path_is_named_with_what_is_missing(agent: Agent) -> None:
    source = an_image(agent)
    lun(agent)
    problem = await agent.refused(WriteImage(source=source, volume=volume()))
    assert (problem.status, problem.code) == (409, "lun-unreachable")
    assert "Device 0.0.1b00 not found" in problem.detail
    await with_devices(agent)
    problem = await agent.refused(WriteImage(source=source, volume=volume("4fff000000000000")))
    assert "no LUN 0x4fff000000000000 behind port" in problem.detail
    problem = await agent.refused(WriteImage(source=source, volume=volume(devices=())))
    assert (problem.status, problem.code) == (400, "bad-parameter")
    assert "storage.fcps" in problem.detail
    # One path of two is enough.
    await agent.run(WriteImage(source=source, volume=volume(devices=("1A00", "1FFF"))))
    clean(agent)


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"userid": "LINUX01"}, "parameters.vdev"),
        ({"vdev": "0100"}, "parameters.userid"),
        ({"vdev": "100", "volume": {"lun": FIRST, "wwpns": [PORT]}}, "either vdev or volume"),
        ({"volume": {"lun": FIRST, "wwpns": []}}, "volume.wwpns"),
        ({"volume": {"lun": "0x40", "wwpns": [PORT]}}, "volume.lun"),
        ({"volume": {"lun": FIRST, "wwpns": [PORT], "devices": ["XYZ"]}}, "volume.devices"),
    ],
)
def test_a_disk_is_a_minidisk_or_a_volume(parameters: dict[str, object], words: str) -> None:
    with pytest.raises(FieldError, match=words):
        parse_operation("disk.erase", parameters)


async def test_a_copy_that_is_cancelled_lets_the_volume_go(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    source = an_image(agent)
    server = ImageServer((agent.folder / "images" / "scsi").read_bytes())
    server.pause_after = 1 << 20
    server.go_on.clear()
    async with server.running() as url:
        write = WriteImage(source=dataclasses.replace(source, url=url), volume=volume())
        running = asyncio.create_task(agent.client.run(job="v", step="w", epoch=1, operation=write))
        for _ in range(500):
            if units_online(agent):
                break
            await asyncio.sleep(0.02)
        other = await agent.refused(EraseDisk(volume=volume()))
        assert (other.status, other.code, other.retryable) == (409, "disk-in-use", True)
        await agent.http.delete("/v1/operations/v/w?epoch=1")
        server.go_on.set()
        with pytest.raises(Exception, match="cancelled"):
            await running
    assert not any(content(agent))
    clean(agent)


async def test_a_volume_that_a_crash_left_online_is_given_back_at_the_next_start(agent: Agent) -> None:
    await with_devices(agent)
    lun(agent)
    holding = online(agent.runner.context("crash"), volume())
    path: Path = await holding.__aenter__()
    assert path.stat().st_size == BLOCKS * 512
    assert len(units_online(agent)) == 4
    agent.restart()
    assert agent.runner.journal.volumes() != ()
    await agent.runner.recover()
    clean(agent)


async def test_the_agent_tells_the_luns_that_its_devices_are_shown(agent: Agent) -> None:
    lun(agent)
    lun(agent, SECOND, 2 * BLOCKS)
    with pytest.raises(ZhcpError, match=r"storage\.fcps"):
        await agent.client.ask("GET", "/v1/luns")
    agent.runner.settings = dataclasses.replace(
        agent.runner.settings, storage=dataclasses.replace(agent.runner.settings.storage, fcps=("1A00",))
    )
    with pytest.raises(ZhcpError, match="has no FCP device 1A00"):
        await agent.client.ask("GET", "/v1/luns")
    await with_devices(agent)
    found: Any = (await agent.client.ask("GET", "/v1/luns"))["luns"]
    assert {(item["lun"], item["wwpn"]) for item in found} >= {(FIRST, PORT), (SECOND, OTHER_PORT)}
    assert {item["bytes"] for item in found if item["lun"] == SECOND} == {2 * BLOCKS * 512}
    assert {item["device"] for item in found} == {"1A00"}
    clean(agent)
