"""The entry point `smcli`, also `zvm smcli`."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import sys
from collections.abc import Awaitable, Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from zvmcloud.smapi.client import IMPATIENT, Client, Patience
from zvmcloud.smapi.declare import Answer
from zvmcloud.smapi.errors import SmapiError, SmapiFault
from zvmcloud.smapi.registry import REGISTRY
from zvmcloud.smcli import output
from zvmcloud.smcli.arguments import UsageError, Wanted, parse, wants_header
from zvmcloud.smcli.settings import Settings, SettingsError, load

Sleep = Callable[[float], Awaitable[object]]
FAILED = 1
"""The only exit code beside 0, as scripts expect; the header tells the classes apart."""

ACTIVATE_TRIES, ACTIVATE_PAUSE, LOGGING_OFF = 6, 15.0, (200, 16)
"""smcli starts a guest that is still logging off again, up to six times with 15 s between."""


def _say(lines: Iterable[str]) -> None:
    for line in lines:
        sys.stdout.write(line + "\n")


def run(
    words: Sequence[str], settings: Callable[[], Settings], stdin: Callable[[], str], sleep: Sleep = asyncio.sleep
) -> tuple[int, list[str]]:
    """Do what a command line says: exit code and lines. Settings are read only when something is sent. ``sleep`` waits
    for a guest that is logging off."""
    if not words or words[0] in {"-h", "-?", "--help"}:
        return (0 if words else FAILED), [
            "smcli FUNCTION -T target [options] [--addRCheader] [--timeout seconds]",
            "smcli FUNCTION -h shows the options of a function. The functions:",
            *(f"  {function.name}" for function in REGISTRY),
        ]
    with_header = wants_header(words)
    found: Settings | None = None
    problem = ""
    try:
        found = settings()
    except SettingsError as error:
        problem = str(error)
    try:
        wanted = parse(words, found.userid if found else "MAINT", stdin)
    except UsageError as error:
        return FAILED, list(output.misuse(str(error), with_header=with_header))
    if wanted.help:
        return 0, [*([output.header()] if with_header else []), *output.help_text(wanted.function)]
    if found is None:
        return FAILED, list(output.misuse(problem, with_header=with_header))
    try:
        return _send(wanted, found, sleep)
    except SettingsError as error:
        return FAILED, list(output.misuse(str(error), with_header=with_header))


def _send(wanted: Wanted, settings: Settings, sleep: Sleep) -> tuple[int, list[str]]:
    function, request = wanted.function, wanted.request
    assert request is not None  # noqa: S101 (only help has none)
    try:
        answer = asyncio.run(_call(wanted, settings, sleep))
    except SmapiError as error:
        return FAILED, list(output.refusal(function, error.rc, error.rs, error.text, with_header=wanted.header))
    except SmapiFault as error:
        return FAILED, list(output.failure(error, with_header=wanted.header))
    if not output.is_success(function, answer.rc, answer.rs):
        return FAILED, list(output.refusal(function, answer.rc, answer.rs, answer.text, with_header=wanted.header))
    lines = [output.header(answer.rs)] if wanted.header else []
    return 0, [*lines, *output.success(function, answer, request.target, wanted.only)]


async def _call(wanted: Wanted, settings: Settings, sleep: Sleep) -> Answer[Any]:
    assert wanted.request is not None  # noqa: S101
    patience = dataclasses.replace(Patience() if settings.retry else IMPATIENT, reply_timeout=wanted.seconds)
    client = Client(
        settings.host, settings.port, userid=settings.userid, password=settings.secret(), tls=settings.security(),
        patience=patience,
    )  # fmt: skip
    for _ in range(ACTIVATE_TRIES - 1):
        try:
            return await client.call(wanted.request)
        except SmapiError as error:
            if wanted.function.name != "Image_Activate" or (error.rc, error.rs) != LOGGING_OFF or not settings.retry:
                raise
        await sleep(ACTIVATE_PAUSE)
    return await client.call(wanted.request)


def main(words: Sequence[str] | None = None) -> None:
    """Run smcli with the words of the command line."""
    given = sys.argv[1:] if words is None else words
    code, lines = run(given, lambda: load(os.environ, Path.home()), sys.stdin.read)
    try:
        _say(lines)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    raise SystemExit(code)


def app(args: Sequence[str], prog_name: str) -> None:
    """`zvm smcli`."""
    main(args)
