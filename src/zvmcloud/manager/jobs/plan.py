"""What a job is before it runs: values only, so a plan can be shown, stored, and resumed by another process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zvmcloud.zhcp.errors import Call

__all__ = ["LOCAL", "Call", "JobRecord", "Json", "Outcome", "Plan", "Step", "StepRecord"]

NOTHING = "manager.nothing"
"""The undo of a step whose traces go with what the undo of an earlier step takes away."""

GUEST_ID = "guest_id"
"""The member of the result of a local step that made or removed the record of its guest: the record's id now, "" for
none."""
BEFORE = "before"
"""The member of a result that has the parameters of the undo: what the agent found when it made the change."""
TELLS_BEFORE = frozenset(
    {
        "guest.change", "guest.restore", "vswitch.change", "vswitch.delete", "vswitch.grant", "vswitch.revoke",
        "vswitch.set_vlan", "lan.delete", "reader.order", "reader.transfer",
    }
)  # fmt: skip
"""Operations of the agent that cannot be taken back without it."""

Json = object
"""A JSON value: None, bool, int, float, str, list or dict of those."""

LOCAL = "manager."
"""Steps whose kind starts so are done by this manager in its own database; all others are operations of the zHCP."""


@dataclass(frozen=True, slots=True)
class Step:
    """One operation. ``name`` is unique in the plan and, with the job's id, the operation's idempotency key at the
    zHCP.

    ``parameters`` hold no secrets and no bulk data: image bytes and reader files are named and filled in when the
    step runs. ``undo_kind`` names the operation that takes a *finished* step back; empty when nothing outlives the
    step. ``system``, ``undo_system``: whose agent does it and takes it back, "" for that of the job. ``stays``: when
    it is done, a later step that fails takes neither it nor any before it back; only who asks for the undo of the job
    does.
    """

    name: str
    title: str
    kind: str
    parameters: Mapping[str, Json]
    undo_kind: str = ""
    undo_parameters: Mapping[str, Json] = field(default_factory=dict)
    undo_system: str = ""
    system: str = ""
    stays: bool = False

    @property
    def local(self) -> bool:
        return self.kind.startswith(LOCAL)


@dataclass(frozen=True, slots=True)
class Plan:
    """All steps of one job, in order. ``image_sha256`` keeps that image from being deleted while the job is not
    finished."""

    kind: str
    title: str
    system: str
    steps: tuple[Step, ...]
    userid: str = ""
    durable: bool = False
    image_sha256: str | None = None
    project: str = ""
    """The project it is done for; "" for that of whom the manager acts for."""
    uses: Mapping[str, int] = field(default_factory=dict)
    """What it adds to the use of the project's quotas, by quota; below 0, what its undo adds. Of a parent its children
    have it."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a zHCP operation stands. ``progress`` is 0 to 1; ``error`` is the agent's problem document when ``state``
    is failed."""

    state: str
    progress: float = 0.0
    detail: str = ""
    result: Mapping[str, Json] | None = None
    error: Mapping[str, Json] | None = None
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class StepRecord:
    """A step as the journal knows it. States: pending, running, done, failed, undone."""

    number: int
    step: Step
    state: str
    progress: float
    detail: str
    attempts: int
    started: float | None
    finished: float | None
    result: Mapping[str, Json] | None
    error: Mapping[str, Json] | None
    calls: tuple[Call, ...] = ()


@dataclass(frozen=True, slots=True)
class JobRecord:
    """A job as the journal knows it. States: pending, running, interrupted, then one of done, failed, cancelled,
    undone. ``run`` counts how often it was retried or undone; ``backwards``: it is being undone, or was."""

    id: str
    kind: str
    title: str
    system: str
    userid: str
    state: str
    durable: bool
    cancel: bool
    epoch: int
    origin: str
    created: float
    finished: float | None
    image_sha256: str | None
    error: Mapping[str, Json] | None
    steps: tuple[StepRecord, ...] = ()
    project: str = "default"
    actor: str = ""
    run: int = 0
    backwards: bool = False
    parent: str = ""
    """The job that this one is a child of."""
    guest: str = ""
    """The id of the record of its guest when it began, "" for none."""
    children: Mapping[str, int] = field(default_factory=dict)
    """How many children are in which state; only told where a job is shown."""

    @property
    def over(self) -> bool:
        return self.state in FINAL

    @property
    def progress(self) -> float:
        """0 to 1: finished steps plus the part of the running one, all steps weighing the same."""
        if not self.steps:
            return 1.0 if self.over else 0.0
        return sum(1.0 if step.state == "done" else step.progress for step in self.steps) / len(self.steps)


@dataclass(frozen=True, slots=True)
class Child:
    """A child of a job, as its parent sees it."""

    id: str
    title: str
    system: str
    userid: str
    state: str
    backwards: bool
    progress: float
    error: Mapping[str, Json] | None

    @property
    def over(self) -> bool:
        return self.state in FINAL

    @property
    def waits(self) -> bool:
        """Whether no engine has begun it."""
        return self.state == "pending"


FINAL = frozenset({"done", "failed", "cancelled", "undone"})
OPEN = ("pending", "running", "interrupted")


def may_stop(record: JobRecord, number: int) -> bool:
    """Whether a cancel keeps a step from being done: not a local one that writes down what the steps before it did for
    good. Of a durable job these are operations of an agent that have no undo: local ones there get and look (as for the
    file of an image), and leave nothing."""
    before = [item.step for item in record.steps[:number]]
    if not before or not record.steps[number].step.local or any(one.undo_kind not in {"", NOTHING} for one in before):
        return True
    return record.durable and all(one.local or one.undo_kind for one in before)
