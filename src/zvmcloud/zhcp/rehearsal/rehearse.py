"""Runs the handlers of operations one after the other in one rehearsed world, and tells what each would do."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from zvmcloud.cp.answers import AnswerError
from zvmcloud.cp.commands import OperandError
from zvmcloud.directory.entry import Entry
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, Call, FieldError, Json
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.links import Links
from zvmcloud.zhcp.messages import parse_operation
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.handlers import HANDLERS
from zvmcloud.zhcp.rehearsal.kinds import changes
from zvmcloud.zhcp.rehearsal.ports import NoLeftovers, RehearsedMachine, RehearsedNotes, RehearsedSmapi
from zvmcloud.zhcp.rehearsal.world import World

MOST = 200
"""Operations of one rehearsal."""
_LINK = re.compile(r"\b(?:(AS|DETACH|FLASHCOPY|TO) )F[0-9A-F]{3}\b")
_SPOOL = re.compile(r"\b(TRANSFER \* RDR|PURGE RDR) \d{4}\b")


class Rehearsal(Context):
    """A context whose operation changes nothing. Its disks have no device: who would open one asks `rehearsing`."""

    rehearsing = True


async def rehearse(asking: Context, document: Mapping[str, Json]) -> dict[str, Json]:
    """What these operations would do, in order, each after those before it.

    Raises FieldError, and what an operation would be refused with.
    """
    operations = _operations(document.get("operations"))
    world = World(asking)
    found: list[Json] = []
    for operation in operations:
        context = Rehearsal(
            asking.settings,
            RehearsedSmapi(asking.smapi, world),
            RehearsedMachine(asking.machine, world),
            RehearsedNotes(asking.journal),
            Links(),
            NoLeftovers(),
            asking.images,
        )
        try:
            await HANDLERS[operation.kind](context, operation)
        except (OperandError, AnswerError) as error:
            raise AgentError(400, "bad-parameter", str(error)) from error
        finally:
            await context.close()
        found.append(
            {
                "kind": operation.kind,
                "calls": [shown(call, world.new_files).to_json() for call in context.calls if changes(call)],
                "entries": [_difference(*item) for item in world.altered()],
            }
        )
    return {"operations": found}


def _operations(given: Json) -> list[Operation]:
    if not isinstance(given, list) or not 1 <= len(given) <= MOST:
        raise FieldError("operations", type(given).__name__, f"a list of 1 to {MOST} objects")
    found = []
    for number, item in enumerate(given):
        if not isinstance(item, Mapping) or set(item) - {"kind", "parameters"}:
            raise FieldError(f"operations[{number}]", item, "an object with kind and parameters")
        found.append(parse_operation(item.get("kind"), item.get("parameters", {})))
    return found


def shown(call: Call, new: Collection[str] = ()) -> Call:
    """A call without the numbers that are given out when it is made, and without its time. `new`: spool files that it
    names and that are not there yet."""
    name = _SPOOL.sub(r"\1 nnnn", _LINK.sub(r"\1 vvvv", call.name)) if call.kind == "cp" else call.name
    parameters = dict(call.parameters)
    for word, sign in (("spoolid", "nnnn"), ("linked_as", "vvvv")):
        if word in parameters:
            parameters[word] = sign
    if isinstance(spoolids := parameters.get("spoolids"), str):
        parameters["spoolids"] = " ".join("nnnn" if number in new else number for number in spoolids.split())
    return replace(call, name=name, parameters=parameters, milliseconds=0.0)


def _difference(userid: str, before: Entry | None, after: Entry | None) -> dict[str, Json]:
    old, new = _texts(before), _texts(after)
    return {"userid": userid, "added": _without(new, old), "removed": _without(old, new)}


def _texts(entry: Entry | None) -> list[str]:
    return [] if entry is None else entries.shown(entry)


def _without(these: Sequence[str], others: Sequence[str]) -> list[Json]:
    left = list(others)
    found: list[Json] = []
    for text in these:
        if text in left:
            left.remove(text)
        else:
            found.append(text)
    return found
