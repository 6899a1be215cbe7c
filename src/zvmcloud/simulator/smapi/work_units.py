"""How changes of the directory are run: at once or as a work unit, online or offline, announced or not.

A work unit is answered with 592 before it is done. Its number is in the reply's operation_id where the function has
one, in the text of the answer for Image_Definition_* (592/4), else it is the reason code. What cannot be done is
refused at once: a trial run finds out.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from zvmcloud.directory import DirectoryError
from zvmcloud.simulator.directory_changes import REPLACE
from zvmcloud.simulator.directory_manager import STATEMENT_REFUSED
from zvmcloud.simulator.errors import CpRefused, Refused
from zvmcloud.simulator.model import Operation
from zvmcloud.simulator.smapi.registry import Call, Done, Registered
from zvmcloud.smapi.declare import Function, Request
from zvmcloud.smapi.events import DefinitionDone

ASYNCHRONOUS = 592
OFFLINE = 8
#: Seconds until the directory manager gets to a work unit, at least.
SOON = 0.05

#: What subscribers are told by function: the directory manager's command (judgement but for ADD, PURGE, REPLACE).
_WORDS = {
    "IMAGE_DISK_CREATE_DM": "AMDISK",
    "IMAGE_DISK_COPY_DM": "CLONEDIS",
    "IMAGE_DISK_DELETE_DM": "DMDISK",
    "IMAGE_DISK_SHARE_DM": "LINK",
    "IMAGE_DISK_UNSHARE_DM": "LINK",
    "IMAGE_DEVICE_DEDICATE_DM": "DEDICATE",
    "IMAGE_DEVICE_UNDEDICATE_DM": "DEDICATE",
    "IMAGE_PASSWORD_SET_DM": "SETPW",
    "IMAGE_IPL_SET_DM": "IPL",
    "IMAGE_IPL_DELETE_DM": "IPL",
    "IMAGE_CPU_DEFINE_DM": "CPU",
    "IMAGE_CPU_DELETE_DM": "CPU",
    "IMAGE_CPU_SET_MAXIMUM_DM": "MACHINE",
    "IMAGE_SCSI_CHARACTERISTICS_DEFINE_DM": "LOADDEV",
    "VIRTUAL_CHANNEL_CONNECTION_CREATE_DM": "SPECIAL",
    "VIRTUAL_CHANNEL_CONNECTION_DELETE_DM": "SPECIAL",
    "VIRTUAL_NETWORK_ADAPTER_CREATE_DM": "NICDEF",
    "VIRTUAL_NETWORK_ADAPTER_CREATE_EXTENDED_DM": "NICDEF",
    "VIRTUAL_NETWORK_ADAPTER_DELETE_DM": "NICDEF",
    "VIRTUAL_NETWORK_ADAPTER_CONNECT_LAN_DM": "NICDEF",
    "VIRTUAL_NETWORK_ADAPTER_CONNECT_VSWITCH_DM": "NICDEF",
    "VIRTUAL_NETWORK_ADAPTER_DISCONNECT_DM": "NICDEF",
}

#: Functions that change entries and have no code for "not online yet".
_NO_OFFLINE_CODE = ("IMAGE_CPU_", "IMAGE_DEFINITION_", "IMAGE_VOLUME_SPACE_DEFINE_EXTENDED", "STATIC_", "PROTOTYPE_")


def run(call: Call, function: Function, registered: Registered, request: Request[Any]) -> Done:
    """Run a handler inside the open transaction, with all that belongs to a change of the directory."""
    system = call.system
    name = function.name.upper()
    if not registered.changes_directory:
        return registered.handler(call, request)
    system.changes.word = _WORDS.get(name, REPLACE)
    done = registered.handler(call, request)
    if name.startswith("IMAGE_DEFINITION_") and system.changes.mode.announces_definitions:
        system.events.publish(DefinitionDone(call.request_id, done.rc, done.rs))
    offline = not system.changes.mode.online and function.directory_manager
    if offline and (done.rc, done.rs) == (0, 0) and not name.startswith(_NO_OFFLINE_CODE):
        return replace(done, rs=OFFLINE)
    return done


def begin(
    call: Call, function: Function, registered: Registered, request: Request[Any]
) -> tuple[Done, tuple[str, ...]]:
    """Refuse at once what cannot be; else make a work unit and give the answer 592, with its text."""
    system = call.system
    try:
        with system.transaction():
            registered.handler(call, request)
            raise _OnlyTried
    except _OnlyTried:
        pass
    with system.transaction():
        number = system.next_number("operation")
        system.operations.put(str(number), Operation(number, function.name, request.target.upper()))
    system.later(max(system.timing.directory, SOON), lambda: _work(call, function, registered, request, number))
    if any(field.attribute == "operation_id" for field in function.reply_fields):
        return Done(function.reply_type(operation_id=number), rc=ASYNCHRONOUS), ()  # type: ignore[call-arg]
    if function.name.startswith("Image_Definition_"):
        return Done(rc=ASYNCHRONOUS, rs=4), (str(number),)
    return Done(rc=ASYNCHRONOUS, rs=number), ()


def _work(call: Call, function: Function, registered: Registered, request: Request[Any], number: int) -> None:
    system = call.system
    operation = system.operations.get(str(number))
    if operation is None or operation.state != "running":
        return
    text: tuple[str, ...] = ()
    try:
        with system.store.savepoint():
            run(call, function, registered, request)
        ended = replace(operation, state="done")
    except Refused as refused:
        ended = replace(operation, state="failed", rc=refused.rc, rs=refused.rs)
        text = refused.text
    except CpRefused as refused:
        ended = replace(operation, state="failed", rc=396, rs=refused.number)
        text = (refused.line,)
    except DirectoryError as error:
        ended = replace(operation, state="failed", rc=STATEMENT_REFUSED[0], rs=STATEMENT_REFUSED[1])
        text = (str(error),)
    failed_definition = ended.state == "failed" and function.name.startswith("Image_Definition_")
    if failed_definition and system.changes.mode.announces_definitions:
        system.events.publish(DefinitionDone(call.request_id, ended.rc, ended.rs, text))
    system.operations.put(str(number), ended)


class _OnlyTried(Exception):
    """Takes back a trial run."""
