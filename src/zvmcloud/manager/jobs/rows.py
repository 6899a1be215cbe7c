"""Rows of the job tables as the values that the rest of the manager works with."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from zvmcloud.manager.jobs.plan import Call, JobRecord, Step, StepRecord


def job_of(row: sa.RowMapping, steps: tuple[StepRecord, ...]) -> JobRecord:
    """A job with these steps."""
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
