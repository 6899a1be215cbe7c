"""Real OSA devices as a guest's network adapter: three consecutive devices, dedicated at three consecutive numbers.

Facts: connector/flows.md section 3 (create_network_interface). A device that is not FREE is refused before anything is
changed; the directory entry comes first, then the running guest, and each device is noted before it is given.
"""

from __future__ import annotations

from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.operations.context import Context, Undo

_DEVICES = 3
_NO_OSA = (4, 4)
_GONE_DM = ((404, 8), (400, 4))
_GONE = ((204, 8), (200, 12))


def numbers(first: str) -> tuple[str, ...]:
    """Three device numbers from the first one on. AgentError 400 when they pass FFFF."""
    start = int(first, 16)
    if start + _DEVICES - 1 > 0xFFFF:
        raise AgentError(400, "bad-parameter", f"device {first}: an OSA adapter takes three numbers, up to FFFF")
    return tuple(f"{number:04X}" for number in range(start, start + _DEVICES))


async def dedicate(context: Context, userid: str, vdev: str, osa: str, *, active: bool) -> None:
    """Give `osa` and the two devices behind it to the guest at `vdev` and the two numbers behind it.

    The caller holds the guest. AgentError 409 `osa-unavailable` when one of the devices is not free.
    """
    pairs = tuple(zip(numbers(vdev), numbers(osa), strict=True))
    async with context.writing(f"OSA {osa}"):
        if not any(context.intended(f"osa-{device}") for _, device in pairs):
            await _must_be_free(context, [device for _, device in pairs])
        for number, device in pairs:
            note = f"osa-{device}"
            before = context.intended(note)
            both = {"target": userid, "image_device_number": number, "real_device_number": device}
            undo = _back(context, userid, number, live=active)
            what = f"OSA device {device} of {userid}"
            define = f.ImageDeviceDedicateDM(**both, readonly=0)
            await context.make(define, what, undo, allow=((404, 4),) * before, noting=(note,))
            if before:
                context.on_undo(what, undo)
            if active:
                await context.call(f.ImageDeviceDedicate(**both, readonly=0), allow=((204, 4),) * before)


async def undedicate(context: Context, userid: str, vdev: str, *, running: bool) -> None:
    """Take the three devices back, the live half first; those that the guest does not have are fine. One that is
    refused gives the guest those before it again."""
    entry = await entries.query(context, userid)
    held = {item.vdev: item.rdev for item in (entry.dedicates if entry is not None else ())}
    for number in numbers(vdev):
        known = context.recall(f"rdev-{number}")
        device = await context.remember(f"rdev-{number}", held[number]) if number in held else known
        if device:
            what = f"OSA device {device} of {userid}"
            context.on_undo(what, _again(context, userid, number, device, live=running))
        await _back(context, userid, number, live=running)()


def _again(context: Context, userid: str, number: str, device: str, *, live: bool) -> Undo:
    async def again() -> None:
        both = {"target": userid, "image_device_number": number, "real_device_number": device}
        await context.call(f.ImageDeviceDedicateDM(**both, readonly=0), allow=((404, 4),))
        if live:
            await context.call(f.ImageDeviceDedicate(**both, readonly=0), allow=((204, 4),))

    return again


def _back(context: Context, userid: str, number: str, *, live: bool) -> Undo:
    async def back() -> None:
        if live:
            await context.call(f.ImageDeviceUndedicate(target=userid, image_device_number=number), allow=_GONE)
        await context.call(f.ImageDeviceUndedicateDM(target=userid, image_device_number=number), allow=_GONE_DM)

    return back


async def _must_be_free(context: Context, wanted: list[str]) -> None:
    me = await context.machine.identity()
    answer = await context.call(f.VirtualNetworkOSAQuery(target=me.userid), allow=(_NO_OSA,))
    rows = answer.data.osa_info_array if answer.rc == 0 and answer.data is not None else ()
    states = {words[0].upper().zfill(4): words[1].upper() for words in (row.split() for row in rows) if len(words) > 1}
    for device in wanted:
        state = states.get(device, "no OSA device of this system")
        if state != "FREE":
            raise AgentError(
                409, "osa-unavailable", f"OSA device {device} is {state}; three free ones in a row are needed",
                remedy="name the first of three free OSA devices",
            )  # fmt: skip
