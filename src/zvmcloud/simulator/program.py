"""The programs `run` and `log` of `zvm simulator`."""

from __future__ import annotations

import asyncio
import gc
import importlib
import json
import logging
import os
import signal
import ssl
import time
from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from zvmcloud.simulator import control_program, directory_program
from zvmcloud.simulator.control import ControlPort
from zvmcloud.simulator.control_program import ControlOption, journal_lines, socket_of
from zvmcloud.simulator.embed import Simulator
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.model_file import load_model
from zvmcloud.simulator.presets import PRESETS, Model, find_preset
from zvmcloud.simulator.releases import RELEASES
from zvmcloud.simulator.releases import find as find_release
from zvmcloud.simulator.store import StoreError
from zvmcloud.simulator.system import TIMINGS

app = typer.Typer(help="A z/VM system in software.", no_args_is_help=True)
app.add_typer(directory_program.app, name="directory")

control_program.register(app)
log = logging.getLogger(__name__)

#: What the address of a Unix socket may have.
_LONGEST_SOCKET = 100
#: ZVM_SIMULATOR_PASSWORD_MAINT=... sets MAINT's password.
PASSWORD_VARIABLE = "ZVM_SIMULATOR_PASSWORD_"  # noqa: S105


def build_model(preset: str, model_file: Path | None, name: str | None, release: str | None = None) -> Model:
    """The model from preset, file, passwords of the environment, and options. ModelError names what is wrong."""
    model = find_preset(preset)
    if model_file is not None:
        model = load_model(model_file, model)
    chosen = dict(model.passwords)
    for variable, value in os.environ.items():
        if variable.startswith(PASSWORD_VARIABLE):
            chosen[variable.removeprefix(PASSWORD_VARIABLE).upper()] = value
    if release is not None:
        model = replace(model, release=find_release(release).name)
    return replace(model, name=name or model.name, passwords=chosen)


def _tls(certificate: Path | None, key: Path | None) -> ssl.SSLContext | None:
    if certificate is None and key is None:
        return None
    if certificate is None:
        raise ModelError("tls-key", "needs --tls-cert as well")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise ModelError("tls-cert", str(error)) from error
    return context


def _trusted(text: str | None) -> tuple[str, int]:
    """The userid and port of --trusted."""
    userid, _, port = (text or "").partition(":")
    if text and (not userid or not port.isdecimal() or int(port) > 65535):
        raise ModelError("trusted", f"{text!r} is not USERID:PORT")
    return userid.upper(), int(port or "0")


@app.command()
def run(
    state: Annotated[Path, typer.Option(help="Folder of the system's state; made if missing.")] = Path("simulator"),
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    smapi_port: Annotated[int, typer.Option(help="Port of the request server; 0 for any.", min=0, max=65535)] = 44444,
    machine_port: Annotated[
        int, typer.Option(help="Port of the agent's virtual machine; 0 for any.", min=0, max=65535)
    ] = 44445,
    model: Annotated[Path | None, typer.Option(help="Model file (TOML) for a new system.")] = None,
    preset: Annotated[str, typer.Option(help="Systems to start with: " + ", ".join(PRESETS) + ", fleet:NxM")] = "lpar",
    system_name: Annotated[str | None, typer.Option(help="Name of a new system.")] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Certificate chain (PEM): SMAPI speaks TLS.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Private key (PEM) when it is not in the same file.")] = None,
    latency: Annotated[str, typer.Option(help="How long things take: " + ", ".join(TIMINGS))] = "zero",
    trusted: Annotated[
        str | None,
        typer.Option(help="USERID:PORT, a further SMAPI port whose peer is that userid, as over IUCV; 0 for any."),
    ] = None,
    async_directory: Annotated[bool, typer.Option(help="Answer directory changes with 592.")] = False,
    release: Annotated[str | None, typer.Option(help="z/VM release of a new system: " + ", ".join(RELEASES))] = None,
    control_port: Annotated[
        int | None,
        typer.Option(help="Control port (loopback, 0 for any); otherwise a socket STATE.control.", min=0, max=65535),
    ] = None,
    seed: Annotated[int, typer.Option(help="Of the chance in fault rules.")] = 0,
    functions: Annotated[
        list[str] | None, typer.Option(help="Python module with SMAPI functions of your own; imported first.")
    ] = None,
    directory: Annotated[Path | None, typer.Option(help="Source directory (USER DIRECT) for a new system.")] = None,
    accept_extents: Annotated[
        bool, typer.Option(help="Import minidisks of the directory that overlap or are beyond their volume.")
    ] = False,
    verbose: Annotated[bool, typer.Option(help="Log more.")] = False,
) -> None:
    """Run one z/VM system until it is told to stop (SIGINT, SIGTERM)."""
    logging.basicConfig(
        level=logging.DEBUG if verbose else logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    try:
        for module in functions or ():
            _import(module)
        chosen = build_model(preset, model, system_name, release)
        simulator = Simulator(
            state=state,
            model=replace(chosen, directory=directory, accept_extents=accept_extents) if directory else chosen,
            host=host,
            smapi_port=smapi_port,
            machine_port=machine_port,
            timing=latency,
            tls=_tls(tls_cert, tls_key),
            asynchronous=async_directory,
            trusted_userid=_trusted(trusted)[0],
            trusted_port=_trusted(trusted)[1],
            seed=seed,
        )
        asyncio.run(_serve(simulator, host, tls_cert is not None, state, control_port))
    except (ModelError, StoreError) as error:
        typer.echo(f"zvm simulator: {error}", err=True)
        raise typer.Exit(2) from error
    except OSError as error:
        typer.echo(f"zvm simulator: {error.strerror or error}", err=True)
        raise typer.Exit(1) from error


def _import(module: str) -> None:
    """Import a module that registers functions. ModelError when there is none."""
    try:
        importlib.import_module(module)
    except ImportError as error:
        raise ModelError("functions", f"{module}: {error}") from error


async def _serve(simulator: Simulator, host: str, tls: bool, state: Path, control_port: int | None) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    control = ControlPort(simulator)
    await simulator.start()
    # What was loaded stays: the garbage collector need not look at it again, which stops ten thousand guests for 0.2 s.
    gc.freeze()
    try:
        for member in simulator.members:
            down = "" if member.is_up else " (down)"
            typer.echo(f"{member.name} SMAPI {'TLS' if tls else 'TCP'} {host}:{member.smapi_port}{down}")
            typer.echo(f"{member.name} machine TCP {host}:{member.machine_port}{down}")
            if member.trusted_userid:
                typer.echo(f"{member.name} trusted {member.trusted_userid} {host}:{member.trusted_port}{down}")
        path = None if control_port is not None else socket_of(state)
        if path is not None and len(str(path)) > _LONGEST_SOCKET:
            log.warning("no control socket: %s is longer than %d characters; try --control-port", path, _LONGEST_SOCKET)
        else:
            listening = await control.start(port=control_port, path=path)
            if path is None:
                typer.echo(f"control http://127.0.0.1:{listening}")
            else:
                log.info("control port: %s", path)
        typer.echo(f"{simulator.system.name} ready")
        await stop.wait()
    finally:
        await control.close()
        await simulator.close()


@app.command(name="log")
def show_log(
    state: Annotated[Path, typer.Option(help="Folder of the system's state.")] = Path("simulator"),
    follow: Annotated[bool, typer.Option(help="Go on as calls come in.")] = False,
    lines: Annotated[int, typer.Option(help="Show the last so many calls; 0 for all.", min=0)] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="The lines as they are in the journal.")] = False,
    member: Annotated[str, typer.Option(help="Which system, where the state holds several.")] = "",
    control: ControlOption = "",
) -> None:
    """Show the calls that reached the system: when, who, function, target, codes, duration."""
    if control:
        for line in journal_lines(control, follow=follow, lines=lines, member=member):
            typer.echo(line if as_json else readable(line))
        return
    path = state / member.upper() / "journal.jsonl"
    if not path.exists():
        typer.echo(f"zvm simulator: there is no journal in {path.parent}", err=True)
        raise typer.Exit(1)
    with path.open(encoding="utf-8") as journal:
        earlier = journal.readlines()
        for line in earlier[-lines:] if lines else earlier:
            typer.echo(line.rstrip("\n") if as_json else readable(line))
        while follow:
            line = journal.readline()
            if line:
                typer.echo(line.rstrip("\n") if as_json else readable(line))
            elif path.exists() and path.stat().st_ino != os.fstat(journal.fileno()).st_ino:
                # Rotated: go on with the new file.
                show_log(state, follow, 0, as_json, member)
                return
            else:
                time.sleep(0.2)


def readable(line: str) -> str:
    """A journal line in columns."""
    try:
        call = json.loads(line)
    except json.JSONDecodeError:
        return line.rstrip("\n")
    codes = f"{call['rc']}/{call['rs']}" if call["kind"] == "smapi" else str(call["rc"])
    return (
        f"{call['time']} {call['kind']:<7} {call['who']:<8} {call['function']:<44} {call['target']:<10} "
        f"{codes:>8} {call['milliseconds']:>8.2f} ms"
    )
