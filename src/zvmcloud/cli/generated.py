"""The commands that come from the manager's document: ``noun.verb`` is ``zvm noun verb``.

What is in the path, and what the body cannot do without, are arguments in their order; all else are options named
after the parameters. The z/VM system is an option, because most people have one. New operations of a manager are
commands by themselves.
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from zvmcloud.cli import output, profiles, progress, values
from zvmcloud.cli.failures import BAD_INPUT, FAILED, fail, refuse
from zvmcloud.client import Client, ClientError, Operation, Parameter

Renderer = Callable[[Any], None]
RENDERERS: Mapping[str, Renderer] = {"job.show": progress.show_job, "plan.show": progress.show_plan}
"""What is shown in a way of its own."""
_SHORTEST = 4
_WHOLE = 36
_TYPES: Mapping[str, type] = {"integer": int, "number": float, "boolean": bool}
_TAKEN = frozenset({"profile", "output", "wait", "yes", "limit", "all", "help", "to", "file", "body"})
_SYSTEM = "system"


def commands(noun: str, operations: Iterable[Operation], app: typer.Typer) -> typer.Typer:
    """Add the commands of a noun to ``app``."""
    for operation in operations:
        if operation.noun == noun:
            app.command(operation.verb, help=_help(operation))(_command(operation))
    return app


def _help(operation: Operation) -> str:
    return operation.description.replace("``", "`") or operation.summary


def _command(operation: Operation) -> Callable[..., None]:
    options = {_python(parameter): parameter for parameter in operation.parameters if not _hidden(operation, parameter)}

    def command(**given: Any) -> None:
        try:
            _run(operation, options, given)
        except ClientError as error:
            refuse(error)
        except KeyboardInterrupt:
            raise SystemExit(130) from None

    signature = [_option(operation, name, parameter) for name, parameter in options.items()]
    signature += _common(operation)
    signature.sort(key=lambda one: one.default is not inspect.Parameter.empty)
    command.__signature__ = inspect.Signature(signature)  # type: ignore[attr-defined]
    command.__annotations__ = {one.name: one.annotation for one in signature}
    command.__name__ = operation.name.replace(".", "_").replace("-", "_")
    return command


def _hidden(operation: Operation, parameter: Parameter) -> bool:
    return operation.paged and parameter.name in {"limit", "cursor"}


def _python(parameter: Parameter) -> str:
    name = parameter.name.replace("-", "_")
    return f"{name}_" if name in _TAKEN or not name.isidentifier() else name


def _is_argument(operation: Operation, parameter: Parameter) -> bool:
    if parameter.secret or (parameter.name == _SYSTEM and operation.noun != _SYSTEM):
        return False
    plain = parameter.kind in {"string", "integer", "number"}
    return parameter.place == "path" or (parameter.place == "body" and parameter.required and plain)


def _sentence(text: str) -> str:
    """A description as a sentence begins, unless its first word is to be typed as it is."""
    return text[:1].upper() + text[1:] if text.partition(" ")[0].rstrip(",;:.").isalpha() else text


def _option(operation: Operation, name: str, parameter: Parameter) -> inspect.Parameter:
    keyword = inspect.Parameter.KEYWORD_ONLY
    kind: Any = str if values.is_time(parameter) else _TYPES.get(parameter.kind, str)
    if parameter.choices:
        kind = Literal[parameter.choices]
    told = _sentence(parameter.description)
    if _is_argument(operation, parameter):
        told_argument = typer.Argument(help=told, metavar=parameter.name.upper(), show_default=False)
        return inspect.Parameter(name, keyword, annotation=Annotated[kind, told_argument])
    word = parameter.name.replace("_", "-")
    word = f"{operation.noun}-{word}" if parameter.name in _TAKEN else word
    default = parameter.schema.get("default")
    if default not in (None, "", [], {}, False) and "efault" not in told:
        told += f" (default: {default})"
    if parameter.secret:
        flag = typer.Option(f"--{word}", help=f"Ask for it: {told}.", is_flag=True, show_default=False)
        return inspect.Parameter(name, keyword, annotation=Annotated[bool, flag], default=False)
    must = parameter.required and parameter.name != _SYSTEM
    if parameter.kind in {"array", "object"}:
        word, kind = word.removesuffix("s"), list[str]
        members = (parameter.item or {}).get("properties", {})
        told += f"; members: {', '.join(members)}" if members else ""
        listed = typer.Option(f"--{word}", help=told, metavar=values.hint(parameter) or None, show_default=False)
        return inspect.Parameter(name, keyword, annotation=Annotated[list[str] | None, listed], default=None)
    both = kind is bool and default is not False
    names: tuple[str, ...] = (f"--{word}/--no-{word}",) if both else (f"--{word}",)
    if parameter.name == _SYSTEM:
        names = ("--system", "-s")
        told = "The z/VM system (default: the profile's, or the manager's)" if parameter.place == "path" else told
    if values.is_time(parameter):
        told += "; or as 2026-11-21, 09:30, 2h ago, 3d"
    option = typer.Option(*names, help=told, show_default=False, metavar=values.hint(parameter) or None)
    if must:
        return inspect.Parameter(name, keyword, annotation=Annotated[kind, option])
    return inspect.Parameter(name, keyword, annotation=Annotated[kind | None, option], default=None)


def _common(operation: Operation) -> list[inspect.Parameter]:
    keyword = inspect.Parameter.KEYWORD_ONLY
    found: list[inspect.Parameter] = []
    must = inspect.Parameter.empty

    def add(name: str, kind: Any, option: Any, default: Any) -> None:
        if default is must:
            found.insert(0, inspect.Parameter(name, keyword, annotation=Annotated[kind, option]))
        else:
            found.append(inspect.Parameter(name, keyword, annotation=Annotated[kind, option], default=default))

    if operation.body and operation.body != "application/json":
        add("content", Path, typer.Argument(help="File to send; - for standard input.", metavar="FILE"), must)
    for parameter in operation.parameters:
        if parameter.secret:
            word = f"--{parameter.name.replace('_', '-')}-file"
            told = "Read it from here; - for standard input."
            add(f"{parameter.name}_file", Path | None, typer.Option(word, help=told), None)
    if "application/octet-stream" in operation.answers:
        add("to", Path, typer.Option("--to", help="File to write."), must)
    if operation.paged:
        add("limit", int, typer.Option("--limit", "-n", min=1, help="At most so many."), 50)
        add("all", bool, typer.Option("--all", help="All there are."), False)
    if operation.job:
        told = "Wait for the job to end, and show how far it is (default: on a terminal)."
        add("wait", bool | None, typer.Option("--wait/--no-wait", help=told), None)
    if operation.asks:
        add("yes", bool, typer.Option("--yes", "-y", help="Do not ask."), False)
    found.append(inspect.Parameter("output", keyword, annotation=output.Option, default=output.Format.TABLE))
    add("profile", str | None, typer.Option("--profile", help="The manager to ask; see `zvm login`."), None)
    return found


def _run(operation: Operation, options: Mapping[str, Parameter], given: dict[str, Any]) -> None:
    form: output.Format = given["output"]
    query: dict[str, Any] = {}
    body: dict[str, Any] = {}
    places = {"query": query, "body": body}
    path: dict[str, str] = {}
    for name, parameter in options.items():
        value = given[name]
        if parameter.secret:
            value = values.secret(parameter, given[f"{parameter.name}_file"], value)
            if value is None and parameter.required:
                word = f"--{parameter.name.replace('_', '-')}"
                fail(f"{word} is missing", BAD_INPUT, f"{word} asks for it, {word}-file reads it from a file")
        if value is None or value == []:
            continue
        if parameter.place == "path":
            path[parameter.name] = str(value)
        else:
            places[parameter.place][parameter.name] = values.value_of(parameter, value)
    if given.get("yes") is False and sys.stdin.isatty() and not query.get("dry_run"):
        _confirm(operation, [str(given[name]) for name, one in options.items() if _is_argument(operation, one)])
    profile = profiles.current()
    with profile.client() as client:
        for name in [one.name for one in operation.parameters if one.place == "path"]:
            path[name] = _whole(client, operation, name, path[name]) if name in path else _system(client, profile)
        route = operation.path.format_map({name: quote(value, safe="") for name, value in path.items()})
        if "text/event-stream" in operation.answers:
            progress.follow(client, route, query, form)
            return
        if "to" in given:
            progress.download(client, route, given["to"])
            return
        if operation.paged:
            found = client.pages(route, query)
            rows = list(found if given["all"] else islice(found, given["limit"] + 1))
            more = not given["all"] and len(rows) > given["limit"]
            output.write(rows[: given["limit"]] if more else rows, form, operation.noun)
            if more and form is output.Format.TABLE:
                output.screen.print("[dim]there are more: --limit N, or --all[/]")
            return
        media = operation.body if operation.body and operation.body != "application/json" else ""
        content = values.content(given["content"]) if media else None
        sent = body if operation.body == "application/json" else None
        answer = client.call(operation.method, route, query=query, body=sent, content=content, media=media)
        _show(client, operation, answer, given, form)


def _show(client: Client, operation: Operation, answer: Any, given: Mapping[str, Any], form: output.Format) -> None:
    is_plan = isinstance(answer, dict) and "expires" in answer and "operation" in answer
    if operation.job and not is_plan:
        wait = sys.stdout.isatty() if given.get("wait") is None else given["wait"]
        job = progress.wait(client, answer) if wait else answer
        if form is not output.Format.TABLE:
            output.write(job, form)
        elif not wait:
            output.screen.print(f"job {job['id']} has begun: {job['title']}", markup=False)
        else:
            progress.ended(job)
        if wait and job["state"] != ("undone" if operation.name == "job.undo" else "done"):
            raise SystemExit(FAILED)
        return
    renderer = progress.show_plan if is_plan else RENDERERS.get(operation.name)
    if answer is None:
        output.screen.print("[green]done[/]")
    elif renderer is not None and form is output.Format.TABLE:
        renderer(answer)
    elif operation.name in _TEXTS and form is output.Format.TABLE:
        output.write(answer[_TEXTS[operation.name]], form)
        raise SystemExit(FAILED if answer.get("rc") else 0)
    else:
        output.write(answer, form, operation.noun)


_TEXTS = {"guest.command": "output", "guest.console": "text"}
"""Answers of which people want one member, as it is."""


def _confirm(operation: Operation, arguments: Iterable[str]) -> None:
    what = " ".join(arguments)
    if not typer.confirm(f"{operation.noun} {operation.verb} {what}: sure?"):
        raise SystemExit(BAD_INPUT)


def _system(client: Client, profile: profiles.Profile) -> str:
    """The system that is meant when none is named."""
    found = profile.system or str(client.whoami().get("system") or "")
    if not found:
        fail("no z/VM system is named", BAD_INPUT, "name one with --system; `zvm system list` shows them")
    return found


def _whole(client: Client, operation: Operation, name: str, text: str) -> str:
    """The id that begins with what was typed, if there is exactly one; else what was typed."""
    if name != operation.noun or not _SHORTEST <= len(text) < _WHOLE or name not in _LISTED:
        return text
    rows = islice(client.pages(_LISTED[name], {}), 1000)
    matching = [str(row["id"]) for row in rows if str(row.get("id", "")).startswith(text)]
    if len(matching) > 1:
        fail(f"{len(matching)} of them begin with {text!r}", BAD_INPUT, f"write more of it: {', '.join(matching[:5])}")
    return matching[0] if matching else text


_LISTED = {"job": "/jobs", "token": "/tokens", "webhook": "/webhooks"}
"""Where things that have long ids are listed."""
