"""The proof as a program: brings the cloud up, runs the steps, tells time and memory, removes everything."""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from openstack_proof.client import Openstack
from openstack_proof.cloud import running
from openstack_proof.faults import Faults
from openstack_proof.steps import Proof, Report
from openstack_proof.upkeep import Upkeep
from openstack_proof.volumes import Volumes

GROUPS = ("servers", "upkeep", "volumes", "faults")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make test-openstack", description=__doc__)
    parser.add_argument("--logs", type=Path, help="keep the logs of all programs and the commands in this folder")
    parser.add_argument("--hold", action="store_true", help="stay up at the end, until Enter is pressed")
    parser.add_argument("--only", choices=GROUPS, action="append", help="only this group of steps; repeat")
    return parser.parse_args()


async def _main(arguments: argparse.Namespace) -> int:
    begin = time.monotonic()
    task = asyncio.current_task()
    assert task is not None
    for number in (signal.SIGINT, signal.SIGTERM):
        # Ends what was started, also when a shell began it in the background, where SIGINT is ignored.
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)

    def told(line: str) -> None:
        print(f"{time.monotonic() - begin:7.1f}  {line}", flush=True)

    async with running(told, arguments.logs) as cloud:
        folder = cloud.places.folder
        image = await asyncio.to_thread(_sample, folder / "sample.img")
        openstack = Openstack(cloud.places, cloud.transcript)
        report = Report(told)
        servers = Proof(cloud, openstack, report, image)
        if await servers.begin():
            groups = {
                "servers": servers.run,
                "upkeep": Upkeep(cloud, openstack, report, image).run,
                "volumes": Volumes(cloud, openstack, report).run,
                "faults": Faults(cloud, openstack, report).run,
            }
            for name in arguments.only or GROUPS:
                await groups[name]()
        memory = cloud.daemons.memory()
        if arguments.hold:
            told(f"the cloud is up; settings are in {folder}; Enter stops it")
            await asyncio.to_thread(sys.stdin.readline)
    print("", report.table(), "", sep="\n")
    print(f"{len(report.steps) - len(report.failed)} of {len(report.steps)} steps hold", *report.failed, sep="\n  ")
    print(f"load of the machine {min(report.loads):.0f} to {max(report.loads):.0f}, {os.cpu_count()} processors")
    print("MiB:", ", ".join(f"{name} {size}" for name, size in sorted(memory.items(), key=lambda item: -item[1])))
    print(f"{sum(memory.values())} MiB in all, {time.monotonic() - begin:.0f} s")
    return 1 if report.failed else 0


def _sample(path: Path) -> str:
    """An image of ten cylinders that boots."""
    command = [str(Path(sys.executable).with_name("zvm")), "image", "sample", str(path)]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return str(json.loads(made.stdout)["path"])


if __name__ == "__main__":
    try:
        sys.exit(asyncio.run(_main(_arguments())))
    except asyncio.CancelledError:
        sys.exit("stopped; what was started has ended")
