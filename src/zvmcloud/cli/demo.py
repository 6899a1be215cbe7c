"""`zvm demo`: the whole road once, visibly: from a connector call down to CP commands, and the guest's console."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeElapsedColumn

from zvmcloud.cli import progress
from zvmcloud.cli.processes import STOP_SIGNALS, StartError
from zvmcloud.cli.up import Facts, Wishes, stack
from zvmcloud.client import Client

app = typer.Typer(add_completion=False)
console = Console(highlight=False, soft_wrap=True)

USERID, HOSTNAME, ADDRESS, GATEWAY, MAC, VSWITCH = (
    "LINUX01",
    "web01",
    "192.0.2.10/24",
    "192.0.2.1",
    "02:00:00:12:34:56",
    "DEMOSW",
)
IMAGE_SIZE = ("--cylinders", "150", "--filler", "60000000", "--gzip-level", "1")
"""Large enough to see the copy progress."""
DISK_CYLINDERS = "200"
BOOT_SECONDS = 20.0
FAILED = 1


class DemoError(Exception):
    """A step of the demo did not do what it should."""


@dataclass(slots=True)
class Road:
    """The calls of the demo, and the jobs that they became."""

    facts: Facts
    http: httpx.Client
    manager: Client
    jobs: list[tuple[str, str]] = field(default_factory=list)

    def call(self, method: str, path: str, body: dict[str, object] | None = None) -> object:
        """One call of the cloud connector's API; its output. DemoError when it was refused."""
        begin = time.perf_counter()
        answer = self.http.request(method, path, json=body)
        spent = (time.perf_counter() - begin) * 1000
        what = f"{method} {path}" + (f" {body['action']}" if body and "action" in body else "")
        envelope = answer.json()
        console.print(f"  {what:<42} {answer.status_code}  {spent:6.0f} ms")
        if answer.status_code != httpx.codes.OK:
            raise DemoError(f"{what}: {envelope.get('errmsg')}")
        if "zvm-job" in answer.headers:
            self.jobs.append((what, answer.headers["zvm-job"]))
        return envelope["output"]

    def deploy(self, drive: Path) -> None:
        """Deploy with a progress bar: the job tells how far it is while the call waits for it."""
        body: dict[str, object] = {"action": "deploy", "image": "sample", "transportfiles": str(drive)}
        columns = (TextColumn("  {task.description}"), BarColumn(), TaskProgressColumn(), TimeElapsedColumn())
        with ThreadPoolExecutor(1) as pool, Progress(*columns, console=console) as bar:
            task = bar.add_task("deploy", total=1.0)
            work = pool.submit(self.call, "POST", f"/guests/{USERID}/action", body)
            while not work.done():
                for job in self.manager.jobs(userid=USERID, limit=1):
                    steps = self.manager.job(job["id"])["steps"]
                    done = sum(step["progress"] for step in steps) / max(len(steps), 1)
                    running = next((step["title"] for step in steps if step["state"] == "running"), "deploy")
                    bar.update(task, completed=done, description=f"deploy: {running}")
                time.sleep(0.05)
            work.result()
            bar.update(task, completed=1.0, description="deploy: done")


@app.command()
def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C.")] = False,
    state: Annotated[Path | None, typer.Option(help="State folder. Default: a temporary one.")] = None,
) -> None:
    """Start everything, make a small bootable image, deploy a guest from it, and show what happened at each level."""
    begin = time.monotonic()
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    try:
        with _folder(state) as folder:
            wishes = Wishes(state=folder / "state", port=0, smapi_port=0, machine_port=0)
            console.print("[bold]1. Start[/bold]")
            with stack(wishes, lambda line: console.print(f"  {line}"), stop) as (facts, family):
                _run(facts, folder)
                console.print(f"\nThe guest is up after {time.monotonic() - begin:.1f} s.")
                _further(facts, keep)
                while keep and not stop.wait(0.5):
                    if (dead := family.ended()) is not None:
                        raise DemoError(f"the {dead.name} ended by itself:\n{dead.tail()}")
    except (DemoError, StartError) as error:
        print(f"zvm demo: {error}", file=sys.stderr)
        raise typer.Exit(FAILED) from None


@contextmanager
def _folder(state: Path | None) -> Iterator[Path]:
    if state is not None:
        state.mkdir(parents=True, exist_ok=True)
        yield state.absolute()
        return
    with tempfile.TemporaryDirectory(prefix="zvm-demo-") as folder:
        yield Path(folder)


def _tool(*words: str) -> str:
    program = [sys.executable, "-c", "from zvmcloud.cli.main import main; main()", *words]
    done = subprocess.run(program, capture_output=True, text=True, check=False)  # noqa: S603 (our own program)
    if done.returncode:
        raise DemoError(f"zvm {words[0]} {words[1]}: {done.stderr.strip()}")
    return done.stdout


def _run(facts: Facts, folder: Path) -> None:
    token = (facts.state / "secrets" / "admin-token").read_text().strip()
    console.print("[bold]2. Make a bootable image and a config drive[/bold]")
    image = json.loads(_tool("image", "sample", str(folder / "sample.img"), *IMAGE_SIZE))
    console.print(
        f"  sample.img  {image['cylinders']} cylinders, {image['bytes']:,} bytes, sha256 {image['sha256'][:16]}..."
    )
    drive = folder / "cfgdrive.iso"
    _tool(
        "image", "config-drive", str(drive),
        "--hostname", HOSTNAME, "--address", ADDRESS, "--gateway", GATEWAY, "--mac", MAC,
    )  # fmt: skip
    console.print(f"  cfgdrive.iso  host name {HOSTNAME}, address {ADDRESS}")
    with httpx.Client(base_url=facts.connector, timeout=120) as http, Client(facts.connector, token) as manager:
        road = Road(facts, http, manager)
        console.print("[bold]3. Deploy, with the cloud connector's REST API[/bold]")
        _calls(road, folder, drive)
        log = _console_log(road)
        console.print("[bold]4. What happened: HTTP call -> steps -> SMAPI functions and CP commands[/bold]")
        for what, job in road.jobs:
            console.print(f"  [bold]{what}[/bold]")
            progress.show_steps(console, road.manager.job(job), indent="    ")
        console.print(f"[bold]5. The console of {USERID}[/bold]")
        for line in log.splitlines():
            console.print(f"  | {line}", markup=False)


def _calls(road: Road, folder: Path, drive: Path) -> None:
    road.call("GET", "/host")
    image: dict[str, object] = {
        "image_name": "sample",
        "url": f"file://{folder / 'sample.img'}",
        "image_meta": {"os_version": "rhel8.6"},
    }
    road.call("POST", "/images", {"image": image})
    guest: dict[str, object] = {
        "userid": USERID,
        "vcpus": 2,
        "memory": 2048,
        "disk_list": [{"size": DISK_CYLINDERS, "is_boot_disk": True}],
    }
    road.call("POST", "/guests", {"guest": guest})
    network = {"ip_addr": ADDRESS.partition("/")[0], "gateway_addr": GATEWAY, "cidr": "192.0.2.0/24", "mac_addr": MAC}
    interface: dict[str, object] = {"os_version": "rhel8.6", "guest_networks": [network]}
    road.call("POST", f"/guests/{USERID}/interface", {"interface": interface})
    road.call("POST", "/vswitches", {"vswitch": {"name": VSWITCH}})
    road.call("PUT", f"/guests/{USERID}/nic/1000", {"info": {"couple": True, "vswitch": VSWITCH}})
    road.call("PUT", f"/vswitches/{VSWITCH}", {"vswitch": {"grant_userid": USERID}})
    road.deploy(drive)
    road.call("POST", f"/guests/{USERID}/action", {"action": "start"})


def _console_log(road: Road) -> str:
    deadline = time.monotonic() + BOOT_SECONDS
    log = ""
    while time.monotonic() < deadline:
        answer = road.http.post(f"/guests/{USERID}/action", json={"action": "get_console_output"}).json()
        log = str(answer.get("output") or "")
        if f"{HOSTNAME} login:" in log:
            return log
        time.sleep(0.2)
    raise DemoError(f"{USERID} is not up after {BOOT_SECONDS:g} s; its console says:\n{log}")


def _further(facts: Facts, keep: bool) -> None:
    if not keep:
        console.print("`make demo ARGS=--keep` leaves it running, to look further.")
        return
    secret = facts.state / "secrets"
    program = Path(sys.executable).parent / "zvm"
    maint = f"-u MAINT --password-file {secret / 'MAINT'} --port {facts.smapi_port}"
    console.print("[bold]It is running. Look further:[/bold]")
    for line in (
        f"curl {facts.connector}/guests/{USERID}/info",
        f"{program} job list --state {facts.state}",
        f"{program} smapi call Image_Query_DM -T {USERID} {maint}",
        f"tail {facts.state / 'logs'}/*.log",
    ):
        console.print(f"  {line}", markup=False)
    console.print("Stop with Ctrl-C.")
