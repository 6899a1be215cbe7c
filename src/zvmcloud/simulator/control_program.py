"""`zvm simulator fault|latency|state|export|save|load|coverage`: commands for the control port; the coverage."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import httpx
import typer
from rich.console import Console
from rich.table import Table

from zvmcloud.simulator import saving
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.faults import ACTIONS, Rule

BAD_INPUT, NO_ANSWER = 2, 1
_TIMEOUT = 600.0
StateOption = Annotated[Path, typer.Option(help="Folder of the system's state.")]
ControlOption = Annotated[
    str, typer.Option(help="Control port of the simulator: http://127.0.0.1:PORT; otherwise the socket STATE.control.")
]


def socket_of(state: Path) -> Path:
    """The socket of the control port of a simulator with that state folder: beside it."""
    folder = state.resolve()
    return folder.with_name(folder.name + ".control")


def _client(state: Path, control: str) -> httpx.Client:
    if control:
        return httpx.Client(base_url=control, timeout=_TIMEOUT, trust_env=False)
    transport = httpx.HTTPTransport(uds=str(socket_of(state)))
    return httpx.Client(base_url="http://simulator", transport=transport, timeout=_TIMEOUT, trust_env=False)


def _ask(state: Path, control: str, method: str, path: str, data: object = None) -> object:
    """Call the control port. Ends the program with a message when it refuses or does not answer."""
    try:
        with _client(state, control) as client:
            answer = client.request(method, path, json=data)
    except httpx.HTTPError as error:
        raise _fail(f"no simulator answers at {control or socket_of(state)} ({error})", NO_ANSWER) from error
    return _checked(answer)


def _checked(answer: httpx.Response) -> object:
    try:
        body = answer.json()
    except ValueError:
        body = {}
    if answer.status_code >= 400:
        raise _fail(str(body.get("error", answer.reason_phrase)), BAD_INPUT)
    return body


def _fail(text: str, code: int) -> typer.Exit:
    typer.echo(f"zvm simulator: {text}", err=True)
    return typer.Exit(code)


fault_app = typer.Typer(help="Fault rules of a simulator that runs.", no_args_is_help=True)


@fault_app.command("add")
def fault_add(
    action: Annotated[str, typer.Option(help=", ".join(ACTIONS))] = "refuse",
    function: Annotated[str, typer.Option(help="Function, with * and ?.")] = "*",
    target: Annotated[str, typer.Option(help="Target, with * and ?.")] = "*",
    who: Annotated[str, typer.Option(help="Requesting userid, with * and ?.")] = "*",
    probability: Annotated[float, typer.Option(help="0 to 1.")] = 1.0,
    skip: Annotated[int, typer.Option(help="Let so many matching requests pass first.")] = 0,
    count: Annotated[int, typer.Option(help="Strike so many times at most; 0: for ever.")] = 0,
    delay: Annotated[float, typer.Option(help="Seconds to wait before anything else.")] = 0.0,
    rc: Annotated[int, typer.Option(help="Return code of refuse.")] = 596,
    rs: Annotated[int, typer.Option(help="Reason code of refuse.")] = 0,
    text: Annotated[str, typer.Option(help="Error text of refuse.")] = "",
    bytes_: Annotated[
        int, typer.Option("--bytes", help="Bytes of the reply that partial sends, or that disk-full still takes.")
    ] = 8,
    state: StateOption = Path("simulator"),
    control: ControlOption = "",
) -> None:
    """Add a rule; prints its number."""
    rule = {
        "action": action, "function": function, "target": target, "who": who, "probability": probability,
        "skip": skip, "count": count, "delay": delay, "rc": rc, "rs": rs, "text": text, "bytes": bytes_,
    }  # fmt: skip
    try:
        Rule.of(rule)
    except ModelError as error:
        raise _fail(str(error), BAD_INPUT) from error
    added = _ask(state, control, "POST", "/faults", rule)
    typer.echo(added["number"] if isinstance(added, dict) else added)


@fault_app.command("list")
def fault_list(
    state: StateOption = Path("simulator"),
    control: ControlOption = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Show the rules and how often they struck."""
    rules = _ask(state, control, "GET", "/faults")
    if as_json:
        typer.echo(json.dumps(rules, indent=2))
        return
    for item in rules if isinstance(rules, list) else ():
        rule = Rule.of({key: value for key, value in item.items() if key not in ("number", "matched", "struck")})
        words = [f"{item['number']}: {rule.action} {rule.function} target {rule.target} from {rule.who}"]
        if rule.action == "refuse":
            words.append(f"rc {rule.rc} rs {rule.rs}")
        if rule.delay:
            words.append(f"after {rule.delay:g} s")
        if rule.probability < 1:
            words.append(f"with probability {rule.probability:g}")
        limit = f" of at most {rule.count}" if rule.count else ""
        words.append(f"struck {item['struck']}{limit}, matched {item['matched']}, passes the first {rule.skip}")
        typer.echo(", ".join(words))


@fault_app.command("clear")
def fault_clear(
    number: Annotated[int | None, typer.Argument(help="One rule; without it, all.")] = None,
    state: StateOption = Path("simulator"),
    control: ControlOption = "",
) -> None:
    """Forget rules."""
    _ask(state, control, "DELETE", "/faults" if number is None else f"/faults/{number}")


def latency(
    profile: Annotated[str | None, typer.Argument(help="zero, lab or production; without it, show.")] = None,
    values: Annotated[list[str] | None, typer.Option("--set", help="NAME=SECONDS, for example smapi=0.2.")] = None,
    state: StateOption = Path("simulator"),
    control: ControlOption = "",
) -> None:
    """Show or change how long things take on a simulator that runs."""
    data: dict[str, object] = {} if profile is None else {"profile": profile}
    for item in values or ():
        name, _, number = item.partition("=")
        try:
            data[name] = float(number)
        except ValueError:
            raise _fail(f"{item!r} is not NAME=SECONDS", BAD_INPUT) from None
    shown = _ask(state, control, "PUT" if data else "GET", "/latency", data or None)
    typer.echo(json.dumps(shown, indent=2))


def show_state(state: StateOption = Path("simulator"), control: ControlOption = "") -> None:
    """What a simulator that runs holds, as JSON."""
    typer.echo(json.dumps(_ask(state, control, "GET", "/state"), indent=2))


def export(
    state: StateOption = Path("simulator"),
    control: ControlOption = "",
    member: Annotated[str, typer.Option(help="Which system, where there are several; the first one without it.")] = "",
) -> None:
    """Write the model file of a simulator that runs: what it is, its devices, volumes and networks."""
    try:
        with _client(state, control) as client:
            answer = client.get("/model", params={"member": member} if member else {})
    except httpx.HTTPError as error:
        raise _fail(f"no simulator answers at {control or socket_of(state)} ({error})", NO_ANSWER) from error
    if answer.status_code != 200:
        _checked(answer)
    typer.echo(answer.text, nl=False)


def save(
    file: Annotated[Path, typer.Argument(help="The tar file to write.")],
    state: StateOption = Path("simulator"),
    control: ControlOption = "",
) -> None:
    """Save the whole system: the model and the files of its disks. The simulator may run or not."""
    try:
        if not control and not socket_of(state).exists():
            if not state.is_dir():
                raise _fail(f"there is no state folder {state}", BAD_INPUT)
            typer.echo(f"{file}: {saving.save(state, file):,} bytes")
            return
        with _client(state, control) as client, client.stream("POST", "/save") as answer:
            if answer.status_code != 200:
                answer.read()
                _checked(answer)
            with file.open("wb") as target:
                for piece in answer.iter_bytes():
                    target.write(piece)
    except httpx.HTTPError as error:
        raise _fail(f"no simulator answers at {control or socket_of(state)} ({error})", NO_ANSWER) from error
    except OSError as error:
        raise _fail(f"{file}: {error.strerror or error}", NO_ANSWER) from error
    typer.echo(f"{file}: {file.stat().st_size:,} bytes")


def load(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="A saved system.")],
    state: StateOption = Path("simulator"),
    control: ControlOption = "",
) -> None:
    """Put a saved system into an empty state folder, or into the simulator that runs in it."""
    try:
        if not control and not socket_of(state).exists():
            saving.load(file, state)
            return
        with _client(state, control) as client, file.open("rb") as source:
            _checked(client.post("/load", content=iter(lambda: source.read(1 << 20), b"")))
    except ModelError as error:
        raise _fail(str(error), BAD_INPUT) from error
    except httpx.HTTPError as error:
        raise _fail(f"no simulator answers at {control or socket_of(state)} ({error})", NO_ANSWER) from error
    except OSError as error:
        raise _fail(f"{error.filename or file}: {error.strerror or error}", NO_ANSWER) from error


def journal_lines(control: str, *, follow: bool, lines: int, member: str) -> Iterator[str]:
    """The journal of a simulator, over its control port. Ends the program with a message when it does not answer."""
    wanted = {"lines": str(lines or ""), "follow": "1" if follow else "", "member": member}
    timeout = httpx.Timeout(_TIMEOUT, read=None)
    try:
        with (
            _client(Path(), control) as client,
            client.stream(
                "GET", "/journal", params={key: value for key, value in wanted.items() if value}, timeout=timeout
            ) as answer,
        ):
            if answer.status_code != 200:
                answer.read()
                _checked(answer)
            yield from answer.iter_lines()
    except httpx.HTTPError as error:
        raise _fail(f"no simulator answers at {control} ({error})", NO_ANSWER) from error


def coverage(
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
    as_markdown: Annotated[bool, typer.Option("--markdown", help="As the page of the reference.")] = False,
) -> None:
    """List every SMAPI function: complete, partial or refused, and where its behaviour is taken from."""
    from zvmcloud.simulator import coverage as found  # noqa: PLC0415 (loads every handler)

    if as_json:
        typer.echo(json.dumps(found.data(), indent=2))
        return
    if as_markdown:
        typer.echo(found.markdown(), nl=False)
        return
    items = found.covered()
    table = Table("function", "state", "left out, or why", "authority", box=None)
    for item in items:
        table.add_row(item.function, item.state, item.note, item.authority)
    console = Console()
    console.print(table)
    counts = {state: sum(item.state == state for item in items) for state in found.STATES}
    console.print(f"{len(items)} functions: " + ", ".join(f"{count} {state}" for state, count in counts.items()))


def register(app: typer.Typer) -> None:
    """Add the commands to `zvm simulator`."""
    app.add_typer(fault_app, name="fault")
    app.command("latency")(latency)
    app.command("state")(show_state)
    app.command("export")(export)
    app.command("save")(save)
    app.command("load")(load)
    app.command("coverage")(coverage)
