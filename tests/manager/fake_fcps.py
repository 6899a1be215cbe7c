"""FCP devices of an agent in memory: those of one member of a cluster, whose members have one directory."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response


class Refused(Exception):
    """What z/VM refuses: becomes a problem."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        smapi: tuple[str, int, int] | None = None,
        *,
        retryable: bool = False,
    ) -> None:
        self.retryable = retryable
        self.status = status
        self.code = code
        self.detail = detail
        self.smapi = smapi

    def problem(self, calls: list[dict[str, Any]]) -> dict[str, Any]:
        smapi = self.smapi and dict(zip(("function", "rc", "rs", "meaning"), (*self.smapi, "as told"), strict=True))
        return {
            "type": "about:blank",
            "title": "Refused",
            "status": self.status,
            "code": self.code,
            "detail": self.detail,
            "retryable": self.retryable,
            "remedy": "",
            "smapi": smapi,
            "cp": None,
            "calls": calls,
        }


def fcp(number: int) -> dict[str, str]:
    """A free FCP device; its first two digits make its channels."""
    name = f"{number:04x}"
    channel = {"chpid": name[:2], "pchid": f"02{name[:2].upper()}"}
    wwpns = {"npiv": f"c05076ddf700{name}", "physical": f"c05076ddf7{name[:2]}0001"}
    return {"fcp": name, **wwpns, **channel, "state": "free", "owner": "", "vdev": ""}


class FakeFcps:
    """What of an agent concerns FCP devices. A guest's ``fcps`` are the numbers at which its entry dedicates devices,
    ``reals`` which these are, ``member`` where it is."""

    def __init__(self) -> None:
        super().__init__()
        self.member = ""
        self.offline: set[str] = set()
        self.peers: Mapping[str, FakeFcps] = {}
        self.guests: dict[str, dict[str, Any]] = {}
        self.answers: dict[str, dict[str, Any]] = {}

    async def _fcps(self, _request: Request) -> Response:
        return JSONResponse({"fcps": [item | self._held(item["fcp"]) for item in self.answers["fcps"]["fcps"]]})

    def _held(self, fcp: str) -> dict[str, str]:
        if fcp in self.offline:
            return {"state": "offline"}
        for name, guest in self.guests.items():
            if guest["member"] == self.member and guest["state"] == "on":
                for vdev, real in guest.get("reals", {}).items():
                    if real == fcp:
                        return {"state": "active", "owner": name, "vdev": vdev}
        return {}

    def dedicated(self, *, on: bool = False) -> dict[str, str]:
        """The guest that has each device, here. ``on``: as CP knows it, of guests that are on."""
        mine = {name: guest for name, guest in self.guests.items() if guest["member"] == self.member}
        return {
            real: name
            for name, guest in mine.items()
            for real in guest.get("reals", {}).values()
            if guest["state"] == "on" or not on
        }

    def arrived(self, guest: dict[str, Any]) -> None:
        """A guest that was relocated has come: it gets the first free device of each channel, as z/VM gives it."""
        reals: dict[str, str] = {}
        for vdev in guest.get("fcps", []):
            taken = {*self.dedicated(on=True), *reals.values()}
            free = [item["fcp"] for item in self.answers["fcps"]["fcps"] if item["fcp"] not in taken | self.offline]
            reals[vdev] = next(fcp for fcp in free if fcp[:2] == vdev[:2])
        guest |= {"member": self.member, "reals": reals}

    def _free_for(self, guest: dict[str, Any], reals: list[str]) -> None:
        for real, name in self.dedicated().items():
            if real in reals and self.guests[name] is not guest:
                raise Refused(409, "fcp-in-use", f"{real} is with {name}")

    def _do_fcp_dedicate(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest, numbers = self._known(parameters), parameters["devices"]
        reals = parameters.get("reals") or numbers
        self._free_for(guest, reals)
        guest["reals"] = guest.get("reals", {}) | dict(zip(numbers, reals, strict=True))
        guest["fcps"] = sorted(guest["reals"])
        return {}

    def _do_fcp_undedicate(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        had = guest.get("reals", {})
        guest["reals"] = {vdev: real for vdev, real in had.items() if vdev not in parameters["devices"]}
        guest["fcps"] = sorted(guest["reals"])
        return {}

    def _do_fcp_vary(self, parameters: dict[str, Any]) -> dict[str, Any]:
        devices = set(parameters["devices"]) - set(self.dedicated(on=True))
        self.offline = self.offline - devices if parameters["online"] else self.offline | devices
        return {"devices": sorted(devices)}

    def _do_fcp_follow(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        if parameters.get("devices"):
            if guest["state"] == "on":
                raise Refused(409, "guest-active", f"{parameters['userid']} is on")
            self._free_for(guest, parameters["reals"])
            told = dict(zip(parameters["devices"], parameters["reals"], strict=True))
            guest["reals"] = {vdev: told.get(vdev, real) for vdev, real in guest.get("reals", {}).items()}
            guest["member"] = self.member
        here = guest["member"] == self.member
        return {"devices": [list(pair) for pair in sorted(guest.get("reals", {}).items())] if here else []}

    def _known(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        raise AssertionError("the agent knows its guests")
