"""Whether a guest is in the state that an operation needs; if not, a 409 that names the present one."""

from __future__ import annotations

from zvmcloud.cp.answers import PowerState
from zvmcloud.zhcp import entries
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.operations.context import Context


def elsewhere(userid: str) -> AgentError:
    """409 `guest-elsewhere`."""
    return AgentError(
        409, "guest-elsewhere", f"{userid} is {PowerState.ELSEWHERE}", remedy="ask the agent of that member"
    )


async def must_be_on(context: Context, userid: str, remedy: str = "start the guest first") -> None:
    """AgentError 409 `guest-inactive` or `guest-elsewhere`, 404 `guest-unknown`."""
    state = await context.power(userid)
    if state is PowerState.ELSEWHERE:
        raise elsewhere(userid)
    if state is not PowerState.ON:
        await entries.must_exist(context, userid)  # CP calls a userid that it does not know "not logged on", too
        raise AgentError(409, "guest-inactive", f"{userid} is {state}", remedy=remedy)


async def is_active(context: Context, userid: str, wanted: bool) -> bool:
    """Whether the running guest is to be changed. AgentError as `must_be_on` when that was asked and it is not on."""
    if wanted:
        await must_be_on(context, userid, "start the guest, or leave active out")
    return wanted


async def must_be_off(context: Context, userid: str, why: str) -> None:
    """AgentError 409 `guest-active`, 404 `guest-unknown`."""
    state = await context.power(userid)
    if state is PowerState.UNKNOWN_USER:
        raise AgentError(404, "guest-unknown", f"the directory has no entry {userid}")
    if state is not PowerState.OFF:
        raise AgentError(409, "guest-active", f"{userid} is {state}: {why}", remedy="stop the guest first")
