"""FCP templates, connectors and volumes at the connector door."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from api.native import ok
from api.native import refused as problem
from api.test_connector_road import create, done
from api.test_plans import over
from manager.fake_zhcp import FakeZhcp, Refused
from zvmcloud.manager.node import Node

LUN = "0x4010400000000000"
WWPN = "0x5005076802100c1a"


def refused(answer: httpx.Response) -> tuple[int, int, int, int]:
    body = answer.json()
    assert body["overallRC"] != 0
    return answer.status_code, body["overallRC"], body["modID"], body["rs"]


@pytest.fixture
async def template(door: httpx.AsyncClient) -> str:
    body = {"name": "t1", "description": "d", "fcp_devices": "1a00-1a03;1b00-1b03", "host_default": "yes",
            "storage_providers": ["sp1"], "min_fcp_paths_count": 2}  # fmt: skip
    made = done(await door.post("/volumes/fcptemplates", json=body))["fcp_template"]
    assert made["pchids"] == {"all": ["021A", "021B"], "first_used_by_templates": ["021A", "021B"]}
    assert (made["name"], made["host_default"], made["min_fcp_paths_count"]) == ("t1", True, 2)
    found: str = made["id"]
    return found


async def connector(door: httpx.AsyncClient, guest: str, **info: object) -> dict[str, Any]:
    answer = done(await door.request("GET", f"/volumes/conn/{guest}", json={"info": {"reserve": True, **info}}))
    assert isinstance(answer, dict)
    return answer


async def volume(door: httpx.AsyncClient, method: str, fcps: list[str], **more: object) -> httpx.Response:
    connection = {
        "assigner_id": "linux01", "zvm_fcp": fcps, "target_wwpn": [WWPN], "target_lun": LUN, "multipath": "true",
        "os_version": "rhel8.6", "mount_point": "/dev/sdz", **more,
    }  # fmt: skip
    return await door.request(method, "/guests/volumes", json={"info": {"connection": connection}})


async def test_a_guest_gets_one_device_of_each_path_and_keeps_it(door: httpx.AsyncClient, template: str) -> None:
    first = await connector(door, "linux01")
    assert first["zvm_fcp"] == ["1a00", "1b00"]
    assert first["wwpns"] == ["c05076ddf7001a00", "c05076ddf7001b00"]
    assert first["host"] == "ZVM1_LINUX01"
    assert (first["fcp_paths"], first["fcp_template_id"], first["is_reserved_changed"]) == (2, template, True)
    assert first["pchid_fcp_map"] == {"021A": ["1A00"], "021B": ["1B00"]}
    again = await connector(door, "linux01", fcp_template_id=template)
    assert (again["zvm_fcp"], again["is_reserved_changed"]) == (["1a00", "1b00"], False)
    other = await connector(door, "linux02", storage_provider="sp1")
    assert other["zvm_fcp"] == ["1a01", "1b01"]
    assert done(await door.get("/volumes/fcp/1A00")) == ["LINUX01", 1, 0, template]
    back = await connector(door, "linux01", reserve=False)
    assert (back["zvm_fcp"], back["is_reserved_changed"]) == (["1a00", "1b00"], True)
    assert done(await door.get("/volumes/fcp/1a00")) == ["", 0, 0, ""]


async def test_without_free_devices_the_connector_is_empty_and_says_why(
    door: httpx.AsyncClient, template: str, zhcp: FakeZhcp
) -> None:
    for fcp in zhcp.answers["fcps"]["fcps"][:4]:
        fcp |= {"state": "active", "owner": "OTHER"}
    empty = await connector(door, "linux01", fcp_template_id=template)
    assert empty["zvm_fcp"] == []
    assert "1 of 2 paths" in empty["empty_fcp_list_reason"]


async def test_limits_of_channels_are_kept_and_must_be_complete(door: httpx.AsyncClient, template: str) -> None:
    limits = {"021A": {"allocated": 4, "max": 4}, "021B": {"allocated": 0, "max": 4}}
    assert (await connector(door, "linux01", fcp_template_id=template, pchid_info=limits))["zvm_fcp"] == []
    del limits["021A"]
    body = {"info": {"reserve": True, "pchid_info": limits}}
    assert refused(await door.request("GET", "/volumes/conn/linux01", json=body)) == (500, 300, 30, 11)


async def test_a_volume_comes_and_goes_with_the_devices_it_needs(
    door: httpx.AsyncClient, template: str, zhcp: FakeZhcp
) -> None:
    await create(door)
    fcps = (await connector(door, "linux01"))["zvm_fcp"]
    guest = zhcp.guests["LINUX01"]
    assert done(await volume(door, "POST", fcps, fcp_template_id=template)) == ""
    assert guest["fcps"] == ["1a00", "1b00"]
    assert (guest["reader"][0]["name"], guest["reader"][0]["class"]) == ("ATVOL", "X")
    assert LUN.encode() in guest["reader"][0]["data"]
    assert done(await door.get("/volumes/fcp/1a00")) == ["LINUX01", 1, 1, template]
    done(await volume(door, "POST", fcps))
    assert guest["fcps"] == ["1a00", "1b00"], "a second volume uses the same devices"
    done(await volume(door, "DELETE", fcps))
    assert guest["fcps"] == ["1a00", "1b00"]
    done(await volume(door, "DELETE", fcps))
    assert guest["fcps"] == []
    assert guest["reader"][-1]["name"] == "DEVOL"
    assert done(await door.get("/volumes/fcp/1a00")) == ["LINUX01", 1, 0, template]
    assert refused(await volume(door, "DELETE", fcps)) == (500, 300, 30, 9)


@pytest.mark.usefixtures("template")
async def test_a_root_volume_is_only_recorded(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    before = list(zhcp.ran)
    done(await volume(door, "POST", ["1a00"], is_root_volume=True))
    assert zhcp.ran == before
    assert done(await door.get("/volumes/fcp/1a00"))[:3] == ["LINUX01", 0, 1]


@pytest.mark.usefixtures("template")
async def test_another_guests_device_is_not_attached(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    fcps = (await connector(door, "other"))["zvm_fcp"]
    assert refused(await volume(door, "POST", fcps)) == (500, 300, 30, 8)
    assert "fcps" not in zhcp.guests["LINUX01"]


@pytest.mark.usefixtures("template")
@pytest.mark.parametrize("wish", [{}, {"do_rollback": True}, {"do_rollback": False}, {"do_rollback": "False"}])
async def test_a_guest_that_does_not_see_the_volume_leaves_everything_as_before(
    door: httpx.AsyncClient, zhcp: FakeZhcp, wish: dict[str, object]
) -> None:
    """`do_rollback` false as well: a client that then says nothing would leave a device that nobody gives back."""
    await create(door)
    zhcp.guests["LINUX01"]["refuses"] = True
    assert refused(await volume(door, "POST", ["1a00"], **wish)) == (500, 300, 30, 8)
    assert zhcp.guests["LINUX01"]["fcps"] == []
    assert done(await door.get("/volumes/fcp/1a00")) == ["", 0, 0, ""]
    zhcp.guests["LINUX01"]["refuses"] = False
    zhcp.refuse_next = Refused(409, "fcp-in-use", "somebody has it")
    assert refused(await volume(door, "POST", ["1a00"])) == (500, 300, 30, 8)
    assert done(await door.get("/volumes/fcp/1a00")) == ["", 0, 0, ""]


async def test_templates_are_listed_filtered_changed_and_deleted(door: httpx.AsyncClient, template: str) -> None:
    second = done(await door.post("/volumes/fcptemplates", json={"name": "t2", "storage_providers": ["sp1"]}))
    other = second["fcp_template"]["id"]

    async def names(**query: str) -> list[str]:
        found = done(await door.get("/volumes/fcptemplates", params=query))["fcp_templates"]
        return [item["name"] for item in found]

    assert await names() == ["t1", "t2"]
    assert await names(template_id_list=f"['{template}']") == ["t1"]
    assert await names(host_default="true") == ["t1"]
    assert await names(storage_providers="['sp1']") == ["t2"], "a provider has one template: the last that took it"
    await connector(door, "linux01", fcp_template_id=template)
    assert await names(assigner_id="linux01") == ["t1"]
    assert (await door.get("/volumes/fcptemplates", params={"template_id_list": "['none']"})).status_code == 404
    assert (await door.get("/volumes/fcptemplates", params={"template_id_list": "[1]"})).status_code == 400
    path = f"/volumes/fcptemplates/{template}"
    edited = done(await door.put(path, json={"name": "new", "fcp_devices": "1a00-1a03;1b00-1b02"}))["fcp_template"]
    assert (edited["name"], edited["description"]) == ("new", "d")
    assert refused(await door.put(path, json={"fcp_devices": "1a01;1b01"})) == (409, 409, 30, 24)
    assert refused(await door.put(path, json={"fcp_devices": "1a00;1a00,1b00"})) == (409, 409, 30, 23)
    assert refused(await door.put(path, json={"min_fcp_paths_count": 3})) == (409, 409, 30, 23)
    assert (await door.put(path, json={"fcp_devices": "zz"})).status_code == 400
    assert refused(await door.delete(path)) == (409, 409, 30, 22)
    await connector(door, "linux01", reserve=False)
    done(await door.delete(path))
    assert refused(await door.delete(path)) == (404, 404, 30, 1)
    assert await names() == ["t2"]
    assert other


async def test_details_tell_what_the_devices_are_used_for(
    door: httpx.AsyncClient, template: str, zhcp: FakeZhcp
) -> None:
    await connector(door, "linux01")
    zhcp.answers["fcps"]["fcps"][3] |= {"state": "active", "owner": "SOMEBODY"}
    zhcp.answers["fcps"]["fcps"].pop(4)
    query = {"raw": "True", "statistics": "True", "sync_with_zvm": "True"}
    (found,) = done(await door.get("/volumes/fcptemplates/detail", params=query))["fcp_templates"]
    first, second = found["statistics"]["0"], found["statistics"]["1"]
    assert (first["total"], first["total_count"], first["range_fcp"]) == ("1A00 - 1A03", {"021A": 4}, "1A00 - 1A03")
    assert (first["available"], first["reserve_only"]) == ("1A01 - 1A02", "1A00")
    assert first["unallocated_but_active"] == {"1A03": "SOMEBODY"}
    assert first["chpids"] == {"1a": "1A00 - 1A03"}
    assert second["notfound"] == "1B00"
    assert found["raw"]["0"][0] == [
        "1a00", template, "LINUX01", 0, 1, "c05076ddf7001a00", "c05076ddf71a0001", "1a", "021A", "free", "none",
        template,
    ]  # fmt: skip
    assert found["pchid_to_phy_wwpn"]["021A"] == "c05076ddf71a0001"
    (short,) = done(await door.get("/volumes/fcptemplates/detail", params={"statistics": "false"}))["fcp_templates"]
    assert "raw" not in short
    assert "statistics" not in short


async def test_usage_is_mended_by_hand(door: httpx.AsyncClient, template: str) -> None:
    path = "/volumes/fcp/1a02"
    info = {"userid": "linux09", "reserved": 1, "connections": 2, "fcp_template_id": template}
    done(await door.put(path, json={"info": info}))
    assert done(await door.get(path)) == ["LINUX09", 1, 2, template]
    for usage in ({"reserved": 1, "connections": 1}, {"reserved": 0, "connections": 0}):
        unknown = {"userid": "linux09", **usage, "fcp_template_id": "x"}
        assert refused(await door.put(path, json={"info": unknown})) == (404, 404, 30, 1)
    assert done(await door.get(path)) == ["LINUX09", 1, 2, template]
    done(await door.put(path, json={"info": {"reserved": 0, "connections": 0}}))
    assert done(await door.get(path)) == ["", 0, 0, ""]
    assert (await door.put(path, json={"info": {"reserved": 1, "connections": 1}})).status_code == 400
    assert (await door.put(path, json={"info": {"reserved": 1, "connections": -1}})).status_code == 400
    assert refused(await door.get("/volumes/fcp/9999")) == (404, 404, 30, 1)
    assert (await door.get("/volumes/fcp/xyz1")).status_code == 400


@pytest.mark.usefixtures("template")
async def test_a_deleted_guest_has_no_devices_any_more(door: httpx.AsyncClient) -> None:
    await create(door)
    await connector(door, "linux01")
    done(await door.delete("/guests/linux01"))
    assert done(await door.get("/volumes/fcp/1a00")) == ["", 0, 0, ""]


async def test_a_boot_map_is_written_for_the_paths_asked_for(
    door: httpx.AsyncClient, template: str, zhcp: FakeZhcp
) -> None:
    info = {"fcpchannel": ["1a00", "1b00"], "wwpn": ["5005076802100C1A"], "lun": "0x4010400000000000", "wwid": "3600",
            "transportfiles": "", "guest_networks": [], "fcp_template_id": template}  # fmt: skip
    answer = await door.put("/volumes/volume_refresh_bootmap", json={"info": info})
    assert done(answer) == {"1a00": ["5005076802100c1a"], "1b00": ["5005076802100c1a"]}
    assert zhcp.bootmap["lun"] == "4010400000000000"
    assert zhcp.bootmap["min_paths"] == 2
    info["lun"] = "f" * 16
    assert refused(await door.put("/volumes/volume_refresh_bootmap", json={"info": info})) == (500, 300, 30, 5)
    wrongs: list[dict[str, object]] = [{"fcpchannel": []}, {"wwpn": ["xyz"]}, {"lun": "12345678901234567"}]
    for wrong in wrongs:
        answer = await door.put("/volumes/volume_refresh_bootmap", json={"info": {**info, **wrong}})
        assert answer.status_code == 400


async def test_a_volume_attached_by_its_number_is_attached_for_everybody(
    door: httpx.AsyncClient, template: str, admin: httpx.AsyncClient, node: Node, zhcp: FakeZhcp
) -> None:
    """The LUN of a volume of ours is used as its name is: by one guest, and by several when it is shared."""
    for name in ("LINUX01", "LINUX02"):
        await create(door, userid=name)
    await node.pools.load("ZVM1", "p1", f"free,{WWPN[2:]},{LUN[2:]},10G,,,,\n")
    wish = {"name": "data", "pool": "p1", "size_gb": 10}
    assert (await over(admin, await admin.post("/systems/ZVM1/volumes", json=wish)))["state"] == "done"
    data = "/systems/ZVM1/volumes/data"
    done(await volume(door, "POST", ["1a00", "1b00"], fcp_template_id=template))
    shown = await ok(await admin.get(data))
    (mine,) = shown["attachments"]
    assert (shown["state"], mine["guest"], mine["devices"]) == ("in-use", "LINUX01", ["1a00", "1b00"])
    zhcp.ran.clear()
    for guest, fcps in (("linux01", ["1a00", "1b00"]), ("linux02", ["1a01", "1b01"])):
        answer = await volume(door, "POST", fcps, assigner_id=guest)
        assert refused(answer) == (500, 300, 30, 8)
        assert "volume data is attached to LINUX01 at ZVM1" in answer.json()["errmsg"]
    await problem(await admin.post("/guests/ZVM1/LINUX02/volumes", json={"volume": "data"}), 409, "volume-attached")
    assert zhcp.ran == []
    done(await volume(door, "DELETE", ["1a00"]))
    (mine,) = (await ok(await admin.get(data)))["attachments"]
    assert mine["devices"] == ["1b00"]
    done(await volume(door, "DELETE", ["1b00"]))
    assert (await ok(await admin.get(data)))["state"] == "available"
    zhcp.guests["LINUX02"]["refuses"] = True
    assert refused(await volume(door, "POST", ["1a01"], assigner_id="linux02")) == (500, 300, 30, 8)
    assert (await ok(await admin.get(data)))["state"] == "available", "what failed is not attached"
