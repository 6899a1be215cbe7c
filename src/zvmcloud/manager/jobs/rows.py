"""Rows of the job tables, made of values and turned into them."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import sqlalchemy as sa

from zvmcloud.manager.jobs.plan import Call, JobRecord, Outcome, Plan, Step, StepRecord


def row_of(
    job: str, plan: Plan, *, project: str, actor: str, origin: str, parent: str | None, guest: str | None
) -> dict[str, object]:
    """The row of a new job, without the manager that has it."""
    return {
        "id": job,
        "kind": plan.kind,
        "title": plan.title[:255],
        "system": plan.system,
        "userid": plan.userid,
        "image_sha256": plan.image_sha256,
        "state": "pending" if plan.durable else "running",
        "durable": plan.durable,
        "cancel": False,
        "origin": origin[:128],
        "project": project,
        "actor": actor,
        "created": time.time(),
        "parent": parent,
        "guest": guest,
        "uses": dict(plan.uses) or None,
    }


def step_rows(job: str, plan: Plan) -> list[dict[str, object]]:
    """The rows of its steps."""
    return [
        {
            "job_id": job,
            "number": number,
            "name": step.name,
            "title": step.title[:255],
            "kind": step.kind,
            "parameters": dict(step.parameters),
            "undo_kind": step.undo_kind or None,
            "undo_parameters": dict(step.undo_parameters),
            "undo_system": step.undo_system,
            "system": step.system,
            "stays": step.stays,
            "state": "pending",
            "progress": 0.0,
            "detail": "",
            "attempts": 0,
        }
        for number, step in enumerate(plan.steps)
    ]


def call_rows(job: str, number: int, outcome: Outcome) -> list[dict[str, object]]:
    """The rows of the calls that a step made."""
    return [
        {
            "job_id": job,
            "step": number,
            "position": position,
            "kind": call.kind[:16],
            "name": call.name[:128],
            "parameters": dict(call.parameters),
            "rc": call.rc,
            "rs": call.rs,
            "text": list(call.text),
            "milliseconds": call.milliseconds,
        }
        for position, call in enumerate(outcome.calls)
    ]


def job_of(row: sa.RowMapping, steps: tuple[StepRecord, ...], children: Mapping[str, int] | None = None) -> JobRecord:
    """A job with these steps, and so many children in each state."""
    return JobRecord(
        id=row["id"],
        kind=row["kind"],
        title=row["title"],
        system=row["system"],
        userid=row["userid"],
        state=row["state"],
        durable=bool(row["durable"]),
        cancel=bool(row["cancel"]),
        epoch=row["epoch"],
        origin=row["origin"],
        created=row["created"],
        finished=row["finished"],
        image_sha256=row["image_sha256"],
        error=row["error"],
        steps=steps,
        project=row["project"],
        actor=row["actor"],
        run=row["run"],
        backwards=bool(row["backwards"]),
        parent=row["parent"] or "",
        guest=row["guest"] or "",
        children=children or {},
    )


def without_steps(row: sa.RowMapping) -> JobRecord:
    """The job of a row, without its steps."""
    return job_of(row, ())


def call_of(row: sa.RowMapping) -> Call:
    """A call that a step made."""
    return Call(
        kind=row["kind"],
        name=row["name"],
        parameters=row["parameters"],
        rc=row["rc"],
        rs=row["rs"],
        text=tuple(row["text"]),
        milliseconds=row["milliseconds"],
    )


def step_of(row: sa.RowMapping, made: Sequence[Call], live: tuple[float, str] | None) -> StepRecord:
    """A step; ``live`` is the progress and detail of one that runs here, newer than the row's."""
    progress, detail = live if live is not None and row["state"] == "running" else (row["progress"], row["detail"])
    return StepRecord(
        number=row["number"],
        step=Step(
            name=row["name"],
            title=row["title"],
            kind=row["kind"],
            parameters=row["parameters"],
            undo_kind=row["undo_kind"] or "",
            undo_parameters=row["undo_parameters"] or {},
            undo_system=row["undo_system"],
            system=row["system"],
            stays=bool(row["stays"]),
        ),
        state=row["state"],
        progress=progress,
        detail=detail,
        attempts=row["attempts"],
        started=row["started"],
        finished=row["finished"],
        result=row["result"],
        error=row["error"],
        calls=tuple(made),
    )


def how(outcome: Outcome) -> str:
    """What a line of the log adds to how a step ended."""
    detail = str((outcome.error or {}).get("detail") or outcome.detail)
    return f": {detail}" if detail and outcome.state != "done" else ""
