"""What to do about a problem whose own words do not say it, from its code and its status."""

from __future__ import annotations

_LISTED = frozenset(
    {
        "fcp-template", "guest", "image", "job", "nic", "project", "system", "token", "upload", "user", "volume",
        "volume-pool", "vswitch", "webhook",
    }
)  # fmt: skip
"""What `zvm NOUN list` lists."""
_UNKNOWN = "-unknown"
_ALSO = {
    "guest": "; a foreign guest is adopted first (`zvm guest adopt`)",
    "disk": "`zvm guest show` has the disks of a guest",
    "version": "`zvm guest history` has the versions of an entry",
    "plan": "make a new plan: plans are kept for a day",
}
_OF_STATUS = {
    400: "nothing was done; correct it and send it again: /v1/openapi.json and `zvm NOUN VERB --help` say how",
    401: "log in again (`zvm login`); an admin sets a new password (`zvm user change NAME --password`)",
    403: "ask somebody whose role allows it, or an admin for that role",
    404: "look whether the name is right, and whether it is in one of your projects (`zvm whoami`)",
    405: "see /v1/openapi.json for the methods of this path",
    409: "look at what it is now; then do first what the detail names, or ask for something else",
    413: "send less at once",
    415: "send JSON, with content-type application/json",
    422: "use another file, or make it again",
    501: "use another way: this system or this manager does not have it",
}


def remedy_of(code: str, status: int, *, retryable: bool, smapi: str) -> str:
    """Words for who asked. ``smapi``: the function that z/VM refused, "" for none."""
    if retryable:
        return "repeat it in a while"
    noun = code.removesuffix(_UNKNOWN)
    if noun != code and noun in _LISTED:
        return f"`zvm {noun} list` tells which there are{_ALSO.get(noun, '')}"
    if noun != code and noun in _ALSO:
        return _ALSO[noun]
    if smapi:
        return f"the causes have what z/VM answered; `zvm smapi describe {smapi}` tells what it takes"
    return _OF_STATUS.get(status, "look at the causes, and at the logs of the manager and of the system's agent")
