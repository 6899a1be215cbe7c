"""`zvm smapi`: look functions up, call them, check recordings."""

from __future__ import annotations

import asyncio
import dataclasses
import difflib
import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from zvmcloud.smapi import layout, recording, replay
from zvmcloud.smapi.client import DEFAULT_PORT, IMPATIENT, Client, Patience, Tls
from zvmcloud.smapi.codes import meaning
from zvmcloud.smapi.declare import Answer, Answering, Function, Message
from zvmcloud.smapi.errors import ParameterError, SmapiError, SmapiFault, TransportError
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.smapi.words import build_request, layout_text

app = typer.Typer(help="The wire of the z/VM Systems Management API.", no_args_is_help=True)

REFUSED, BAD_INPUT, NO_ANSWER = 1, 2, 3
"""Exit codes: z/VM refused; the command line is wrong; no answer was had."""

console = Console(width=None if sys.stdout.isatty() else 250, soft_wrap=True)
"""Tables are cut for people only: what is piped has one line for each row."""


def _fail(message: str, code: int) -> NoReturn:
    print(f"zvm smapi: {message}", file=sys.stderr)  # noqa: T201 (errors of a command go to standard error)
    raise typer.Exit(code)


def _function(name: str) -> Function:
    function = REGISTRY.get(name)
    if function is None:
        near = difflib.get_close_matches(name, [known.name for known in REGISTRY], n=3)
        hint = f"; did you mean {', '.join(near)}?" if near else "; `zvm smapi list` shows all"
        _fail(f"there is no function {name!r}{hint}", BAD_INPUT)
    return function


@app.command("list")
def list_functions(
    pattern: Annotated[str, typer.Argument(help="Only functions with this text in their name.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List the functions."""
    found = [function for function in REGISTRY if pattern.lower() in function.name.lower()]
    if as_json:
        rows = [{"name": f.name, "family": f.family, "summary": f.summary, "level": f.level} for f in found]
        print(json.dumps(rows, indent=2))  # noqa: T201
        return
    table = Table(box=None, header_style="bold")
    table.add_column("function", no_wrap=True)
    table.add_column("family")
    table.add_column("summary")
    for function in found:
        table.add_row(function.name, function.family, function.summary)
    console.print(table)
    console.print(f"{len(found)} functions")


@app.command()
def describe(name: Annotated[str, typer.Argument(metavar="FUNCTION")]) -> None:
    """Show what a function takes and returns."""
    function = _function(name)
    console.print(f"[bold]{function.name}[/bold]  {function.summary}", highlight=False)
    console.print(f"  target: {function.target.value}; parameters: {function.style.value}", highlight=False)
    side = "directory manager" if function.directory_manager else "CP or SMAPI server"
    console.print(f"  done by: {side}; since API level {function.level}; framing: {function.framing.value}")
    if function.answering is not Answering.REPLY:
        console.print(f"  answer: {function.answering.value}")
    for title, fields in (("parameters", function.fields), ("reply", function.reply_fields)):
        if fields:
            table = Table(box=None, header_style="bold")
            table.add_column(title, no_wrap=True)
            for heading in ("layout", "", ""):
                table.add_column(heading)
            _rows(table, fields, 0, with_need=title == "parameters")
            console.print(table)
    for error in function.errors:
        console.print(f"  with {', '.join(error.when)}: {error.layout.value}", highlight=False)
    for note in function.notes:
        console.print(f"  note: {note}", highlight=False)


def _rows(table: Table, fields: tuple[layout.Field, ...], depth: int, *, with_need: bool) -> None:
    for member in fields:
        need = ("required" if member.required else "optional") if with_need and depth == 0 else ""
        table.add_row("  " * depth + member.name, layout_text(member.spec), need, member.doc)
        inner = member.spec
        while isinstance(inner, layout.Repeat):
            inner = inner.item
        if isinstance(inner, layout.Group):
            _rows(table, inner.structure.__fields__, depth + 1, with_need=with_need)


@app.command()
def call(
    name: Annotated[str, typer.Argument(metavar="FUNCTION")],
    parameters: Annotated[
        list[str] | None,
        typer.Argument(metavar="KEY=VALUE...", help="Parameters; repeat a key for a list; @FILE takes a file's lines."),
    ] = None,
    target: Annotated[str, typer.Option("--target", "-T", help="Target identifier: userid or list.")] = "",
    host: Annotated[str, typer.Option(envvar="ZVM_SMAPI_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="ZVM_SMAPI_PORT", min=1, max=65535)] = DEFAULT_PORT,
    userid: Annotated[str, typer.Option("--userid", "-u", envvar="ZVM_SMAPI_USERID")] = "",
    password_file: Annotated[
        Path | None, typer.Option(help="File with the password; otherwise ZVM_SMAPI_PASSWORD, otherwise a prompt.")
    ] = None,
    tls: Annotated[bool, typer.Option("--tls", help="Speak TLS and verify the server's certificate.")] = False,
    ca_file: Annotated[Path | None, typer.Option(help="Trust these certificates (implies --tls).")] = None,
    insecure: Annotated[bool, typer.Option("--insecure", help="Speak TLS without verification.")] = False,
    trusted: Annotated[
        bool, typer.Option("--trusted", help="Send no credentials: the server knows the peer, as over IUCV.")
    ] = False,
    timeout: Annotated[float, typer.Option(min=0.1, help="Seconds to wait for the reply.")] = 240.0,
    retry: Annotated[
        bool, typer.Option("--retry", help="Try a lost or refused connection again, for up to minutes.")
    ] = False,
    follow: Annotated[bool, typer.Option(help="Wait for asynchronous directory work.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """Call a function and show its answer. Exit code 0: rc 0; 1: z/VM refused; 2: bad input; 3: no answer."""
    function = _function(name)
    try:
        request = build_request(function, target, parameters or [])
    except ParameterError as error:
        _fail(str(error), BAD_INPUT)
    if not userid and not trusted:
        _fail(
            "--userid (or ZVM_SMAPI_USERID) is needed: over TCP a request server wants credentials, "
            "unless it knows the peer (--trusted)",
            BAD_INPUT,
        )
    userid, secret = ("", "") if trusted else (userid, _password(password_file, userid))
    if not secret and not trusted:
        _fail("the password is empty: use --password-file or ZVM_SMAPI_PASSWORD", BAD_INPUT)
    security = Tls(ca_file=ca_file, verify=not insecure) if tls or ca_file or insecure else None
    base = Patience() if retry else IMPATIENT
    patience = dataclasses.replace(base, reply_timeout=timeout)
    client = Client(host, port, userid=userid, password=secret, tls=security, patience=patience)
    try:
        answer = asyncio.run(client.call(request, follow=follow))
    except ParameterError as error:
        _fail(str(error), BAD_INPUT)
    except SmapiError as error:
        if as_json:
            print(json.dumps(_as_json(function, Answer(error.rc, error.rs, None, error.text)), indent=2))  # noqa: T201
        _fail(f"{error}{' (a retry may help)' if error.retryable else ''}", REFUSED)
    except (TransportError, SmapiFault) as error:
        _fail(str(error), NO_ANSWER)
    if as_json:
        print(json.dumps(_as_json(function, answer), indent=2))  # noqa: T201
        return
    console.print(f"rc {answer.rc}, rs {answer.rs}: {meaning(answer.rc, answer.rs, function.name)}", highlight=False)
    if answer.data is not None:
        _show(answer.data, function.reply_fields, 0)


def _password(password_file: Path | None, userid: str) -> str:
    if password_file is not None:
        try:
            return password_file.read_text().rstrip("\r\n")
        except OSError as error:
            _fail(f"{password_file}: {error.strerror}", BAD_INPUT)
    if "ZVM_SMAPI_PASSWORD" in os.environ:
        return os.environ["ZVM_SMAPI_PASSWORD"]
    if sys.stdin.isatty():
        return str(typer.prompt(f"Password of {userid}", hide_input=True, err=True))
    return ""


def _as_json(function: Function, answer: Answer[Any]) -> Mapping[str, object]:
    return {
        "function": function.name,
        "rc": answer.rc,
        "rs": answer.rs,
        "meaning": meaning(answer.rc, answer.rs, function.name),
        "text": list(answer.text),
        "reply": _plain(answer.data),
    }


def _plain(value: object, spec: layout.Spec | None = None) -> object:
    if isinstance(value, Message):
        return {member.name: _plain(getattr(value, member.attribute), member.spec) for member in value.__fields__}
    if isinstance(value, tuple):
        inner = spec.item if isinstance(spec, layout.Repeat) else None
        return [_plain(item, inner) for item in value]
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, str) and isinstance(spec, layout.Limited) and spec.words:
        return {"text": value, **spec.split(value)}
    return value


def _show(data: Message, fields: tuple[layout.Field, ...], depth: int) -> None:
    indent = "  " * depth
    for member in fields:
        value = getattr(data, member.attribute)
        if isinstance(value, tuple):
            console.print(f"{indent}{member.name}: {len(value)}", highlight=False, markup=False)
            for item in value:
                if isinstance(item, Message):
                    console.print(f"{indent}  -", markup=False)
                    _show(item, item.__fields__, depth + 2)
                else:
                    console.print(f"{indent}  {item}", highlight=False, markup=False)
        else:
            shown = _with_meaning(value, member.spec)
            console.print(f"{indent}{member.name}: {shown}", highlight=False, markup=False)


def _with_meaning(value: object, spec: layout.Spec) -> str:
    if isinstance(spec, layout.Int) and isinstance(value, int) and spec.choices.get(value):
        return f"{value} ({spec.choices[value]})"
    return value.hex() if isinstance(value, bytes) else str(value)


@app.command()
def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="JSON lines with send_hex and recv_hex.")],
) -> None:
    """Decode and encode again every exchange of a recording; list what does not come back byte for byte."""
    try:
        exchanges = recording.load(file)
    except SmapiFault as error:
        _fail(str(error), BAD_INPUT)
    mismatches = list(recording.verify(exchanges))
    for mismatch in mismatches:
        console.print(f"{mismatch.label}: {mismatch.side}: {mismatch.problem}", highlight=False, markup=False)
    bad = len({mismatch.label for mismatch in mismatches})
    console.print(f"{len(exchanges)} exchanges, {len(exchanges) - bad} come back byte for byte, {bad} do not")
    if bad:
        raise typer.Exit(REFUSED)


@app.command("replay")
def replay_recording(
    files: Annotated[
        list[Path], typer.Argument(exists=True, dir_okay=False, help="JSON lines with send_hex and recv_hex.")
    ],
    host: Annotated[str, typer.Option(envvar="ZVM_SMAPI_HOST")] = "127.0.0.1",
    port: Annotated[int, typer.Option(envvar="ZVM_SMAPI_PORT", min=1, max=65535)] = DEFAULT_PORT,
    rounds: Annotated[
        int, typer.Option(min=1, max=100, help="How often what is answered otherwise is sent again behind the rest.")
    ] = 3,
) -> None:
    """Send the requests of recordings, as recorded, to a server (they change it!) and compare codes and structure."""
    try:
        exchanges = [exchange for file in files for exchange in recording.load(file)]
        report = asyncio.run(replay.replay(exchanges, host, port, rounds=rounds))
    except SmapiFault as error:
        _fail(str(error), BAD_INPUT)

    def say(line: str) -> None:
        console.print(line, highlight=False, markup=False)

    for label, reason in report.left_out:
        say(f"{label}: left out: {reason}")
    for found in report.late:
        say(f"{found.label}: as recorded in round {found.round}")
    for found in report.last:
        if not found.same_codes:
            got, recorded = ("rc {}, rs {}".format(*pair) for pair in (found.got, found.recorded))
            say(f"{found.label}: {got}; recorded: {recorded}")
        for difference in found.differences:
            say(f"{found.label}: {difference}")
    say(f"in the order of the file: {_shares(report.first)}")
    if report.late:
        say(f"with what was sent again: {_shares(report.last)}")


def _shares(compared: Sequence[replay.Comparison]) -> str:
    codes, structure = sum(found.same_codes for found in compared), sum(found.same_structure for found in compared)
    share = 100 / max(len(compared), 1)
    return (
        f"{len(compared)} requests: same codes {codes} ({codes * share:.1f} %), "
        f"same structure {structure} ({structure * share:.1f} %)"
    )
