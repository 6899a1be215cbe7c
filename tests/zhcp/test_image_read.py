"""Capturing a disk: the bytes that arrive are an image file that gives the same disk again."""

import asyncio
import dataclasses
import hashlib
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zhcp.conftest import Agent
from zhcp.test_road import until_up
from zvmcloud.images import header
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.tracks import Record, Track
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.guest_messages import StartGuest
from zvmcloud.zhcp.image_messages import ImageTarget, ReadImage
from zvmcloud.zhcp.image_reader import ImageReader
from zvmcloud.zhcp.image_writer import ImageWriter
from zvmcloud.zhcp.operations.linked import linked
from zvmcloud.zhcp.sources import Digest


@dataclass
class Receiver:
    """Takes one image by PUT, chunked as clients send it."""

    url: str = ""
    files: list[bytes] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    types: list[list[str]] = field(default_factory=list)
    refuse: int = 0
    lie: bool = False
    begun: threading.Event = field(default_factory=threading.Event)
    go_on: threading.Event = field(default_factory=threading.Event)


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    state = Receiver()
    state.go_on.set()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            data = b""
            state.begun.set()
            state.go_on.wait(60)
            while size := int(self.rfile.readline(), 16):
                data += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            state.files.append(data)
            state.tokens.append(self.headers.get("Zvm-Token", ""))
            state.types.append(self.headers.get_all("Content-Type", []))
            digest = hashlib.sha256(b"" if state.lie else data).hexdigest()
            body = b"" if state.refuse == 204 else b'{"sha256": "%s"}' % digest.encode()
            self.send_response(state.refuse or 200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    state.url = f"http://127.0.0.1:{server.server_port}/image"
    yield state
    server.shutdown()
    server.server_close()


def capture(receiver: Receiver, vdev: str = "0100", compression: int = 6, codec: str = "gzip") -> ReadImage:
    target = ImageTarget(url=receiver.url, headers={"Zvm-Token": "secret"})
    return ReadImage(userid="LINUX01", vdev=vdev, target=target, compression=compression, codec=codec)


async def links(agent: Agent) -> str:
    answer = await agent.runner.machine.cp("QUERY VIRTUAL ALL")
    return "\n".join(line for line in answer.lines if line.startswith("DASD F"))


@pytest.mark.parametrize("compression", [0, 6])
async def test_a_captured_disk_is_an_image_of_the_same_content(
    agent: Agent, receiver: Receiver, tmp_path: Path, compression: int
) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    outcome = await agent.run(capture(receiver, compression=compression))
    (image,) = receiver.files
    assert receiver.tokens == ["secret"]
    found = header.parse(image[: header.PROBE_BYTES])
    assert (found.kind, found.size, found.gzip_level) == (header.ImageKind.CKD, 10, compression)
    assert outcome.result is not None
    assert outcome.result["sha256"] == hashlib.sha256(image).hexdigest()
    assert (outcome.result["units"], outcome.result["bootable"]) == (10, True)
    assert "secret" not in str([call.to_json() for call in outcome.calls])
    assert await links(agent) == ""
    path = tmp_path / "copy"
    EckdDisk.create(path, 10).close()
    writer = ImageWriter(path, "ECKD", Digest("sha256", hashlib.sha256(image).hexdigest()), len(image))
    writer.feed(image)
    writer.finish()
    writer.close()
    with EckdDisk(path) as disk:
        assert disk.sha256(5) == agent.image.content_sha256


async def test_a_running_guest_is_not_captured(agent: Agent, receiver: Receiver) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    problem = await agent.refused(capture(receiver))
    assert (problem.status, problem.code) == (409, "guest-active")
    assert receiver.files == []


async def test_a_capture_that_is_cancelled_leaves_no_link_and_the_disk_as_it_was(
    agent: Agent, receiver: Receiver
) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    async with linked(agent.runner.context("look"), "LINUX01", "0100", write=False) as (_, path):
        file = path.resolve()
    before = file.read_bytes()
    receiver.go_on.clear()
    running = asyncio.create_task(agent.refused(capture(receiver, compression=0)))
    assert await asyncio.to_thread(receiver.begun.wait, 30)
    answer = await agent.http.delete(f"/v1/operations/job/s{agent.steps}?epoch=1")
    receiver.go_on.set()
    assert answer.json()["error"]["code"] == (await running).code == "cancelled"
    assert receiver.files == []
    assert not [
        line for line in (await agent.runner.machine.cp("QUERY VIRTUAL ALL")).lines if line.startswith("DASD F")
    ]
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("status", "code", "retryable"),
    [(507, "target-full", False), (403, "target-refused", False), (503, "target-refused", True)],
)
async def test_a_receiver_that_refuses_is_a_failure_that_leaves_no_link(
    agent: Agent, receiver: Receiver, status: int, code: str, retryable: bool
) -> None:
    await agent.run(agent.guest())
    receiver.refuse = status
    problem = await agent.refused(capture(receiver))
    assert (problem.code, problem.retryable) == (code, retryable)
    assert await links(agent) == ""


async def test_bytes_that_arrived_otherwise_are_noticed(agent: Agent, receiver: Receiver) -> None:
    await agent.run(agent.guest())
    receiver.lie = True
    assert (await agent.refused(capture(receiver))).code == "digest-mismatch"


async def test_nobody_at_the_address_can_be_tried_again(agent: Agent) -> None:
    await agent.run(agent.guest())
    target = ImageTarget(url="http://127.0.0.1:9/image")
    problem = await agent.refused(ReadImage(userid="LINUX01", vdev="0100", target=target))
    assert (problem.code, problem.retryable) == ("target-lost", True)
    assert await links(agent) == ""


async def test_an_unknown_guest_or_disk_is_named(agent: Agent, receiver: Receiver) -> None:
    assert (await agent.refused(capture(receiver))).code == "guest-unknown"
    await agent.run(agent.guest("LINUX01", NewDisk(vdev="0200", size_units=5, pool="POOL1")))
    assert (await agent.refused(capture(receiver))).code == "disk-unknown"


def whole(reader: ImageReader) -> bytes:
    parts = []
    while piece := reader.piece():
        parts.append(piece)
    reader.close()
    return b"".join(parts)


@settings(max_examples=25)
@given(
    written=st.dictionaries(st.integers(0, 44), st.lists(st.binary(max_size=300), min_size=1, max_size=4), max_size=6),
    compression=st.integers(0, 9),
)
def test_any_eckd_disk_survives_being_an_image(
    tmp_path_factory: pytest.TempPathFactory, written: dict[int, list[bytes]], compression: int
) -> None:
    folder = tmp_path_factory.mktemp("disk")
    with EckdDisk.create(folder / "a", 3) as disk:
        for number, records in written.items():
            track = Track(tuple(Record(at, b"key" if at == 2 else b"", data) for at, data in enumerate(records, 1)))
            disk.write_track(*divmod(number, 15), track)
        wanted = disk.sha256()
    image = whole(ImageReader(folder / "a", "ECKD", compression))
    EckdDisk.create(folder / "b", 3).close()
    writer = ImageWriter(folder / "b", "ECKD", Digest("sha256", hashlib.sha256(image).hexdigest()), len(image))
    writer.feed(image)
    writer.finish()
    writer.close()
    with EckdDisk(folder / "b") as copy:
        assert copy.sha256() == wanted


@settings(max_examples=25)
@given(written=st.dictionaries(st.integers(0, 2999), st.binary(min_size=512, max_size=512), max_size=5))
def test_any_fba_disk_survives_being_an_image(
    tmp_path_factory: pytest.TempPathFactory, written: dict[int, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("disk")
    with FbaDisk.create(folder / "a", 3000) as disk:
        for block, data in written.items():
            disk.write(block, data)
        wanted = disk.sha256()
    image = whole(ImageReader(folder / "a", "FBA", 6))
    FbaDisk.create(folder / "b", 3000).close()
    writer = ImageWriter(folder / "b", "FBA", Digest("sha256", hashlib.sha256(image).hexdigest()), len(image))
    writer.feed(image)
    writer.finish()
    writer.close()
    with FbaDisk(folder / "b") as copy:
        assert copy.sha256() == wanted


async def test_a_zstd_image_is_compressed_as_a_whole(agent: Agent, receiver: Receiver) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(capture(receiver, compression=12, codec="zstd"))
    (image,) = receiver.files
    assert image.startswith(b"\x28\xb5\x2f\xfd")
    await agent.run(agent.guest("COPY"))
    path = agent.folder / "images" / "captured"
    path.write_bytes(image)
    digest = hashlib.sha256(image).hexdigest()
    outcome = await agent.run(agent.write_image("COPY", url=path.as_uri(), sha256=digest, bytes=len(image)))
    assert outcome.result is not None
    assert (outcome.result["format"], outcome.result["bootable"]) == ("zstd+connector", True)


async def test_gzip_has_nine_levels(agent: Agent, receiver: Receiver) -> None:
    problem = await agent.refused(capture(receiver, compression=10))
    assert (problem.status, "compression" in problem.detail, problem.calls) == (400, True, ())


async def entry_with(agent: Agent, *changed: str) -> None:
    """LINUX01 with these statements in place of its IPL statement."""
    entry = await entries.must_exist(agent.runner.context("x"), "LINUX01")
    kept = [record for record in entry.render() if not record.startswith("IPL")]
    at = next(number for number, record in enumerate(kept) if record.startswith("SHARE"))
    records = (*kept[:at], *changed, *kept[at:])
    await agent.runner.smapi.call(f.ImageLockDM(target="LINUX01"), lambda _: None)
    await agent.runner.smapi.call(f.ImageReplaceDM(target="LINUX01", image_record_array=records), lambda _: None)


async def test_the_boot_disk_is_the_one_that_ipl_names(agent: Agent, receiver: Receiver) -> None:
    other = NewDisk(vdev="0200", size_units=3, pool="POOL1")
    root = NewDisk(vdev="0100", size_units=10, pool="POOL1")
    await agent.run(agent.guest("LINUX01", other, root))
    outcome = await agent.run(capture(receiver, vdev=""))
    assert outcome.result is not None
    assert (outcome.result["vdev"], outcome.result["units"]) == ("0100", 10)


@pytest.mark.parametrize(
    ("statements", "code", "text"),
    [
        (("IPL CMS",), "boot-disk-unknown", "IPLs CMS"),
        (("IPL 0300",), "boot-disk-unknown", "no minidisk"),
        ((), "boot-disk-unknown", "no IPL statement"),
        (
            ("IPL 1FC0", "LOADDEV PORT 5005076800AA0001", "LOADDEV LUN 0000000000000000"),
            "boot-disk-scsi",
            "5005076800AA",
        ),
        (("IPL 0190", "LINK MAINT 0190 0190 RR"), "boot-disk-linked", "MAINT 0190"),
    ],
)
async def test_a_boot_disk_is_never_guessed(
    agent: Agent, receiver: Receiver, statements: tuple[str, ...], code: str, text: str
) -> None:
    guest = agent.guest()
    await agent.run(dataclasses.replace(guest, profile=""))
    await entry_with(agent, *statements)
    problem = await agent.refused(capture(receiver, vdev=""))
    assert (problem.status, problem.code) == (409, code)
    assert text in problem.detail
    assert receiver.files == []


async def test_an_ipl_statement_may_stand_in_the_profile(agent: Agent, receiver: Receiver) -> None:
    await agent.run(agent.guest())
    await entry_with(agent)
    context = agent.runner.context("x")
    answer = await context.call(f.ProfileQueryDM(target="LNXDFLT"))
    records = tuple(record.rstrip() for record in answer.reply.profile_record_array if record.strip())
    records = tuple(record for record in records if not record.startswith("IPL"))
    await context.call(f.ProfileLockDM(target="LNXDFLT"))
    await context.call(
        f.ProfileReplaceDM(target="LNXDFLT", profile_record_array=(*records[:1], "IPL 0100", *records[1:]))
    )
    outcome = await agent.run(capture(receiver, vdev=""))
    assert outcome.result is not None
    assert outcome.result["vdev"] == "0100"
