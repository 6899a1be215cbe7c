"""Jobs that are over, run again: a failed one from the step that failed, a finished one backwards.

Each run has keys of its own at the agent (the step's name with the run's number), because an agent does nothing twice
under one key. What was taken back when the job failed is done again; what could not be taken back is not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.plan import BEFORE, NOTHING, TELLS_BEFORE, JobRecord, Json, StepRecord

FILES_KEPT = 86400.0
"""Seconds for which the files of a job that failed or was cancelled are kept for a retry."""


def check_retry(record: JobRecord, children: Sequence[JobRecord], folder: Path) -> None:
    """Raises Conflict (job-state, job-files-gone) when the job cannot be retried with those of its children that are
    not done. Blocking."""
    if record.state not in {"failed", "cancelled"}:
        raise _state(record, "only a job that failed or was cancelled can be retried")
    for found in (record, *children):
        _check_files(found, folder)


def _check_files(record: JobRecord, folder: Path) -> None:
    for name in needed_files(record):
        if not (folder / "jobs" / record.id / name).exists():
            raise Conflict(
                f"the files of job {record.id} are gone; they are kept for a day",
                code="job-files-gone",
                remedy="ask for the change anew",
                job=record.id,
            )


def needed_files(record: JobRecord) -> frozenset[str]:
    """The names of the files that the steps not done send to the agent. What a step has received is not among them:
    a retry receives it anew."""
    names: set[str] = set()
    for item in record.steps:
        if item.state != "done":
            files = item.step.parameters.get("files")
            named = [item.step.parameters, *(files if isinstance(files, list) else ())]
            given = [found for found in named if isinstance(found, Mapping)]
            names |= {str(found[word]) for found in given for word in ("stored", "stored_drive") if word in found}
    return frozenset(names)


WHY_NOT: dict[str, str] = {}
"""Why jobs of a kind cannot be undone, as the operations declare it."""
UNLESS: dict[str, str] = {}
"""When, and why, some jobs of a kind cannot be undone."""


def check_undo(record: JobRecord) -> None:
    """Raises Conflict (job-state, job-not-undoable) when the job cannot be undone. One that failed has undone itself,
    but for what stays, and what could not be undone then."""
    done = [item for item in record.steps if item.state == "done" and item.step.undo_kind != NOTHING]
    if record.state != "done" and not (record.state in {"failed", "cancelled"} and done):
        raise _state(record, "only a job that is done can be undone; one that failed has undone itself")
    why = WHY_NOT.get(record.kind, "")
    for item in record.steps:
        if why or (item.state == "done" and not item.step.undo_kind):
            told = f": {UNLESS[record.kind]}" if record.kind in UNLESS else ""
            why = why or f"step {item.step.name} ({item.step.title}) cannot be taken back{told}"
            raise Conflict(
                f"job {record.id} cannot be undone, and nothing was done: {why}",
                code="job-not-undoable",
                remedy="look at its steps, and ask for the changes that make up for them",
                job=record.id,
            )


def undo_parameters(item: StepRecord) -> Mapping[str, Json]:
    """What the step is taken back with. Raises Conflict (before-unknown) when that is what the agent found before, and
    it did not tell it."""
    before = (item.result or {}).get(BEFORE)
    if isinstance(before, Mapping) and not item.step.local:
        return {**item.step.undo_parameters, **before}
    if item.step.kind in TELLS_BEFORE:
        raise Conflict("it is not known what was there before", code="before-unknown")
    return item.step.undo_parameters


def children_busy(record: JobRecord) -> Conflict:
    """A child is not run again while its parent runs."""
    return _state(record, f"it belongs to job {record.parent}, which is not over")


def workflow(record: JobRecord) -> str:
    """The name of a run of the job."""
    return record.id if not record.run else f"{record.id}.{record.run}"


def keyed(step: str, run: int) -> str:
    """The name under which the agent knows a step of this run."""
    return step if not run else f"{step}.r{run}"


def _state(record: JobRecord, what: str) -> Conflict:
    return Conflict(
        f"job {record.id} is {record.state}: {what}", code="job-state", remedy="look at the job", job=record.id
    )
