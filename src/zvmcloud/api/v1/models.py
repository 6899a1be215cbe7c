"""What the native API answers, as documents."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import RowMapping

from zvmcloud.api.v1.problems import Problem
from zvmcloud.manager.jobs.plan import JobRecord, StepRecord
from zvmcloud.manager.plans import KeptPlan


class Mirror(BaseModel):
    """A document of a value of the manager: its fields are attributes of the value, by the same names."""

    model_config = ConfigDict(from_attributes=True)

    @classmethod
    def of(cls, value: object) -> Self:
        return cls.model_validate(value)


class Health(BaseModel):
    status: str = "ok"
    version: str
    epoch: int


class System(BaseModel):
    """A z/VM system. ``reachable``: its agent answers now; ``project``: whose it is, null for nobody's; ``seen``: when
    the last look at it went well, in seconds since 1970."""

    name: str
    url: str
    default: bool
    reachable: bool
    project: str | None
    tags: dict[str, str]
    seen: float | None


class Guest(BaseModel):
    """A guest of ours. Times are seconds since 1970."""

    system: str
    userid: str
    id: str
    project: str
    tags: dict[str, str]
    created: float
    os_version: str
    image_sha256: str | None

    @classmethod
    def of(cls, row: RowMapping) -> Guest:
        return cls(**{name: row[name] for name in cls.model_fields})


class Image(Mirror):
    """A name in the image repository. ``bytes``: length of the file; ``size``: of the raw disk inside it, 0 when its
    header counts cylinders or blocks only. ``cylinders`` and ``blocks`` (of 512 bytes) are needed on an ECKD and on an
    FBA disk; null: it does not go there. ``disk_type`` is ECKD, FBA, SCSI, or empty when both kinds of minidisk take
    it. ``kind`` and ``units`` say the same in one number. ``boot``: whether a guest boots from it; ``protected``: it
    is neither deleted nor pruned. Times are seconds since 1970."""

    name: str
    sha256: str
    md5: str
    bytes: int
    format: str
    size: int
    disk_type: str
    cylinders: int | None
    blocks: int | None
    kind: str
    units: int
    os_version: str
    architecture: str
    boot: bool
    type: str
    comments: str | None
    created: float
    last_used: float
    project: str
    public: bool
    protected: bool
    tags: dict[str, str]


class Call(Mirror):
    """One call below a step: a SMAPI function with rc and rs, a CP command, a punched file, a disk write."""

    kind: str
    name: str
    parameters: dict[str, object]
    rc: int | None
    rs: int | None
    text: list[str]
    milliseconds: float


class Step(BaseModel):
    """A step of a job. ``progress`` is 0 to 1."""

    number: int
    name: str
    title: str
    kind: str
    state: str
    progress: float
    detail: str
    attempts: int
    started: float | None
    finished: float | None
    parameters: dict[str, object]
    result: dict[str, object] | None
    error: Problem | None
    calls: list[Call]

    @classmethod
    def of(cls, row: StepRecord) -> Step:
        return cls(
            number=row.number,
            name=row.step.name,
            title=row.step.title,
            kind=row.step.kind,
            state=row.state,
            progress=row.progress,
            detail=row.detail,
            attempts=row.attempts,
            started=row.started,
            finished=row.finished,
            parameters=dict(row.step.parameters),
            result=dict(row.result) if row.result is not None else None,
            error=Problem.model_validate(row.error) if row.error is not None else None,
            calls=[Call.of(call) for call in row.calls],
        )


class Job(BaseModel):
    """A job: what was planned and how far it is. States: pending, running, interrupted, done, failed, cancelled,
    undone. ``cancel``: whether it was asked to stop. ``run``: how often it was retried or undone. ``parent``: the job
    that runs this one; ``children``: how many jobs that this one runs are in which state (``GET /v1/jobs?parent=``
    lists them)."""

    id: str
    kind: str
    title: str
    system: str
    userid: str
    state: str
    cancel: bool
    durable: bool
    run: int
    progress: float
    origin: str
    project: str
    actor: str
    created: float
    finished: float | None
    error: Problem | None
    parent: str | None
    children: dict[str, int]
    steps: list[Step] = Field(default_factory=list)

    @classmethod
    def of(cls, row: JobRecord) -> Job:
        return cls(
            id=row.id,
            kind=row.kind,
            title=row.title,
            system=row.system,
            userid=row.userid,
            state=row.state,
            cancel=row.cancel,
            durable=row.durable,
            run=row.run,
            progress=row.progress,
            origin=row.origin,
            project=row.project,
            actor=row.actor,
            created=row.created,
            finished=row.finished,
            error=Problem.model_validate(row.error) if row.error is not None else None,
            parent=row.parent or None,
            children=dict(row.children),
            steps=[Step.of(step) for step in row.steps],
        )


class PlannedCall(BaseModel):
    """A change that a step would make. ``vvvv`` and ``nnnn`` stand for numbers that are given out when it is done: of a
    linked disk, of a spool file."""

    kind: str
    name: str
    parameters: dict[str, object]


class EntryChange(BaseModel):
    """Statements that would come into a directory entry, and go out of it."""

    userid: str
    added: list[str]
    removed: list[str]


class PlannedStep(BaseModel):
    """A step as it would run: the operation of the agent (or of the manager itself) and its parameters; the calls that
    change z/VM, and what they make of directory entries. ``undo``: the operation that takes it back, empty for none."""

    name: str
    title: str
    kind: str
    parameters: dict[str, object]
    undo: str
    calls: list[PlannedCall]
    entries: list[EntryChange]


class Plan(BaseModel):
    """What a change would do. ``entries`` maps the userids it depends on to digests of their directory entries,
    ``seen`` what else it depends on (``nics USERID``, ``vswitch NAME``, ``volume NAME``); ``job`` is the job that
    applied it; ``children``: the plans of the jobs that it runs. Times are seconds since 1970."""

    id: str
    operation: str
    title: str
    system: str
    userid: str
    project: str
    actor: str
    created: float
    expires: float
    entries: dict[str, str]
    seen: dict[str, str]
    steps: list[PlannedStep]
    job: str | None
    children: list[Plan]

    @classmethod
    def of(cls, row: KeptPlan) -> Plan:
        return cls(
            id=row.id,
            operation=row.operation,
            title=row.plan.title,
            system=row.plan.system,
            userid=row.plan.userid,
            project=row.project,
            actor=row.actor,
            created=row.created,
            expires=row.expires,
            entries=dict(row.entries),
            seen=dict(row.seen),
            steps=[
                PlannedStep(
                    name=step.name,
                    title=step.title,
                    kind=step.kind,
                    parameters=dict(step.parameters),
                    undo=step.undo_kind,
                    calls=[
                        PlannedCall(kind=call.kind, name=call.name, parameters=dict(call.parameters))
                        for call in told.calls
                    ],
                    entries=[
                        EntryChange(userid=item.userid, added=list(item.added), removed=list(item.removed))
                        for item in told.entries
                    ],
                )
                for step, told in zip(row.plan.steps, row.rehearsal, strict=True)
            ],
            job=row.job,
            children=[cls.of(child) for child in row.children],
        )
