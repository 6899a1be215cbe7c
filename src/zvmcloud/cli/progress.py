"""Jobs and plans on a screen: how far a job is, what it did down to SMAPI and CP, what a plan would do."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from zvmcloud.cli import output
from zvmcloud.cli.failures import BAD_INPUT, errors, fail, show_problem
from zvmcloud.client import Client

_MARKS = {"done": "[green]✓[/]", "failed": "[red]✗[/]", "undone": "[yellow]↺[/]", "running": "[cyan]▸[/]"}


def wait(client: Client, job: Mapping[str, Any]) -> dict[str, Any]:
    """Watch a job to its end, with a bar for each step when somebody looks; returns it."""
    if not errors.is_terminal:
        return client.wait(str(job["id"]))
    columns = (TextColumn("{task.description}"), BarColumn(24), TextColumn("{task.fields[told]}"), TimeElapsedColumn())
    with Progress(*columns, console=errors, transient=True) as bars:
        tasks: dict[int, TaskID] = {}
        for found in client.watch(str(job["id"])):
            for step in found["steps"]:
                number = step["number"]
                if step["state"] == "pending":
                    continue
                if number not in tasks:
                    tasks[number] = bars.add_task(step["title"], total=1.0, told="")
                share = 1.0 if step["state"] == "done" else step["progress"]
                bars.update(tasks[number], completed=share, told=step["detail"] if share < 1 else "")
    return client.job(str(job["id"]))


def ended(job: Mapping[str, Any]) -> None:
    """How a job ended: its steps, and what went wrong."""
    for step in job["steps"]:
        mark = _MARKS.get(step["state"], "[dim]·[/]")
        output.screen.print(f"{mark} ", end="")
        output.screen.print(step["title"], markup=False)
    style = {"done": "green", "failed": "red"}.get(job["state"], "yellow")
    took = ""
    if not job["run"]:  # of a retry or an undo nobody wrote down when it began
        took = f" in {(job['finished'] or job['created']) - job['created']:.1f} s"
    output.screen.print(f"[{style}]{job['state']}[/]{took}  [dim]job {job['id'][:8]}[/]")
    if job["state"] != "done" and job.get("error"):
        sys.stdout.flush()
        show_problem({"job": job["id"], **{name: value for name, value in job["error"].items() if value}})


def show_job(job: Mapping[str, Any]) -> None:
    """A job with its steps and every call they made."""
    facts = {name: job[name] for name in ("id", "kind", "title", "system", "userid", "state", "project", "actor")}
    output.sheet({**facts, "created": job["created"], "finished": job["finished"], "origin": job["origin"]})
    show_steps(output.screen, job, indent="  ")
    if job.get("error"):
        sys.stdout.flush()
        show_problem(job["error"])


def show_steps(where: Console, job: Mapping[str, Any], indent: str) -> None:
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


def show_plan(plan: Mapping[str, Any]) -> None:
    """What a plan would do, step by step, with everything the manager says of each; so for those of its children."""
    _show_steps_of(plan)
    for child in plan.get("children", ()):
        _show_steps_of(child)
    until = output.moment(plan["expires"])
    output.screen.print(f"nothing was done; [bold]zvm plan apply {plan['id']}[/] does exactly this until {until}")


def _show_steps_of(plan: Mapping[str, Any]) -> None:
    output.screen.print(f"[bold]plan[/] {plan['id']}  {plan['title']}")
    for number, step in enumerate(plan["steps"], 1):
        output.screen.print(f"[bold]{number}.[/] ", end="")
        output.screen.print(f"{step['title']}  ({step['kind']})", markup=False)
        for name, value in step["parameters"].items():
            _member(name, value)
        for name, value in step.items():
            if name not in {"name", "title", "kind", "parameters"}:
                _member(name, value)
    for name, value in plan.items():
        if name in {"records", "calls", "commands", "effects"}:
            _member(name, value)


def follow(client: Client, route: str, query: Mapping[str, Any], form: output.Format) -> None:
    """Show events as they come, until the manager or Ctrl-C ends it."""
    for event in client.events(route, query):
        document = json.loads(event.data)
        if form is output.Format.JSON:
            print(json.dumps(document), flush=True)
        elif form is output.Format.YAML:
            output.write([document], form)
        elif "kind" in document and "time" in document:
            where = "/".join(str(document[name]) for name in ("system", "subject") if document.get(name))
            rest = " ".join(f"{name}={value}" for name, value in document.get("data", {}).items() if value)
            line = f"{output.moment(document['time'])}  {document['kind']:<20} {where:<20} {rest}"
            output.screen.print(line.rstrip(), markup=False)
        elif event.name == "log":
            where = f"{document['step']}: " if document["step"] else ""
            output.screen.print(f"{output.moment(document['at'])}  {where}{document['text']}", markup=False)
        elif "steps" in document:
            running = [step["title"] for step in document["steps"] if step["state"] == "running"]
            output.screen.print(
                f"{document['state']:<10} {document['progress']:4.0%}  {' '.join(running)}", markup=False
            )
        else:
            output.write(document, form)
        sys.stdout.flush()


def download(client: Client, route: str, target: Path) -> None:
    """Write the bytes of a route to a file, which is there only when all have come."""
    part = target.with_name(target.name + ".part")
    try:
        with part.open("xb") as file, Progress(BarColumn(), DownloadColumn(), console=errors, transient=True) as bars:
            task = bars.add_task("", total=None)
            size = client.download(
                route, file, lambda done, whole: bars.update(task, completed=done, total=whole or None)
            )
        part.replace(target)
    except FileExistsError:
        fail(f"{part} is there already", BAD_INPUT, "remove it, if no other download writes it")
    except OSError as error:
        fail(f"{error.filename or target}: {error.strerror}", BAD_INPUT)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    output.screen.print(f"{target}: {output.size(size)}", markup=False)


def _member(name: str, value: object) -> None:
    if value in (None, "", [], {}):
        return
    label = f"     {name.replace('_', ' ')}: "
    if isinstance(value, Sequence) and not isinstance(value, str):
        output.screen.print(label.rstrip(), markup=False)
        for item in value:
            output.screen.print(f"       {_line(item)}", markup=False, soft_wrap=True)
    else:
        output.screen.print(f"{label}{_line(value)}", markup=False, soft_wrap=True)


def _line(value: object) -> str:
    if isinstance(value, Mapping):
        return " ".join(f"{key}={_line(item)}" for key, item in value.items() if item not in (None, "", [], {}))
    return json.dumps(value) if isinstance(value, list | bool) else str(value)


def _call(call: Mapping[str, Any]) -> str:
    """A call in one short line."""
    name = str(call["name"])
    if call["kind"] == "cp":
        return name
    shown = " ".join(
        f"{key}={value}" for key, value in call["parameters"].items() if not isinstance(value, list | dict)
    )
    text = f"{name} {shown}"
    return text if len(text) <= 66 else text[:63] + "..."
