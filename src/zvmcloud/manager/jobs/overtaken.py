"""Whether what a job changed is still the same thing, asked before it is retried or undone.

Names are used again: a guest is deleted and another project makes one of that userid, a disk is detached and a new one
gets its number. What a job is about is therefore told by more than its names:

    guest           the id of its record, which the job knows from its beginning, or from its step that made the record
    all the rest    no later job has done a step that made or removed it (:data:`_RULES`); steps that were undone since
                    do not count, so that jobs can be undone one after the other, the last one first

An undo takes care of what its undo steps are about, a retry of what its steps are about that are not done. What belongs
to a guest that the job itself makes goes with that guest. That a guest is started, coupled or given another disk
meanwhile is no reason to refuse: the undo takes back what its job did, and nothing else. Nor is another change of its
entry: the agent looks there, statement by statement, and refuses what is not as the job left it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import sqlalchemy as sa

from zvmcloud.manager.database import Connection
from zvmcloud.manager.errors import Conflict
from zvmcloud.manager.jobs.plan import GUEST_ID, NOTHING, JobRecord, Json, StepRecord
from zvmcloud.manager.prepared import Prepared
from zvmcloud.manager.tables import guests, job_steps, jobs

Thing = tuple[str, ...]
"""A kind of :data:`_NAMES`, and the names of one of them."""
Names = Callable[[Mapping[str, Json]], Iterable[tuple[str, ...]]]

_RULES: Mapping[str, tuple[str, str]] = {
    "guest.relocate": ("guest", ""),
    "manager.guest_moved_back": ("guest", ""),
    "manager.guest_created": ("", "guest"),
    "manager.guest_deleted": ("", "guest"),
    "manager.guest_forgotten": ("", "guest"),
    "guest.resize_cpus": ("processors", "processors"),
    "guest.resize_memory": ("memory", "memory"),
    "guest.restore": ("", "processors memory"),
    "disk.add": ("disk", "disk bytes"),
    "disk.remove": ("disk", "disk bytes"),
    "disk.read_image": ("disk", ""),
    "disk.write_image": ("disk bytes", "bytes"),
    "disk.clone": ("disk bytes", "bytes"),
    "disk.erase": ("disk bytes", "bytes"),
    "nic.create": ("nic", "nic coupling"),
    "nic.attach": ("nic", "nic coupling"),
    "nic.delete": ("nic", "nic coupling"),
    "nic.couple": ("nic coupling", "coupling"),
    "nic.uncouple": ("nic coupling", "coupling"),
    "vswitch.create": ("vswitch", "vswitch attributes"),
    "vswitch.delete": ("vswitch", "vswitch attributes"),
    "vswitch.change": ("vswitch attributes", "attributes"),
    "vswitch.grant": ("vswitch right", "right"),
    "vswitch.revoke": ("vswitch right", "right"),
    "vswitch.set_vlan": ("vswitch right", "right"),
    "vswitch.restore": ("vswitch right", "right"),
    "lan.create": ("lan", "lan"),
    "lan.delete": ("lan", "lan"),
    "manager.volume_reserved": ("volume", "volume size"),
    "manager.volume_gone": ("volume", "volume size"),
    "manager.volume_renamed": ("volume", "volume"),
    "manager.volume_sized": ("volume size", "size"),
    "manager.volume_busy": ("volume", ""),
    "manager.volume_read": ("volume", ""),
    "manager.volume_attached": ("volume", ""),
    "manager.volume_detached": ("volume", ""),
}
"""Of operations: what has to be the same thing, and what is another one once the operation is done."""
_MAKERS = tuple(kind for kind, (_, makes) in _RULES.items() if makes)
_OF_GUEST = frozenset({"disk", "bytes", "nic", "coupling"})
_EVERYWHERE = frozenset({"volume", "size"})
"""Named with the home of their pool, which several systems may reach."""
_WORDS: Mapping[str, str] = {
    "guest": "guest {}",
    "processors": "the processors of {}",
    "memory": "the memory of {}",
    "disk": "disk {1} of {0}",
    "bytes": "what is on disk {1} of {0}",
    "nic": "adapter {1} of {0}",
    "coupling": "the coupling of adapter {1} of {0}",
    "vswitch": "virtual switch {}",
    "attributes": "the attributes of virtual switch {}",
    "right": "the right of {} to {}",
    "lan": "guest LAN {} {}",
    "volume": "volume {1}",
    "size": "the size of volume {1}",
}


_GUEST = Prepared(
    sa.select(guests.c.id).where(
        guests.c.system == sa.bindparam("its_system"), guests.c.userid == sa.bindparam("its_userid")
    )
)


async def guest_at(connection: Connection, system: str, userid: str) -> str | None:
    """The id of the record of a guest of ours, for a job that begins; None when it is not ours, or there is none."""
    found = await connection.run(_GUEST, {"its_system": system, "its_userid": userid}) if userid else ()
    return str(found[0][0]) if found else None


@dataclass(frozen=True, slots=True)
class _Made:
    """That a step of another job made or removed something. ``guest``: the id of the guest that the job is about."""

    job: str
    kind: str
    system: str
    guest: str
    finished: float


async def must_be_same(connection: Connection, records: Sequence[JobRecord], *, backwards: bool) -> None:
    """Jobs that are over can be undone (``backwards``) or retried. Raises Conflict (job-overtaken), naming the later
    job and the thing."""
    needed = {record.id: _needed(record, backwards=backwards) for record in records}
    made = await _made_since(connection, records, needed)
    names = {record.userid for record in records if record.userid}
    query = sa.select(guests.c.system, guests.c.userid, guests.c.id).where(guests.c.userid.in_(sorted(names)))
    now = {(row.system, row.userid): row.id for row in await connection.execute(query)} if names else {}
    for record in records:
        guest, place = _guest(record)
        if record.userid and now.get((place, record.userid), "") != guest:
            it = ("guest", record.userid)
            by = [one for one in made.get(it, ()) if one.finished > (record.finished or record.created)]
            raise _overtaken(record, it, by[-1] if by else None, backwards=backwards)
        places = {record.system, place, *(item.step.undo_system for item in record.steps)}
        for thing, since in needed[record.id]:
            for one in made.get(thing, ()):
                same = one.system in places or (guest and one.guest == guest) or thing[0] in _EVERYWHERE
                if same and one.finished > since:
                    raise _overtaken(record, thing, one, backwards=backwards)


def _guest(record: JobRecord) -> tuple[str, str]:
    """The id of the guest's record as the job left it, "" for none, and the system where."""
    found, place = record.guest, record.system
    for item in record.steps:
        if item.state == "done" and item.step.local:
            found = str((item.result or {}).get(GUEST_ID, found))
            if item.step.kind == "manager.guest_moved":
                place = str(item.step.parameters["to"])
    return found, place


def _needed(record: JobRecord, *, backwards: bool) -> list[tuple[Thing, float]]:
    """What has to be the same thing as at that moment."""
    if backwards:
        steps = [item for item in record.steps if item.state == "done" and item.step.undo_kind not in {"", NOTHING}]
    else:
        steps = [item for item in record.steps if item.state != "done"]
    own = {str(item.step.parameters.get("userid")) for item in steps if item.step.kind == "guest.create"}
    found: list[tuple[Thing, float]] = []
    for item in steps:
        kind, parameters = _asked(item, backwards=backwards)
        since = (item.finished if backwards else record.finished) or record.created
        things = _things(_RULES.get(kind, ("", ""))[0], parameters, record.userid)
        found += [(thing, since) for thing in things if thing[0] not in _OF_GUEST or thing[1] not in own]
    return found


def _asked(item: StepRecord, *, backwards: bool) -> tuple[str, Mapping[str, Json]]:
    if not backwards:
        return item.step.kind, item.step.parameters
    return item.step.undo_kind, {**item.step.parameters, **item.step.undo_parameters}


async def _made_since(
    connection: Connection, records: Sequence[JobRecord], needed: Mapping[str, Sequence[tuple[Thing, float]]]
) -> Mapping[Thing, Sequence[_Made]]:
    """What other jobs made or removed since the first of these was over, each in its order."""
    names = {"", *(record.userid for record in records)}
    names |= {name for things in needed.values() for thing, _ in things for name in thing[1:]}
    moments = [since for things in needed.values() for _, since in things]
    since = min((*moments, *(record.finished or record.created for record in records)))
    columns = (jobs.c.id, jobs.c.kind, jobs.c.system, jobs.c.userid, jobs.c.guest)
    query = (
        sa.select(*columns, job_steps.c.kind.label("step"), job_steps.c.parameters, job_steps.c.finished)
        .join(job_steps, job_steps.c.job_id == jobs.c.id)
        .where(jobs.c.userid.in_(sorted(names)), jobs.c.id.not_in([record.id for record in records]))
        .where(job_steps.c.state == "done", job_steps.c.kind.in_(_MAKERS), job_steps.c.finished > since)
        .order_by(job_steps.c.finished)
    )
    found: dict[Thing, list[_Made]] = {}
    for row in await connection.execute(query):
        one = _Made(row.id, row.kind, row.system, row.guest or "", row.finished)
        for thing in _things(_RULES[row.step][1], row.parameters, row.userid):
            found.setdefault(thing, []).append(one)
    return found


def _things(kinds: str, parameters: Mapping[str, Json], userid: str) -> set[Thing]:
    """What a step with these parameters, of a job for ``userid``, is about."""
    return {(kind, *names) for kind in kinds.split() for names in _NAMES[kind]({"userid": userid, **parameters})}


def _numbers(parameters: Mapping[str, Json]) -> Iterable[tuple[str, ...]]:
    """Devices of a guest, however an operation names them; what is on a LUN is told of by the volume."""
    several, disks = parameters.get("vdevs"), parameters.get("disks")
    found = [parameters.get("vdev"), *(several if isinstance(several, list) else ())]
    found += [disk.get("vdev") for disk in (disks if isinstance(disks, list) else ()) if isinstance(disk, Mapping)]
    userid = str(parameters["userid"]).upper()
    return [(userid, str(number).upper().zfill(4)) for number in found if number]


def _named(*words: str) -> Names:
    return lambda parameters: [tuple(str(parameters.get(word) or "").upper() for word in words)]


def _volumes(parameters: Mapping[str, Json]) -> Iterable[tuple[str, ...]]:
    """A volume, and what a rename makes of it."""
    return [(str(parameters["home"]), str(parameters[word])) for word in ("volume", "name") if parameters.get(word)]


_NAMES: Mapping[str, Names] = {
    "guest": _named("userid"),
    "processors": _named("userid"),
    "memory": _named("userid"),
    "disk": _numbers,
    "bytes": _numbers,
    "nic": _numbers,
    "coupling": _numbers,
    "vswitch": _named("name"),
    "attributes": _named("name"),
    "right": _named("userid", "name"),
    "lan": _named("owner", "name"),
    "volume": _volumes,
    "size": _volumes,
}


def _overtaken(record: JobRecord, thing: Thing, by: _Made | None, *, backwards: bool) -> Conflict:
    what = _WORDS[thing[0]].format(*thing[1:])
    who = "it is another one, or not there any more"
    if by is not None:
        who = f"job {by.job} ({by.kind}) has made, changed or removed it since"
    return Conflict(
        f"job {record.id} cannot be {'undone' if backwards else 'retried'}, and nothing was done: {what}: {who}",
        code="job-overtaken",
        remedy=(f"look at job {by.job}: undo it first, or " if by else "look at what is there now, and ")
        + "ask for the changes that are wanted now",
        subject=thing[1] if thing[0] in {"guest", "processors", "memory", *_OF_GUEST} else thing[-1],
        job=by.job if by else record.id,
    )
