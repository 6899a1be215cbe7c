"""Power: start, stop, shutdown, pause, unpause, reset, reboot. A state that does not fit is a 409 with that state."""

from __future__ import annotations

import asyncio
import time

from zvmcloud.cp.answers import PowerState
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.guest_messages import (
    PauseGuest,
    RebootGuest,
    ResetGuest,
    ShutdownGuest,
    StartGuest,
    StopGuest,
    UnpauseGuest,
)
from zvmcloud.zhcp.operations.context import Context
from zvmcloud.zhcp.operations.states import elsewhere, must_be_on

_ALREADY_ON = (200, 8)
_OFF_OR_GOING = ((200, 12), (200, 16))
_GONE_OFF = ((8, 12), (200, 12), (200, 16))
_FORCE_SECONDS = 30.0
_GRACE_SECONDS = 5.0
"""How long after its time CP has to force a guest, before the agent does."""
_FIRST_LOOK = 0.05
_DOWN_SECONDS = 10.0


def state_json(state: PowerState) -> dict[str, Json]:
    """The power state as results tell it."""
    return {"power_state": "on" if state in (PowerState.ON, PowerState.ELSEWHERE) else "off", "state": str(state)}


async def wait_until_off(context: Context, userid: str, seconds: float, poll: float) -> bool:
    """Look until CP says the guest is off: often at first, then every `poll` seconds. False after `seconds`. A look
    that fails is repeated: the guest goes off whether or not it is seen. AgentError when the last one fails."""
    deadline = time.monotonic() + seconds
    pause = min(_FIRST_LOOK, poll)
    while True:
        left = deadline - time.monotonic()
        try:
            state = await context.power(userid)
        except AgentError:
            if left <= 0:
                raise
        else:
            if state in (PowerState.OFF, PowerState.UNKNOWN_USER):
                return True
            if left <= 0:
                return False
        await asyncio.sleep(min(pause, max(left, 0.0)))
        pause = min(pause * 2, poll)


async def log_off(context: Context, userid: str) -> bool:
    """Deactivate at once and wait until the guest is off. False when it was off already. AgentError 504."""
    answer = await context.call(f.ImageDeactivate(target=userid, force_time="IMMED"), allow=_OFF_OR_GOING)
    if (answer.rc, answer.rs) == (200, 12):
        await _must_be_off(context, userid)
        return False
    if not await wait_until_off(context, userid, _FORCE_SECONDS, 1.0):
        raise AgentError(
            504, "still-on", f"{userid} is still being logged off after {_FORCE_SECONDS:.0f} s", retryable=True,
            remedy="look at the guest's console, then repeat",
        )  # fmt: skip
    return True


async def _must_be_off(context: Context, userid: str) -> None:
    """After SMAPI said that the guest is not on here. AgentError 409 `guest-elsewhere`, 404 `guest-unknown`."""
    if await context.power(userid) is PowerState.ELSEWHERE:
        raise elsewhere(userid)
    await entries.must_exist(context, userid)


async def start(context: Context, request: StartGuest) -> dict[str, Json]:
    """guest.start"""
    return {"power_state": "on", "was_on": not await activate(context, request.userid)}


async def activate(context: Context, userid: str) -> bool:
    """Log the guest on; False when it was on. AgentError 409 `guest-elsewhere`, `guest-going-off`."""
    answer = await context.call(f.ImageActivate(target=userid), allow=(_ALREADY_ON,))
    if answer.rc and await context.power(userid) is PowerState.ELSEWHERE:
        raise elsewhere(userid)
    return answer.rc == 0


async def stop(context: Context, request: StopGuest) -> dict[str, Json]:
    """guest.stop"""
    was_on = await log_off(context, request.userid)
    return {"power_state": "off", "was_on": was_on}


async def shutdown(context: Context, request: ShutdownGuest) -> dict[str, Json]:
    """guest.shutdown"""
    userid = request.userid
    signal = f.ImageDeactivate(target=userid, force_time=f"WITHIN {request.timeout}")
    answer = await context.call(signal, allow=_OFF_OR_GOING)
    if (answer.rc, answer.rs) == (200, 12):
        await _must_be_off(context, userid)
        return {"power_state": "off", "was_on": False}
    context.report(0.1, f"waiting for {userid} to shut down")
    if not await wait_until_off(context, userid, request.timeout + _GRACE_SECONDS, float(request.poll)):
        # A guest that restarted itself meanwhile has lost CP's deadline.
        context.report(0.8, f"{userid} did not shut down in time, logging it off")
        await log_off(context, userid)
    return {"power_state": "off", "was_on": True}


async def pause(context: Context, request: PauseGuest) -> dict[str, Json]:
    """guest.pause"""
    await _pause(context, request.userid, "PAUSE")
    return {"power_state": "on", "paused": True}


async def unpause(context: Context, request: UnpauseGuest) -> dict[str, Json]:
    """guest.unpause"""
    await _pause(context, request.userid, "UNPAUSE")
    return {"power_state": "on", "paused": False}


async def _pause(context: Context, userid: str, action: str) -> None:
    await must_be_on(context, userid)
    answer = await context.call(f.ImagePause(target=userid, action=action), allow=_GONE_OFF)
    if answer.rc:  # logged off since we looked
        await must_be_on(context, userid)
        raise AgentError(409, "guest-inactive", f"{userid} was off for a moment", retryable=True)


async def reset(context: Context, request: ResetGuest) -> dict[str, Json]:
    """guest.reset. A run that a crash cut off between off and on finds the guest off and goes on. A guest that was on
    and cannot be started is tried again, so that it is on."""
    userid = request.userid
    was = await context.remember("was", str(await context.power(userid)))
    if was == str(PowerState.ON):
        context.on_undo(f"{userid} is off", lambda: activate(context, userid))
    if not context.intended("activate"):
        await log_off(context, userid)
        await context.intend("activate")
    context.report(0.5, f"{userid} is off, starting it")
    await activate(context, userid)
    return {"power_state": "on"}


async def reboot(context: Context, request: RebootGuest) -> dict[str, Json]:
    """guest.reboot: over when its agent is gone, or after ten seconds (it may be back before that was seen)."""
    userid = request.userid
    await must_be_on(context, userid)
    answer = await context.guest(userid, "shutdown -r now")
    if answer is None:
        raise AgentError(
            409, "guest-unreachable", f"the agent in {userid} does not answer", retryable=True,
            remedy="wait until the guest has booted, or reset it",
        )  # fmt: skip
    context.report(0.2, f"{userid} is restarting")
    deadline = time.monotonic() + _DOWN_SECONDS
    went_down = False
    while time.monotonic() < deadline and not went_down:
        went_down = await context.guest(userid, "echo 'ping'") is None
        if not went_down:
            await asyncio.sleep(0.5)
    return {"power_state": "on", "went_down": went_down}
