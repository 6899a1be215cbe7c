"""100 guests deployed on 4 systems with the latencies of production systems, by one bulk job.

A directory change takes 2 s and a copy of an image 20 s; each system lets 4 jobs change its directory and 4 copy at
once. The theoretical bound, for a system with n guests: the guests of the first round define themselves, then copies
follow each other without a gap in ceil(n / 4) rounds; or, if that is longer, the directory does the updates of all
guests in ceil(n / 4) rounds, and the last guests copy after that. Which calls change the directory is taken from the
plan of the job, and which of these come before the copy. The bound knows nothing of the work of manager, agents and
simulator, which share this machine's processors.

DEPLOYS_SCALE=10 divides all latencies by 10 (default 1: a run takes about three minutes); then what the programs
themselves take weighs ten times as much.

Beside it, what a job costs that does nearly nothing on z/VM (a guest is paused): the engine's overhead.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import tempfile
import time
from collections import Counter
from pathlib import Path
from typing import Any

import httpx

from benchmarks.fleet import HEADERS, fleet, manager
from benchmarks.table import Row
from zvmcloud.images import ckd, header
from zvmcloud.images.tracks import DEFAULT_TRACK, TRACKS_PER_CYLINDER

SYSTEMS, GUESTS = 4, 100
WRITERS, COPIES = 4, 4
DIRECTORY, COPY = 2.0, 20.0
SCALE = float(os.environ.get("DEPLOYS_SCALE", "1"))
ALLOWED = 1.3
_TICK = os.sysconf("SC_CLK_TCK")
Document = dict[str, Any]


def run() -> list[Row]:
    names = [f"Z{number:02}" for number in range(1, SYSTEMS + 1)]
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        image = _image(folder)
        limits = f'import_folders = ["{folder}"]\n[limits]\ndirectory_writers = {WRITERS}\nimage_copies = {COPIES}'
        latencies = {"directory": DIRECTORY / SCALE, "copy": COPY / SCALE}
        with (
            fleet(folder, names, guests=0, **latencies),
            manager(folder, names, 0, limits) as (url, pid, _),
            httpx.Client(base_url=url, headers=HEADERS, timeout=600) as client,
        ):
            _upload(client, image)
            return [*_deploys(client), *_overhead(client, pid)]


def _deploys(client: httpx.Client) -> list[Row]:
    wish = {"names": f"web[001-{GUESTS}]", "image": "bench", "memory_mb": 512, "on_failure": "continue"}
    answer = client.post("/v1/bulk/deploy", params={"dry_run": True}, json=wish)
    answer.raise_for_status()
    plan: Document = answer.json()
    bound = _bound(plan)
    began = time.perf_counter()
    job = client.post(f"/v1/plans/{plan['id']}/apply").raise_for_status().json()
    job = _ended(client, job)
    took = time.perf_counter() - began
    if job["state"] != "done":
        raise RuntimeError(f"{job['state']}: {job['error']}")
    what = f"{GUESTS} guests on {SYSTEMS} systems, {DIRECTORY:g} s and {COPY:g} s by {SCALE:g}: makespan"
    return [
        Row(what, took, "s", bound, "theoretical bound", less_is_better=True),
        Row(
            f"the same by the bound (allowed: {ALLOWED:g})", took / bound, "times", ALLOWED, "goal", less_is_better=True
        ),
    ]


def _bound(plan: Document) -> float:
    """Seconds below which nobody can be."""
    count = Counter(child["system"] for child in plan["children"])
    before = after = 0
    seen_copy = False
    for step in plan["children"][0]["steps"]:
        seen_copy = seen_copy or any(call["kind"] == "disk" for call in step["calls"])
        changes = sum(call["kind"] == "smapi" and call["name"].endswith("_DM") for call in step["calls"])
        before, after = (before, after + changes) if seen_copy else (before + changes, after)
    found = 0.0
    for number in count.values():
        copying = before * DIRECTORY + math.ceil(number / COPIES) * COPY + after * DIRECTORY
        writing = math.ceil(number / WRITERS) * (before + after) * DIRECTORY + COPY
        found = max(found, copying, writing)
    return found / SCALE


def _overhead(client: httpx.Client, pid: int) -> list[Row]:
    spent = _processor_time(pid)
    began = time.perf_counter()
    wish = {"verb": "pause", "names": f"web[001-{GUESTS}]"}
    job = _ended(client, client.post("/v1/bulk/power", json=wish).raise_for_status().json())
    took = time.perf_counter() - began
    if job["state"] != "done":
        raise RuntimeError(f"{job['state']}: {job['error']}")
    return [
        Row(
            "a durable job of one step: processor time of the manager",
            (_processor_time(pid) - spent) * 1000 / GUESTS,
            "ms",
        ),
        Row(f"{GUESTS} of them in one bulk job, each", took * 1000 / GUESTS, "ms"),
    ]


def _ended(client: httpx.Client, job: Document) -> Document:
    while job["state"] not in {"done", "failed", "cancelled", "undone"}:
        time.sleep(0.1)
        job = client.get(f"/v1/jobs/{job['id']}").raise_for_status().json()
    return job


def _upload(client: httpx.Client, file: Path) -> None:
    data = file.read_bytes()
    wish = {"name": "bench", "bytes": len(data), "sha256": hashlib.sha256(data).hexdigest(), "os_version": "rhel8.6"}
    upload = client.post("/v1/uploads", json=wish).raise_for_status().json()
    job = client.put(f"/v1/uploads/{upload['id']}", content=data).raise_for_status().json()
    if _ended(client, client.get(f"/v1/jobs/{upload['id']}").raise_for_status().json())["state"] != "done":
        raise RuntimeError(f"the image was not taken: {job}")


def _image(folder: Path) -> Path:
    """Ten cylinders without data: the copy itself is not what is measured."""
    path = folder / "bench.img"
    with path.open("wb") as file:
        file.write(header.render(header.ImageHeader(header.ImageKind.CKD, 10)))
        with gzip.GzipFile(fileobj=file, mode="wb", mtime=0) as body:
            for piece in ckd.encode([DEFAULT_TRACK] * (10 * TRACKS_PER_CYLINDER)):
                body.write(piece)
    return path


def _processor_time(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK
