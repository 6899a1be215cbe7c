"""`zvm job`: what a manager did, down to SMAPI functions and CP commands."""

from __future__ import annotations

import json
import os
import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer
from rich.console import Console
from rich.table import Table

from zvmcloud.client import Client, ClientError

app = typer.Typer(help="See what a manager did and does.", no_args_is_help=True)
console = Console(width=None if sys.stdout.isatty() else 250, highlight=False, soft_wrap=True)
SHORTEST_PREFIX = 4

FAILED, BAD_INPUT = 1, 2

State = Annotated[Path | None, typer.Option(help="State folder of a running `zvm up`; gives URL and token.")]
Url = Annotated[str, typer.Option(envvar="ZVMCLOUD_URL", help="Manager, https://manager.example.com:8080")]
TokenFile = Annotated[Path | None, typer.Option(help="File with the token; otherwise ZVMCLOUD_TOKEN.")]
AsJson = Annotated[bool, typer.Option("--json", help="As JSON.")]


def _fail(message: str, code: int) -> NoReturn:
    print(f"zvm job: {message}", file=sys.stderr)
    raise typer.Exit(code)


def _client(state: Path | None, url: str, token_file: Path | None) -> Client:
    try:
        if state is not None or not url:
            from zvmcloud.cli.up import default_state  # noqa: PLC0415 (only here)

            facts = json.loads(((state or default_state()) / "up.json").read_text())
            return Client(str(facts["connector"]), Path(facts["admin_token_file"]).read_text().strip())
        token = token_file.read_text().strip() if token_file else os.environ.get("ZVMCLOUD_TOKEN", "")
    except FileNotFoundError as error:
        _fail(f"{error.filename} does not exist: start `zvm up`, or name a manager with --url or --state", BAD_INPUT)
    except OSError as error:
        _fail(f"{error.filename}: {error.strerror}", BAD_INPUT)
    return Client(url, token)


@app.command("list")
def list_jobs(
    state: State = None,
    url: Url = "",
    token_file: TokenFile = None,
    userid: Annotated[str, typer.Option(help="Only jobs for this userid.")] = "",
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 20,
    as_json: AsJson = False,
) -> None:
    """List the newest jobs."""
    with _client(state, url, token_file) as client:
        try:
            found = client.jobs(userid=userid.upper(), limit=limit)
        except ClientError as error:
            _fail(str(error), FAILED)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    table = Table(box=None, header_style="bold")
    table.add_column("job", no_wrap=True, min_width=36)
    for heading in ("started", "kind", "system", "userid", "state"):
        table.add_column(heading, overflow="fold")
    for job in found:
        started = datetime.fromtimestamp(job["created"]).strftime("%H:%M:%S")  # noqa: DTZ006 (the reader's own clock)
        table.add_row(job["id"], started, job["kind"], job["system"], job["userid"] or "", job["state"])
    console.print(table)


def _whole_id(client: Client, job: str) -> str:
    """The id that begins with what was typed, if there is exactly one among the newest thousand."""
    known = [str(found["id"]) for found in client.jobs(limit=1000)] if len(job) >= SHORTEST_PREFIX else []
    matching = [found for found in known if found.startswith(job)]
    if len(matching) > 1 and job not in matching:
        _fail(f"{len(matching)} jobs begin with {job!r}: {', '.join(matching[:5])}", BAD_INPUT)
    return matching[0] if len(matching) == 1 else job


@app.command()
def show(
    job: Annotated[
        str, typer.Argument(help="The job's id or its beginning, from `zvm job list` or the header Zvm-Job.")
    ],
    state: State = None,
    url: Url = "",
    token_file: TokenFile = None,
    as_json: AsJson = False,
) -> None:
    """Show the steps of a job and every call they made."""
    with _client(state, url, token_file) as client:
        try:
            found = client.job(_whole_id(client, job))
        except ClientError as error:
            _fail(str(error), FAILED)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    console.print(f"{found['kind']} {found['userid'] or ''} on {found['system']}: {found['state']}", markup=False)
    show_steps(console, found, indent="  ")


def show_steps(where: Console, job: dict[str, Any], indent: str) -> None:
    """The steps of a job, each with its calls: function or command, return and reason code, time."""
    for step in job["steps"]:
        where.print(f"{indent}{step['title']}: {step['state']}", markup=False)
        for call in step["calls"]:
            codes = "" if call["rc"] is None else f"rc {call['rc']}"
            if call["rs"] is not None and call["kind"] == "smapi":
                codes += f" rs {call['rs']}"
            where.print(
                f"{indent}  {call['kind']:<5} {_call(call):<66} {codes:<14} {call['milliseconds']:6.1f} ms",
                markup=False,
            )
        if step.get("error"):
            where.print(f"{indent}  {step['error']['detail']}", markup=False)


def _call(call: dict[str, Any]) -> str:
    """A call in one short line."""
    name = str(call["name"])
    if call["kind"] == "cp":
        return name
    shown = " ".join(
        f"{key}={value}" for key, value in call["parameters"].items() if not isinstance(value, list | dict)
    )
    text = f"{name} {shown}"
    return text if len(text) <= 66 else text[:63] + "..."
