"""What is behind an agent in memory: a small z/VM with guests, disks, readers, adapters and VSWITCHes, which does what
the operations of an agent ask for, or refuses it."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any

from manager.fake_fcps import FakeFcps, Refused
from manager.fake_luns import FakeLuns


class FakeSystem(FakeFcps, FakeLuns):
    """One z/VM system with pools of cylinders."""

    def __init__(self) -> None:
        super().__init__()
        self.vswitches: dict[str, dict[str, Any]] = {}
        self.pools = {"POOL1": 10000, "TINY": 50}
        self.bootmap: dict[str, Any] = {}

    def _known(self, parameters: Mapping[str, Any]) -> dict[str, Any]:
        userid = parameters["userid"]
        if userid not in self.guests:
            raise Refused(404, "guest-unknown", f"{userid} is not in the directory", ("Image_Query_DM", 400, 4))
        return self.guests[userid]

    def _do_guest_create(self, parameters: dict[str, Any]) -> dict[str, Any]:
        userid = parameters["userid"]
        if userid in self.guests:
            raise Refused(409, "guest-exists", f"{userid} exists", ("Image_Create_DM", 400, 8))
        if parameters["profile"] != "LNXDFLT":
            raise Refused(404, "profile-unknown", f"Profile '{parameters['profile']}'", ("Image_Create_DM", 436, 4))
        for disk in parameters["disks"]:
            if disk["size_units"] > self.pools.get(disk["pool"], 0):
                detail = f"pool {disk['pool']} has no room for {disk['size_units']} cylinders"
                raise Refused(409, "pool-full", detail, ("Image_Disk_Create_DM", 408, 24))
        new = {"state": "off", "nics": {}, "reader": [], "console": "", "member": self.member}
        self.guests[userid] = {**parameters, **new}
        return {"disks": parameters["disks"]}

    def _do_guest_delete(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.guests.pop(parameters["userid"], None)
        return {}

    def _do_guest_start(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        guest |= {"state": "on", "member": self.member, "console": f"{parameters['userid'].lower()} login: "}
        return {}

    def _do_guest_stop(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)["state"] = "off"
        return {}

    _do_guest_shutdown = _do_guest_stop

    def _do_guest_pause(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)
        return {}

    _do_guest_unpause = _do_guest_pause
    _do_guest_reset = _do_guest_pause
    _do_guest_reboot = _do_guest_pause

    def _do_volume_refresh_bootmap(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters["lun"] == "f" * 16:
            raise Refused(409, "bootmap-failed", "no path to the LUN")
        self.bootmap = parameters
        return {"paths": {device.lower(): parameters["wwpns"] for device in parameters["devices"]}, "written": True}

    def _do_guest_config_drive(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)["reader"].append({"name": "cfgdrive"})
        return {"spoolid": "0001"}

    def _do_guest_configure(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        if guest.get("refuses"):
            raise Refused(409, f"{parameters['scripts']}-script-failed", "no target WWPN can be reached")
        return {"configured": guest["state"] == "on"}

    def _do_guest_relocate(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        if parameters["destination"] == "NOWHERE":
            raise Refused(409, "not-relocatable", "CP messages 1940", ("VMRELOCATE", 8, 3000))
        guest["moved"] = parameters
        there = guest["member"] == parameters["destination"]
        if parameters["destination"] in self.peers and not parameters["test"] and not there:
            self.peers[parameters["destination"]].arrived(guest)
        return {"moved": not parameters["test"]}

    def _do_guest_resize_cpus(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        if parameters["count"] > guest["max_cpus"]:
            raise Refused(409, "cpu-limit", f"at most {guest['max_cpus']} processors")
        self._running(guest, parameters)
        guest |= {"vcpus": parameters["count"], "share": parameters["share"]}
        return {}

    def _do_guest_resize_memory(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        if parameters["memory_mb"] > guest["max_memory_mb"]:
            raise Refused(409, "memory-limit", f"at most {guest['max_memory_mb']} MB")
        self._running(guest, parameters)
        guest["memory_mb"] = parameters["memory_mb"]
        return {}

    def _running(self, guest: dict[str, Any], parameters: Mapping[str, Any]) -> None:
        if parameters["live"] and guest["state"] != "on":
            raise Refused(409, "guest-inactive", f"{parameters['userid']} is off")

    def _do_disk_add(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)["disks"] += parameters["disks"]
        return {"disks": parameters["disks"]}

    def _do_disk_remove(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        guest["disks"] = [disk for disk in guest["disks"] if disk["vdev"] not in parameters["vdevs"]]
        return {}

    def _do_reader_punch(self, parameters: dict[str, Any]) -> dict[str, Any]:
        guest = self._known(parameters)
        guest["reader"] += [
            {"name": file["name"], "type": file["type"], "class": file["class"], "data": base64.b64decode(file["data"])}
            for file in parameters["files"]
        ]
        return {}

    def _do_reader_withdraw(self, parameters: dict[str, Any]) -> dict[str, Any]:
        reader = self._known(parameters)["reader"]
        reader[:] = [file for file in reader if file["name"] != parameters["name"]]
        return {}

    def _do_nic_create(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)["nics"][parameters["vdev"]] = {"mac": parameters["mac"], "vswitch": None}
        return {}

    def _do_nic_delete(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)["nics"].pop(parameters["vdev"], None)
        return {}

    def _do_nic_couple(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)["nics"][parameters["vdev"]]["vswitch"] = parameters["vswitch"]
        return {}

    def _do_nic_uncouple(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self._known(parameters)["nics"][parameters["vdev"]]["vswitch"] = None
        return {}

    def _do_vswitch_create(self, parameters: dict[str, Any]) -> dict[str, Any]:
        if parameters["name"] in self.vswitches:
            raise Refused(409, "vswitch-exists", "exists", ("Virtual_Network_Vswitch_Create_Extended", 212, 36))
        self.vswitches[parameters["name"]] = {**parameters, "users": []}
        return {}

    def _do_vswitch_delete(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.vswitches.pop(parameters["name"], None)
        return {}

    def _do_vswitch_grant(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.vswitches[parameters["name"]]["users"].append(parameters["userid"])
        return {}

    def _do_vswitch_revoke(self, parameters: dict[str, Any]) -> dict[str, Any]:
        self.vswitches[parameters["name"]]["users"].remove(parameters["userid"])
        return {}

    def _do_vswitch_set_vlan(self, parameters: dict[str, Any]) -> dict[str, Any]:
        return self._do_vswitch_grant(parameters)

    def _facts(self, userid: str) -> dict[str, Any]:
        guest = self._known({"userid": userid})
        return {
            "userid": userid,
            "power_state": guest["state"],
            "entry": [f"USER {userid} SECRET12 {guest['memory_mb']}M {guest['max_memory_mb']}M G"]
            + [f"DEDICATE {vdev.upper()} {real.upper()}" for vdev, real in guest.get("reals", {}).items()],
            "vcpus": guest["vcpus"],
            "memory_mb": guest["memory_mb"],
            "ipl": guest["ipl"],
            "disks": [
                {
                    "vdev": disk["vdev"],
                    "size": disk["size_units"],
                    "unit": "CYL",
                    "device_type": "3390",
                    "type": disk["type"],
                }
                for disk in guest["disks"]
            ],
            "nics": [
                {"vdev": vdev, "mac_id": (nic["mac"] or "").replace(":", "")[-6:], "vswitch": nic["vswitch"] or ""}
                for vdev, nic in guest["nics"].items()
            ],
            "live": {"memory_used_kb": 1000, "cpu_time_us": 5} if guest["state"] == "on" else None,
        }

    def _entry(self, userid: str) -> dict[str, Any]:
        facts = self._facts(userid)
        return {**facts, "kind": "USER", "digest": sha256(json.dumps(facts).encode()).hexdigest()}
