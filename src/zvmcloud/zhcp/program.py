"""`zvm zhcp run`: load the settings, serve until SIGTERM or SIGINT, then stop cleanly. `zvm zhcp check`: see check/."""

from __future__ import annotations

import asyncio
import gc
import json
import logging
import signal
import socket
import ssl
import sys
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
import uvicorn

from zvmcloud.quick_http import QuickProtocol
from zvmcloud.serving import Server, alone, tcp_door, unix_door
from zvmcloud.smapi.client import IMPATIENT
from zvmcloud.zhcp import catalogue, enrollment
from zvmcloud.zhcp.check.findings import Report
from zvmcloud.zhcp.check.steps import Check
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.journal import Journal
from zvmcloud.zhcp.linux.machine import LinuxMachine
from zvmcloud.zhcp.machine import Machine, SimulatedMachine
from zvmcloud.zhcp.runner import Runner
from zvmcloud.zhcp.service import Service
from zvmcloud.zhcp.settings import Settings, SettingsError, load
from zvmcloud.zhcp.smapi_port import SmapiPort

app = typer.Typer(no_args_is_help=True, help="The agent of one z/VM system.")
log = logging.getLogger(__name__)
_FIRST_CONTACT = 10.0


@app.callback()
def _group() -> None:
    """The agent of one z/VM system."""


@app.command()
def run(
    settings_file: Annotated[Path, typer.Option("--settings", help="Settings file (TOML).")] = Path("zhcp.toml"),
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error.")] = "info",
) -> None:
    """Serve one z/VM system over HTTP."""
    levels = {"debug", "info", "warning", "error"}
    if log_level.lower() not in levels:
        _end(f"--log-level {log_level}: one of {', '.join(sorted(levels))}")
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    # Two lines an operation: what the format does not show is not looked up (logging HOWTO, "Optimization").
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging._srcfile = ""
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        settings = load(settings_file)
        asyncio.run(serve(settings))
    except SettingsError as problem:
        _end(str(problem))
    except OSError as problem:
        _end(f"cannot serve: {problem}")


def _end(text: str) -> None:
    sys.stderr.write(f"zvm zhcp: {text}\n")
    raise typer.Exit(2)


class Output(StrEnum):
    """How a report is printed."""

    TEXT = "text"
    JSON = "json"


@app.command()
def check(
    settings_file: Annotated[Path, typer.Option("--settings", help="Settings file (TOML).")] = Path("zhcp.toml"),
    output: Annotated[Output, typer.Option("--output", "-o", help="How the report is printed.")] = Output.TEXT,
) -> None:
    """Verify the installation; print the entry, line or command that mends each thing that is missing.

    Ends with 0 when nothing is missing, with 1 when something is, with 2 when the settings cannot be used.
    """
    try:
        settings = load(settings_file)
        report = asyncio.run(check_installation(settings))
    except SettingsError as problem:
        _end(str(problem))
    typer.echo(json.dumps(report.to_json(), indent=2) if output is Output.JSON else str(report))
    raise typer.Exit(0 if report.ok else 1)


@app.command()
def enroll(
    manager: Annotated[str, typer.Option(help="URL of the manager.")],
    token: Annotated[
        str, typer.Option(help="One-time token; - reads it from standard input.", envvar="ZVM_ENROLLMENT_TOKEN")
    ],
    settings_file: Annotated[Path, typer.Option("--settings", help="Settings file (TOML).")] = Path("zhcp.toml"),
    url: Annotated[
        str, typer.Option(help="Where the manager reaches this agent; by default this machine's name.")
    ] = "",
    ca: Annotated[
        Path | None, typer.Option(help="Authority of the manager's certificate, if not a public one.")
    ] = None,
) -> None:
    """Come in to a manager: make a key, get a certificate, and let in only that manager from the next start on."""
    try:
        settings = load(settings_file)
        url = url or f"https://{socket.getfqdn()}:{settings.listen.port}"
        given = sys.stdin.readline() if token == "-" else token  # noqa: S105 (where it comes from)
        name = enrollment.enroll(settings, manager, given, url, ca)
    except (SettingsError, enrollment.EnrollmentError) as problem:
        _end(str(problem))
    except OSError as problem:
        _end(f"cannot enroll: {problem}")
    else:
        typer.echo(f"enrolled as {name}; start the agent (again), and the manager reaches it at {url}")


@app.command()
def operations(
    markdown: Annotated[bool, typer.Option("--markdown", help="The whole page, with members and limits.")] = False,
) -> None:
    """List the kinds of operations that the agent takes."""
    if markdown:
        typer.echo(catalogue.markdown(), nl=False)
        return
    for kind, text in catalogue.kinds():
        typer.echo(f"{kind:<24} {text}")


async def check_installation(settings: Settings) -> Report:
    """A check over the seams that these settings describe. SettingsError."""
    machine = machine_of(settings)
    try:
        return await Check(settings, SmapiPort.of(settings, IMPATIENT), machine, site=settings.site).run()
    finally:
        await machine.close()


def runner_of(settings: Settings) -> Runner:
    """A runner with the seams these settings describe."""
    return Runner(settings, SmapiPort.of(settings), machine_of(settings), Journal(settings.state / "journal.sqlite"))


def machine_of(settings: Settings) -> Machine:
    """The virtual machine these settings describe; nothing is opened yet."""
    if settings.machine.kind == "linux":
        return LinuxMachine()
    userid, password = settings.machine_login
    return SimulatedMachine(settings.machine.host, settings.machine.port, userid, password)


def _socket(settings: Settings) -> tuple[socket.socket, str]:
    """The listening socket and how to name it. OSError when the place is taken."""
    listen = settings.listen
    if listen.unix:
        path = settings.path(listen.unix)
        path.parent.mkdir(parents=True, exist_ok=True)
        return unix_door(path), f"unix:{path}"
    door = tcp_door(listen.host, listen.port)
    scheme = "https" if settings.tls else "http"
    host = f"[{listen.host}]" if ":" in listen.host else listen.host
    return door, f"{scheme}://{host}:{door.getsockname()[1]}"


async def serve(settings: Settings) -> None:
    """Serve until a signal. Prints one line: where it listens and which system it manages. OSError when it cannot."""
    with alone(settings.state, "agent"):
        await _serve(settings)


async def _serve(settings: Settings) -> None:
    runner = runner_of(settings)
    service = Service(runner)
    listen = settings.listen
    tls = await asyncio.to_thread(lambda: settings.tls)
    config = uvicorn.Config(
        service.application(),
        log_level="warning",
        access_log=False,
        http=QuickProtocol,
        proxy_headers=False,  # X-Forwarded-For would let any local process choose its address
        lifespan="on",
        timeout_keep_alive=75,
        timeout_graceful_shutdown=2,
        ssl_certfile=tls.certificate if tls else None,
        ssl_keyfile=tls.key if tls else None,
        ssl_ca_certs=str(tls.client_ca) if tls and tls.client_ca else None,
        ssl_cert_reqs=ssl.CERT_REQUIRED if tls and tls.client_ca else ssl.CERT_NONE,
    )
    server = Server(config)
    door, where = _socket(settings)

    def leave() -> None:
        service.leave()
        server.leave()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, leave)
    announce = asyncio.create_task(_announce(runner, where))
    try:
        gc.freeze()  # what is loaded stays; looking at all of it again stops everybody for some 50 ms
        await server.serve([door])
    finally:
        announce.cancel()
        door.close()
        if listen.unix:
            await asyncio.to_thread(settings.path(listen.unix).unlink, missing_ok=True)


async def _announce(runner: Runner, where: str) -> None:
    deadline = asyncio.get_running_loop().time() + _FIRST_CONTACT
    manages = "its z/VM system does not answer yet"
    while asyncio.get_running_loop().time() < deadline:
        try:
            identity = await runner.machine.identity()
        except AgentError as problem:
            manages = f"its z/VM system does not answer yet: {problem}"
            await asyncio.sleep(0.2)
        else:
            manages = f"manages {identity.system} as {identity.userid}"
            break
    typer.echo(f"zHCP listens on {where}, {manages}")
    sys.stdout.flush()
