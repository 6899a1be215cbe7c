"""Image copy: the agent's program writing an image onto a disk, beside the pipes that an administrator would type.

Each image holds half what compresses and half what does not; the agent reads it from its image folder and checks the
digest, or (cached) has fetched and checked it before. It makes the disk durable, as the pipe does with `conv=fsync`.
Pipe and agent take turns, so that they share what else the machine does; the figures are medians of ROUNDS. The memory
is the peak of the agent's process.
"""

from __future__ import annotations

import asyncio
import hashlib
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.table import Row
from zvmcloud.images.tracks import CYLINDER_DATA_BYTES
from zvmcloud.simulator.embed import Simulator
from zvmcloud.zhcp.client import ZhcpClient
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.messages import CreateGuest, DeleteGuest, NewDisk

MEBIBYTES = 512
ROUNDS = 7
PROGRAM = "from zvmcloud.zhcp.program import app; app()"
LIMIT = 200.0


def _content(path: Path, mebibytes: int) -> None:
    """A mixture: every other 64 KiB is text-like, the rest is noise. It begins as an ECKD disk without labels."""
    chance = random.Random(4)  # noqa: S311 (content of a benchmark)
    words = [chance.randbytes(6).hex().encode() for _ in range(4096)]
    with path.open("wb") as file:
        file.write(bytes(128 * 1024))
        for _ in range(mebibytes * 8):
            file.write(chance.randbytes(65536))
            file.write(b" ".join(chance.choices(words, k=5100))[:65536].ljust(65536))


def _pipe(expand: list[str], target: Path) -> float:
    """Seconds of `expand | dd of=target`."""
    target.unlink(missing_ok=True)
    begin = time.perf_counter()
    with subprocess.Popen(expand, stdout=subprocess.PIPE) as first:
        subprocess.run(
            ["dd", f"of={target}", "bs=1M", "iflag=fullblock", "conv=fsync", "status=none"],
            stdin=first.stdout, check=True,
        )  # fmt: skip
    return time.perf_counter() - begin


@asynccontextmanager
async def _agent(folder: Path, simulator: Simulator) -> AsyncIterator[tuple[str, int]]:
    """The agent's program: its address and its process."""
    settings = f"""
        [smapi]
        port = {simulator.smapi_port}
        password = "ZHCP"
        [machine]
        port = {simulator.machine_port}
        [listen]
        port = 0
        [storage]
        image_folders = ["."]
    """
    (folder / "zhcp.toml").write_text(settings)
    command = [sys.executable, "-c", PROGRAM, "run", "--settings", str(folder / "zhcp.toml"), "--log-level", "error"]
    process = await asyncio.create_subprocess_exec(*command, stdout=asyncio.subprocess.PIPE)
    try:
        async with asyncio.timeout(30):
            line = await process.stdout.readline() if process.stdout else b""
        yield line.decode().split()[3].rstrip(","), process.pid
    finally:
        process.terminate()
        await process.wait()


def _peak(process: int) -> float:
    """The peak of the process's resident memory in MB."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())
    return int(found[1]) * 1024 / 1e6 if found else float("nan")


async def _copies(
    folder: Path, images: dict[str, tuple[Path, NewDisk]]
) -> tuple[dict[str, float], dict[str, float], float]:
    """Seconds of each copy and of the pipe beside it (medians), and the agent's peak in MB."""
    with _server(folder) as web:
        return await _turns(folder, images, web)


async def _turns(
    folder: Path, images: dict[str, tuple[Path, NewDisk]], web: str
) -> tuple[dict[str, float], dict[str, float], float]:
    took: dict[str, list[float]] = {}
    pipes: dict[str, list[float]] = {}
    async with (
        Simulator(state=folder / "zvm") as simulator,
        _agent(folder, simulator) as (address, process),
        ZhcpClient(address) as client,
    ):
        for number, (name, (path, disk)) in enumerate(images.items()):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            cached = "cached" in name
            url = f"{web}/{path.name}" if cached else path.as_uri()
            source = ImageSource(url=url, sha256=digest, bytes=path.stat().st_size)
            for turn in range(ROUNDS + 1):  # the first one, which fetches what is cached, does not count
                seconds = await asyncio.to_thread(_pipe, [path.name, "-dc", str(path)], folder / "target")
                userid = f"BENCH{number}{turn}"
                guest = CreateGuest(userid=userid, vcpus=1, memory_mb=1024, disks=(disk,))
                await client.run(job="b", step=userid, epoch=1, operation=guest)
                write = WriteImage(userid=userid, vdev="0100", source=source)
                begin = time.perf_counter()
                await client.run(job="b", step=f"{userid}w", epoch=1, operation=write)
                if turn:
                    pipes.setdefault(name, []).append(seconds)
                    took.setdefault(name, []).append(time.perf_counter() - begin)
                await client.run(job="b", step=f"{userid}d", epoch=1, operation=DeleteGuest(userid=userid))
        return _medians(took), _medians(pipes), _peak(process)


def _medians(values: dict[str, list[float]]) -> dict[str, float]:
    return {name: statistics.median(found) for name, found in values.items()}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def _server(folder: Path) -> Iterator[str]:
    """A web server of the folder's files; its address."""
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def run() -> list[Row]:
    with tempfile.TemporaryDirectory(prefix="zvm-bench-") as name:
        folder = Path(name)
        raw = folder / "raw"
        _content(raw, MEBIBYTES)
        size = raw.stat().st_size
        fba = NewDisk(vdev="0100", type="FBA", pool="FBAPOOL", size_units=size // 512)
        for program in ("zstd", "gzip"):
            with (folder / program).open("wb") as out:
                subprocess.run([program, "-3", "-c", str(raw)], stdout=out, stderr=subprocess.DEVNULL, check=True)
        eckd = NewDisk(vdev="0100", pool="POOL1", size_units=-(-size // CYLINDER_DATA_BYTES))
        images = {
            "zstd, cached, to FBA": (folder / "zstd", fba),
            "zstd, to FBA": (folder / "zstd", fba),
            "gzip, to FBA": (folder / "gzip", fba),
            "zstd, cached, to ECKD": (folder / "zstd", eckd),
            "zstd, to ECKD": (folder / "zstd", eckd),
        }
        took, pipes, peak = asyncio.run(_copies(folder, images))
    rows = [
        Row(f"image copy, {what}", size / 1e6 / seconds, "MB/s", size / 1e6 / pipes[what],
            f"{what[:4]} -dc image | dd of=disk conv=fsync")
        for what, seconds in took.items()
    ]  # fmt: skip
    return [*rows, Row("memory of the agent, peak", peak, "MB", LIMIT, "the limit", less_is_better=True)]
