"""`zvm up`: z/VM systems in software, an agent for each, and a manager, in one process tree with one state folder.

Everything listens on the loopback interface. Passwords and the admin token are made at the first start and kept in the
state folder, readable by its owner only. `up.json` in the folder tells scripts where everything is.
"""

from __future__ import annotations

import json
import os
import re
import secrets
import shutil
import signal
import socket
import string
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, NoReturn

import httpx
import typer

from zvmcloud.cli.processes import STOP_SIGNALS, Child, Family, StartError
from zvmcloud.cli.profiles import default_state
from zvmcloud.serving import TakenError, alone

app = typer.Typer(add_completion=False)

FAILED, BAD_INPUT = 1, 2
HOST = "127.0.0.1"
SOCKET_PATH_LIMIT = 100
_LONGEST_SOCKET = "LONGNAME.sock"
"""Bytes; the system's limit for the path of a Unix socket is 107."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wishes:
    """What the command line asked for. Port 0: any free one."""

    state: Path
    port: int = 8080
    smapi_port: int = 44444
    machine_port: int = 44445
    preset: str = "lpar"
    model: Path | None = None
    connector_token: bool = False
    smapi_seconds: int = 240
    """For which the agent waits for an answer of SMAPI."""
    import_folders: tuple[Path, ...] = (Path("/"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class SystemFacts:
    """One z/VM in software: its name, its two ports, its agent's socket, and the port of its cloud connector."""

    name: str
    smapi_port: int
    machine_port: int
    socket: Path
    connector_port: int

    def document(self) -> dict[str, object]:
        return {
            "name": self.name,
            "connector": f"http://{HOST}:{self.connector_port}",
            "smapi": {"host": HOST, "port": self.smapi_port},
            "machine": {"host": HOST, "port": self.machine_port},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """Where a started stack is; written to up.json. The first system is the default one."""

    state: Path
    systems: tuple[SystemFacts, ...]

    @property
    def port(self) -> int:
        return self.systems[0].connector_port

    @property
    def smapi_port(self) -> int:
        return self.systems[0].smapi_port

    @property
    def connector(self) -> str:
        return f"http://{HOST}:{self.port}"

    def document(self) -> dict[str, object]:
        first = self.systems[0].document()
        return {
            "pid": os.getpid(),
            "connector": self.connector,
            "v1": f"{self.connector}/v1",
            "admin_token_file": str(self.state / "secrets" / "admin-token"),
            "smapi": first["smapi"],
            "machine": first["machine"],
            "systems": [system.document() for system in self.systems],
            "maint_password_file": str(self.state / "secrets" / "MAINT"),
            "zhcp_password_file": str(self.state / "secrets" / "ZHCP"),
            "logs": str(self.state / "logs"),
            "state": str(self.state),
        }


@app.command()
def up(
    state: Annotated[Path | None, typer.Option(help="State folder. Default: ~/.local/state/zvmcloud/up")] = None,
    port: Annotated[int, typer.Option(min=0, max=65535, help="Connector and native API; 0: any free port.")] = 8080,
    smapi_port: Annotated[int, typer.Option(min=0, max=65535, help="SMAPI of the simulated z/VM.")] = 44444,
    machine_port: Annotated[int, typer.Option(min=0, max=65535, help="Machine port of the simulated z/VM.")] = 44445,
    preset: Annotated[str, typer.Option(help="Systems to start with: lpar, ssi4 (a cluster), fleet:NxM, ...")] = "lpar",
    model: Annotated[Path | None, typer.Option(exists=True, dir_okay=False, help="Model of the z/VM (TOML).")] = None,
    smapi_seconds: Annotated[
        int, typer.Option(min=1, max=3600, help="Seconds that the agent waits for an answer of SMAPI.")
    ] = 240,
    connector_token: Annotated[
        bool, typer.Option("--connector-token", help="Demand tokens at the connector door, even from this machine.")
    ] = False,
    import_folder: Annotated[
        list[Path] | None, typer.Option(help="Read file:// images only from below this folder; repeat. Default: /")
    ] = None,
) -> None:
    """Start z/VM in software, an agent (zHCP) for each system, and a manager; stop them all with Ctrl-C.

    The cloud connector's clients find their API at http://127.0.0.1:8080, SMAPI clients at port 44444. Further systems
    have the ports that follow, or any free ones where 0 was asked for.
    """
    wishes = Wishes(
        state=(state or default_state()).absolute(),
        port=port,
        smapi_port=smapi_port,
        machine_port=machine_port,
        preset=preset,
        model=model.absolute() if model else None,
        connector_token=connector_token,
        smapi_seconds=smapi_seconds,
        import_folders=tuple(folder.absolute() for folder in import_folder or [Path("/")]),
    )
    stop = threading.Event()
    for number in STOP_SIGNALS:
        signal.signal(number, lambda *_: stop.set())
    try:
        with stack(wishes, print, stop) as (facts, family):
            print(welcome(facts), flush=True)
            while not stop.wait(0.5):
                dead = family.ended()
                if dead is not None:
                    _fail(f"the {dead.name} ended by itself:\n{dead.tail()}\n(log: {dead.log})")
            print("stopping", flush=True)
    except StartError as error:
        _fail(str(error))


def _fail(message: str) -> NoReturn:
    print(f"zvm up: {message}", file=sys.stderr)
    raise typer.Exit(FAILED)


def welcome(facts: Facts) -> str:
    secret = facts.state / "secrets"

    def several(system: SystemFacts) -> str:
        return f"{system.name}, " if len(facts.systems) > 1 else ""

    maint = secret / "MAINT"
    lines = ["ready"]
    lines += [f"  cloud connector  http://{HOST}:{system.connector_port}  ({system.name})" for system in facts.systems]
    lines.append(f"  native API       {facts.connector}/v1  (token in {secret / 'admin-token'})")
    lines += [
        f"  SMAPI            {HOST}:{system.smapi_port}  ({several(system)}userid MAINT, password in {maint})"
        for system in facts.systems
    ]
    return "\n".join([*lines, f"  logs             {facts.state / 'logs'}", "stop with Ctrl-C; the state is kept"])


@contextmanager
def stack(
    wishes: Wishes, say: Callable[[str], object], stop: threading.Event | None = None
) -> Iterator[tuple[Facts, Family]]:
    """Start all programs, wait until each is ready, and stop them at the end. StartError tells what did not come up."""
    _make_private(wishes.state)
    with (
        _lock(wishes.state),
        _socket_folder(wishes.state) as run,
        ExitStack() as held,
        Family(wishes.state / "logs") as family,
    ):
        port = _port(wishes.port, "--port", held)
        for wanted, option in ((wishes.smapi_port, "--smapi-port"), (wishes.machine_port, "--machine-port")):
            if wanted:
                _port(wanted, option, held)
        passwords = {userid: _secret(wishes.state, userid) for userid in ("MAINT", "ZHCP")}
        say("starting z/VM in software")
        words = ["simulator", "run", "--state", str(wishes.state / "simulator"), "--host", HOST]
        words += ["--smapi-port", str(wishes.smapi_port), "--machine-port", str(wishes.machine_port)]
        words += ["--preset", wishes.preset]
        words += ["--model", str(wishes.model)] if wishes.model else []
        environment = {f"ZVM_SIMULATOR_PASSWORD_{userid}": password for userid, password in passwords.items()}
        ready = _patient(stop, lambda: _is_ready(wishes.state / "logs" / "simulator.log", begin))
        begin = _size(wishes.state / "logs" / "simulator.log")
        simulator = family.start("simulator", words, ready, environment)
        facts = Facts(state=wishes.state, systems=_systems(simulator, port, wishes.port, run, held))
        for system in facts.systems:
            name = "zhcp" if len(facts.systems) == 1 else f"zhcp-{system.name}"
            say(f"starting the agent (zHCP) of {system.name} (SMAPI on port {system.smapi_port})")
            settings = wishes.state / f"{name}.toml"
            _write(settings, _agent_settings(system, wishes, name))
            agent = _patient(stop, partial(_healthy_socket, system.socket))
            family.start(name, ["zhcp", "run", "--settings", str(settings)], agent)
        _write(wishes.state / "manager.toml", _manager_settings(facts, wishes))
        say(f"starting the manager (port {facts.port})")
        manager = ["manager", "run", "--settings", str(wishes.state / "manager.toml")]
        manager += ["--token-file", str(wishes.state / "secrets" / "admin-token")]
        family.start("manager", manager, _patient(stop, lambda: _healthy(facts.connector)))
        _write(wishes.state / "up.json", json.dumps(facts.document(), indent=2) + "\n")
        try:
            yield facts, family
        finally:
            (wishes.state / "up.json").unlink(missing_ok=True)


_SMAPI = re.compile(r"(\S+) SMAPI TCP \S+:(\d+)")
_MACHINE = re.compile(r"(\S+) machine TCP \S+:(\d+)")


def _size(log: Path) -> int:
    return log.stat().st_size if log.exists() else 0


def _said(log: Path, begin: int) -> list[str]:
    """What a program has logged since `begin`."""
    return log.read_bytes()[begin:].decode(errors="replace").splitlines() if log.exists() else []


def _is_ready(log: Path, begin: int) -> bool:
    return any(line.endswith(" ready") for line in _said(log, begin))


def _systems(simulator: Child, port: int, wanted: int, run: Path, held: ExitStack) -> tuple[SystemFacts, ...]:
    """The systems that the simulator says it has, in its order. Further connector ports follow the wanted one."""
    said = _said(simulator.log, simulator.begin)
    machines = {found[1]: int(found[2]) for line in said if (found := _MACHINE.fullmatch(line))}
    smapi = [(found[1], int(found[2])) for line in said if (found := _SMAPI.fullmatch(line))]
    systems: list[SystemFacts] = []
    for number, (name, smapi_port) in enumerate(smapi):
        own = _port(wanted + number if wanted else 0, "--port", held) if number else port
        socket_path = run / ("zhcp.sock" if len(smapi) == 1 else f"{name}.sock")
        socket_path.unlink(missing_ok=True)
        system = SystemFacts(
            name=name,
            smapi_port=smapi_port,
            machine_port=machines[name],
            socket=socket_path,
            connector_port=own,
        )
        systems.append(system)
    return tuple(systems)


def _patient(stop: threading.Event | None, ready: Callable[[], bool]) -> Callable[[], bool]:
    """The same question, but a stop wanted meanwhile ends the waiting."""

    def ask() -> bool:
        if stop is not None and stop.is_set():
            raise StartError("stopped while starting")
        return ready()

    return ask


def _make_private(state: Path) -> None:
    try:
        state.mkdir(parents=True, exist_ok=True)
        state.chmod(0o700)
        (state / "secrets").mkdir(mode=0o700, exist_ok=True)
    except OSError as error:
        raise StartError(f"{state}: cannot be used as state folder: {error.strerror}") from None


@contextmanager
def _lock(state: Path) -> Iterator[None]:
    try:
        with alone(state, "`zvm up`"):
            yield
    except TakenError as error:
        raise StartError(f"{error}; stop it, or give another one with --state") from None


@contextmanager
def _socket_folder(state: Path) -> Iterator[Path]:
    """A private folder whose path is short enough for a Unix socket."""
    if len(os.fsencode(state / _LONGEST_SOCKET)) <= SOCKET_PATH_LIMIT:
        yield state
        return
    folder = Path(tempfile.mkdtemp(prefix="zvm-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _port(wanted: int, option: str, held: ExitStack) -> int:
    """The port, if it is free; any free one for 0. It stays ours until `held` is closed: bound and not listened at, so
    that our program can listen there (SO_REUSEADDR) and nobody else is given it as a free one."""
    probe = held.enter_context(socket.socket())
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind((HOST, wanted))
    except OSError as error:
        message = f"port {wanted} cannot be used: {error.strerror}; give another one with {option}"
        raise StartError(message) from None
    return int(probe.getsockname()[1])


def _secret(state: Path, name: str) -> str:
    """A secret of the stack, made once. Eight characters is all that a directory password can have."""
    file = state / "secrets" / name
    if not file.exists():
        letters = string.ascii_uppercase + string.digits
        _write(file, "".join(secrets.choice(letters) for _ in range(8)) + "\n")
    return file.read_text().strip()


def _write(path: Path, text: str) -> None:
    """Write a file that only its owner can read, at once or not at all."""
    new = path.with_name(path.name + ".new")
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    new.replace(path)


def _agent_settings(system: SystemFacts, wishes: Wishes, name: str) -> str:
    password = json.dumps(str(wishes.state / "secrets" / "ZHCP"))
    return f"""# written by `zvm up`; changes are lost at the next start
[smapi]
host = "{HOST}"
port = {system.smapi_port}
userid = "ZHCP"
password_file = {password}
timeout = {wishes.smapi_seconds}

[machine]
host = "{HOST}"
port = {system.machine_port}

[listen]
unix = {json.dumps(str(system.socket))}

[storage]
state = {json.dumps(str(wishes.state / name))}
"""


def _manager_settings(facts: Facts, wishes: Wishes) -> str:
    folders = ", ".join(json.dumps(str(folder)) for folder in wishes.import_folders)
    mode = "token" if wishes.connector_token else "open"
    systems = "\n".join(
        f"""[[systems]]
name = "{system.name}"
url = {json.dumps(f"unix:{system.socket}")}
connector_port = {0 if system is facts.systems[0] else system.connector_port}
"""
        for system in facts.systems
    )
    return f"""# written by `zvm up`; changes are lost at the next start
state = {json.dumps(str(wishes.state / "manager"))}
host = "{HOST}"
port = {facts.port}
import_folders = [{folders}]

[connector]
mode = "{mode}"
open_from = ["127.0.0.1", "::1"]

{systems}"""


def _healthy_socket(path: Path) -> bool:
    transport = httpx.HTTPTransport(uds=str(path))
    try:
        with httpx.Client(transport=transport, timeout=5) as client:
            return client.get("http://zhcp/v1/health").status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False


def _healthy(url: str) -> bool:
    try:
        return httpx.get(f"{url}/v1/health", timeout=5).status_code == httpx.codes.OK
    except httpx.HTTPError:
        return False
