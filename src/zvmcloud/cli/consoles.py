"""`zvm guest console NAME`: what a guest writes to its console, and what is typed there."""

from __future__ import annotations

import contextlib
import json
import select
import sys
import threading
from collections.abc import Callable
from typing import Annotated
from urllib.parse import quote

import typer

from zvmcloud.cli import output, profiles
from zvmcloud.cli.failures import INTERRUPTED, refuse
from zvmcloud.client import Client, ClientError


def console(
    userid: Annotated[str, typer.Argument(help="Userid of the guest.", show_default=False)],
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on showing what it writes; on a terminal, type lines to it too.")
    ] = False,
    send: Annotated[str | None, typer.Option("--send", help="Type this line there, and show what is answered.")] = None,
    cp: Annotated[bool, typer.Option("--cp", help="The line is a CP command of the guest.")] = False,
    seconds: Annotated[int, typer.Option("--seconds", min=0, max=300, help="How long to wait for the answer.")] = 3,
    kb: Annotated[int, typer.Option("--kb", min=1, max=8192, help="KiB from the end to begin with.")] = 16,
    system: Annotated[str | None, typer.Option("--system", "-s", help="The z/VM system.")] = None,
    form: output.Option = output.Format.TABLE,
    profile: Annotated[str | None, typer.Option("--profile", help="The manager to ask.")] = None,
) -> None:
    """Show a guest's console; follow it, or type a line there (needs the role member)."""
    found = profiles.named(profile) if profile else profiles.current()
    try:
        with found.client() as client:
            where = system or found.system or str(client.whoami()["system"])
            route = f"/guests/{quote(where, safe='')}/{quote(userid, safe='')}/console"
            if send is not None:
                output.write(_typed(client, route, send, cp=cp, seconds=seconds, form=form), form)
            elif follow:
                _follow(client, route, kb)
            else:
                answer = client.call("GET", route, query={"kb": kb})
                text = answer["text"] if isinstance(answer, dict) else ""
                output.write(text if form is output.Format.TABLE else answer, form)
    except ClientError as error:
        refuse(error)
    except KeyboardInterrupt:
        raise SystemExit(INTERRUPTED) from None


COMMANDS: dict[str, Callable[..., None]] = {"console": console}
"""Commands of the noun guest that are made by hand."""


def _typed(client: Client, route: str, line: str, *, cp: bool, seconds: int, form: output.Format) -> object:
    answer = client.call("POST", route, body={"text": line, "cp": cp, "seconds": seconds})
    return answer["output"] if isinstance(answer, dict) and form is output.Format.TABLE else answer


def _follow(client: Client, route: str, kb: int) -> None:
    """Show what comes; lines typed meanwhile are sent."""
    over = threading.Event()
    if sys.stdin.isatty():
        threading.Thread(target=_send_lines, args=(client, route, over), daemon=True).start()
    try:
        for event in client.events(f"{route}/stream", {"kb": kb}):
            sys.stdout.write(json.loads(event.data)["text"])
            sys.stdout.flush()
    finally:
        over.set()


def _send_lines(client: Client, route: str, over: threading.Event) -> None:
    while not over.is_set():
        ready, _, _ = select.select([sys.stdin], [], [], 0.2)
        if not ready:
            continue
        line = sys.stdin.readline()
        if not line:
            return
        try:
            client.call("POST", route, body={"text": line.rstrip("\n") or " ", "seconds": 0})
        except ClientError as error:
            with contextlib.suppress(OSError):
                sys.stderr.write(f"error: {error}\n")
