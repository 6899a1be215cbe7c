"""Operations through the native API on a simulated z/VM: what a plan shows is what its job does, and nothing else."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from e2e.conftest import Cloud
from e2e.test_volumes import done, v1
from zvmcloud.zhcp.errors import Call
from zvmcloud.zhcp.rehearsal.kinds import changes
from zvmcloud.zhcp.rehearsal.rehearse import shown

IMAGE = "shared-sample"


@pytest.fixture
def native(cloud: Cloud) -> Iterator[httpx.Client]:
    with v1(cloud) as client:
        yield client


@pytest.fixture
def system(native: httpx.Client) -> str:
    return str(native.get("/systems").json()[0]["name"])


def told(calls: list[dict[str, Any]]) -> list[tuple[str, str, dict[str, Any]]]:
    """The changes among the calls, without numbers that are given out when they are made."""
    found = []
    for item in calls:
        call = Call(item["kind"], item["name"], item["parameters"])
        if not changes(call):
            continue
        call = shown(call)
        disk = {key: value for key, value in call.parameters.items() if key in ("userid", "vdev")}
        found.append((call.kind, call.name, disk if call.kind == "disk" else call.parameters))
    return found


def applied(native: httpx.Client, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
    """Show the plan, apply it, and see that the job made the calls of the plan; the plan."""
    answer = native.request(method, f"{path}?dry_run=true", json=body)
    assert answer.status_code == 200, answer.text
    plan: dict[str, Any] = answer.json()
    declared = {found["name"]: found["no_undo"] for found in native.get("/operations").json()}[plan["operation"]]
    assert bool(declared) or all(step["undo"] for step in plan["steps"]), "what is declared to be undone has an undo"
    job = done(native, native.post(f"/plans/{plan['id']}/apply"))
    for step, did in zip(plan["steps"], native.get(f"/jobs/{job['id']}").json()["steps"], strict=True):
        assert told(step["calls"]) == told(did["calls"]), step["title"]
    return plan


def statements(plan: dict[str, Any], what: str) -> list[str]:
    return [line for step in plan["steps"] for entry in step["entries"] for line in entry[what]]


def test_a_guest_from_nothing_is_what_its_plan_shows(cloud: Cloud, native: httpx.Client, system: str) -> None:
    vswitches = f"/systems/{system}/vswitches"
    applied(native, "POST", vswitches, {"name": "PLANSW", "connection": "DISCONNECT"})
    wish = {
        "userid": "plan1", "image": IMAGE, "vcpus": 2, "memory_mb": 1024, "hostname": "web01",
        "interfaces": [{"network": "plansw", "address": "192.0.2.10/24", "gateway": "192.0.2.1"}],
        "user_data": base64.b64encode(b"#cloud-config\n").decode(),
    }  # fmt: skip
    plan = applied(native, "POST", f"/systems/{system}/guests/provision", wish)
    added = statements(plan, "added")
    assert [line for line in added if line.startswith("MDISK 0100 3390 AUTOG")]
    assert [line for line in added if line.startswith("NICDEF 1000 TYPE QDIO LAN SYSTEM PLANSW")]
    assert cloud.stack.is_on("plan1")
    cloud.up("PLAN1")
    guest = f"/guests/{system}/PLAN1"
    applied(native, "POST", f"{guest}/nics", {"network": "PLANSW"})
    applied(native, "DELETE", f"{guest}/nics/1003")
    applied(native, "POST", f"{guest}/disks", {"size": "5", "format": "none"})
    applied(native, "POST", f"{guest}/resize-cpus", {"vcpus": 3, "live": True})
    done(native, native.post(f"{guest}/stop"))
    applied(native, "DELETE", f"{guest}/disks/0101")
    plan = applied(native, "POST", f"{guest}/reconfigure", {"share": "RELATIVE 500", "comments": ["WEB"]})
    assert statements(plan, "added") == ["SHARE RELATIVE 500", "* WEB"]
    applied(native, "POST", f"{guest}/resize-memory", {"memory_mb": 2048})
    applied(native, "POST", f"{guest}/nics/1000/uncouple")
    applied(native, "POST", f"{guest}/nics/1000/couple", {"vswitch": "PLANSW"})
    applied(native, "POST", f"{guest}/reader/purge", {})
    applied(native, "POST", f"{guest}/clone", {"to": "plan2"})
    assert cloud.stack.disk_digest("plan2", "0100") == cloud.stack.disk_digest("plan1", "0100")
    applied(native, "POST", f"{guest}/capture", {"image": "plan-captured", "os_version": "rhel8.6"})
    assert native.get("/images/plan-captured").status_code == 200
    for verb in ("grant", "revoke"):
        applied(native, "POST", f"{vswitches}/PLANSW/{verb}", {"userid": "MAINT"})
    applied(native, "PATCH", f"{vswitches}/PLANSW", {"isolation": "ON"})
    applied(native, "POST", f"/systems/{system}/lans", {"name": "PLANLAN"})
    applied(native, "POST", f"/systems/{system}/lans/PLANLAN/delete", {})
    for userid in ("PLAN1", "PLAN2"):
        applied(native, "DELETE", f"/guests/{system}/{userid}")
        assert not cloud.stack.exists(userid)
    applied(native, "DELETE", f"{vswitches}/PLANSW")


def test_a_plan_is_not_applied_when_what_it_needs_has_changed(
    cloud: Cloud, native: httpx.Client, system: str
) -> None:  # fmt: skip
    vswitches = f"/systems/{system}/vswitches"
    done(native, native.post(vswitches, json={"name": "STALESW", "connection": "DISCONNECT"}))
    done(native, native.post(f"/systems/{system}/guests", json={"userid": "stale1", "disks": [{"size": "5"}]}))
    guest = f"/guests/{system}/STALE1"
    plan = native.post(f"{guest}/nics?dry_run=true", json={"network": "STALESW"}).json()
    before = cloud.stack.entry("stale1")
    done(native, native.patch(f"{vswitches}/STALESW", json={"isolation": "ON"}))
    answer = native.post(f"/plans/{plan['id']}/apply")
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-stale"), answer.text
    assert "STALESW" in answer.json()["detail"]
    removal = native.delete(f"{guest}/disks/0100?dry_run=true").json()
    done(native, native.post(f"{guest}/start"))
    answer = native.post(f"/plans/{removal['id']}/apply")
    assert (answer.status_code, answer.json()["code"]) == (409, "plan-stale"), answer.text
    assert "guest is off" in answer.json()["detail"] or "guest that is off" in answer.json()["detail"]
    assert cloud.stack.entry("stale1") == before
    done(native, native.delete(guest))
    done(native, native.delete(f"{vswitches}/STALESW"))


def test_what_cannot_be_done_is_refused_in_the_plan_and_leaves_nothing(
    cloud: Cloud, native: httpx.Client, system: str
) -> None:
    for wish, code in (
        ({"userid": "never1", "image": IMAGE, "interfaces": [{"network": "NOSUCH"}]}, "vswitch-unknown"),
        ({"userid": "never1", "image": IMAGE, "disk_size": "1"}, "disk-too-small"),
        ({"userid": "never1", "image": IMAGE, "disk_size": "60000"}, "pool-full"),
        ({"userid": "never1", "image": IMAGE, "profile": "NOSUCH"}, "profile-unknown"),
        ({"userid": "maint", "image": IMAGE}, "guest-exists"),
    ):
        answer = native.post(f"/systems/{system}/guests/provision?dry_run=true", json=wish)
        assert (answer.status_code // 100, answer.json()["code"]) == (4, code), answer.text
    started = native.post(
        f"/systems/{system}/guests/provision",
        json={"userid": "never1", "image": IMAGE, "disks": [{"size": "60000"}]},
    )
    assert started.status_code == 202, started.text
    with pytest.raises(AssertionError, match="pool-full"):
        done(native, started)
    assert not cloud.stack.exists("never1")
    assert native.get(f"/guests/{system}/NEVER1").status_code == 404


def test_many_guests_are_made_as_their_plans_show(cloud: Cloud, native: httpx.Client, system: str) -> None:
    wish = {"names": "bulk[1-2]", "image": IMAGE, "systems": [system], "start": False}
    plan = native.post("/bulk/deploy?dry_run=true", json=wish).json()
    assert [child["userid"] for child in plan["children"]] == ["BULK1", "BULK2"]
    assert done(native, native.post(f"/plans/{plan['id']}/apply"))["children"] == {"done": 2}
    for child in plan["children"]:
        for step, did in zip(child["steps"], native.get(f"/jobs/{child['id']}").json()["steps"], strict=True):
            assert told(step["calls"]) == told(did["calls"]), step["title"]
    assert done(native, native.post("/bulk/delete", json={"names": "bulk[1-2]"}))["children"] == {"done": 2}
    assert not cloud.stack.exists("bulk1")


def test_an_evacuated_system_has_none_of_our_guests_running(one: Cloud) -> None:
    with v1(one) as native:
        for userid in ("EVA1", "EVA2"):
            wish = {"userid": userid, "image": IMAGE, "hostname": userid.lower()}
            done(native, native.post("/systems/VM1/guests/provision", json=wish))
            one.up(userid)
        check = native.get("/guests/VM1/EVA1/relocation", params={"destination": "VM2"}).json()
        assert check == {"possible": True, "blockers": []}
        others = [row["userid"] for row in native.get("/guests?system=VM1").json()["items"]]
        wish_all = {"first": ["EVA2"], "without": [name for name in others if not name.startswith("EVA")]}
        plan = applied(native, "POST", "/systems/VM1/evacuate", wish_all)
        moves = [step["parameters"] for step in plan["steps"] if step["kind"] == "guest.relocate"]
        assert [move["userid"] for move in moves] == ["EVA2", "EVA1"]
        assert len({move["destination"] for move in moves}) == 2
        refused = native.post("/systems/VM1/evacuate?dry_run=true", json={"destinations": ["NOSUCH"]})
        assert (refused.status_code, refused.json()["code"]) == (400, "bad-input")
        for move in moves:
            done(native, native.delete(f"/guests/{move['destination']}/{move['userid']}?force=true"))
