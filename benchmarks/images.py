"""Image copy: the agent's program writing an image onto a disk, beside the pipes that an administrator would type.

Each image holds half what compresses and half what does not; the agent reads it from its image folder and checks the
digest, or (cached) has fetched and checked it before. The pipe writes blocks of 1 MiB, as the agent does, and both make
the disk durable: the agent before it writes what boots and after, the pipe once, with `conv=fsync`. Both begin with an
image in the page cache, a disk that has no blocks yet, and memory that is at hand (`_warm`).

Pipe and agent take turns, so that they share what else the machine does; the figures are medians of ROUNDS. On a
machine that does other work the processor time is the fairer measure: all of the agent's process on one side, both
programs of the pipe on the other. The memory is the peak of the agent's process.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
import re
import resource
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from benchmarks.table import Row
from zvmcloud.images.tracks import CYLINDER_DATA_BYTES
from zvmcloud.simulator.embed import Simulator
from zvmcloud.zhcp.client import ZhcpClient
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.guest_messages import CreateGuest, DeleteGuest
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage

MEBIBYTES = 512
ROUNDS = 5
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


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of the clock, and of the processors: user and system."""

    clock: float
    processor: float


def _pipe(expand: list[str], target: Path) -> Cost:
    """`expand | dd of=target`, both programs."""
    used, begin = _of_children(), time.perf_counter()
    with subprocess.Popen(expand, stdout=subprocess.PIPE) as first:
        subprocess.run(
            ["dd", f"of={target}", "bs=1M", "iflag=fullblock", "conv=fsync", "status=none"],
            stdin=first.stdout, check=True,
        )  # fmt: skip
    cost = Cost(time.perf_counter() - begin, _of_children() - used)
    target.unlink()
    return cost


def _warm(path: Path, size: int) -> None:
    """Write and delete a file of that size, whose memory the page cache uses next.

    A host takes back what its virtual machine has not used for some seconds (page reporting of virtio's balloon), and
    gives it again page by page: three times the cost of writing a file, for whoever happens to come first.
    """
    with path.open("wb", buffering=0) as file:
        for _ in range(size >> 20):
            file.write(bytes(1 << 20))
    path.unlink()


def _of_children() -> float:
    """Processor seconds of the children that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def _of_process(process: int) -> float:
    """Processor seconds of a process that runs, all its threads."""
    words = Path(f"/proc/{process}/stat").read_text().rpartition(") ")[2].split()
    return (int(words[11]) + int(words[12])) / os.sysconf("SC_CLK_TCK")


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


@dataclass(frozen=True, slots=True)
class Compared:
    """The costs of each turn: of the agent, and of the pipe beside it."""

    agent: list[Cost]
    pipe: list[Cost]


async def _turns(folder: Path, images: dict[str, tuple[Path, NewDisk]], web: str) -> tuple[dict[str, Compared], float]:
    """What each copy costs, and the agent's peak in MB."""
    found: dict[str, Compared] = {}
    async with (
        Simulator(state=folder / "zvm") as simulator,
        _agent(folder, simulator) as (address, process),
        ZhcpClient(address) as client,
    ):
        for number, (name, (path, disk)) in enumerate(images.items()):
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
            url = f"{web}/{path.name}" if "cached" in name else path.as_uri()
            source = ImageSource(url=url, sha256=digest, bytes=path.stat().st_size)
            found[name] = Compared([], [])
            for turn in range(ROUNDS + 1):  # the first one, which fetches what is cached, does not count
                await asyncio.to_thread(_warm, folder / "warm", MEBIBYTES << 20)
                pipe = await asyncio.to_thread(_pipe, [path.name, "-dc", str(path)], folder / "target")
                userid = f"BENCH{number}{turn}"
                guest = CreateGuest(userid=userid, vcpus=1, memory_mb=1024, disks=(disk,))
                await client.run(job="b", step=userid, epoch=1, operation=guest)
                write = WriteImage(userid=userid, vdev="0100", source=source)
                await asyncio.to_thread(_warm, folder / "warm", MEBIBYTES << 20)
                used, begin = _of_process(process), time.perf_counter()
                await client.run(job="b", step=f"{userid}w", epoch=1, operation=write)
                cost = Cost(time.perf_counter() - begin, _of_process(process) - used)
                if turn:
                    found[name].pipe.append(pipe)
                    found[name].agent.append(cost)
                await client.run(job="b", step=f"{userid}d", epoch=1, operation=DeleteGuest(userid=userid))
        return found, _peak(process)


def _rows(what: str, size: int, compared: Compared) -> list[Row]:
    """Throughput by the clock, and the processor time of both sides, medians."""
    clock = [statistics.median(cost.clock for cost in side) for side in (compared.agent, compared.pipe)]
    work = [statistics.median(cost.processor for cost in side) for side in (compared.agent, compared.pipe)]
    pipe = f"{what[:4]} -dc image | dd of=disk conv=fsync"
    return [
        Row(f"image copy, {what}", size / 1e6 / clock[0], "MB/s", size / 1e6 / clock[1], pipe),
        Row("    processor time", work[0], "s", work[1], "user and system, both programs", less_is_better=True),
    ]


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
        with _server(folder) as web:
            found, peak = asyncio.run(_turns(folder, images, web))
    rows = [row for what, compared in found.items() for row in _rows(what, size, compared)]
    return [*rows, Row("memory of the agent, peak", peak, "MB", LIMIT, "the limit", less_is_better=True)]
