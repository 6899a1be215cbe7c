"""Questions about the system at the connector door, in the words its clients read."""

from __future__ import annotations

from typing import Any

import httpx

from api.test_connector_road import create, done
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.node import Node

COUNTERS = {"fr_rx": 1, "fr_tx": 2, "fr_rx_dsc": 3, "fr_tx_dsc": 4, "fr_rx_err": 5, "fr_tx_err": 6, "rx": 7, "tx": 8}


async def test_a_volume_is_found_by_its_label_in_any_case(door: httpx.AsyncClient) -> None:
    volume = {"volume_type": "3390-54", "volume_size": "60102"}
    assert done(await door.get("/host/volume", params={"volumename": "vol001"})) == volume
    assert done(await door.get("/host/volume")) == {"VOL001": volume}
    missing = await door.get("/host/volume", params={"volumename": "NONE"})
    assert missing.status_code == 404
    assert (missing.json()["overallRC"], missing.json()["rs"]) == (404, 2)


async def test_the_cluster_is_told_in_lines(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    assert done(await door.get("/host/ssi")) == []
    member = {"slot": "1", "system": "ZVM1", "state": "Joined", "pdr_heartbeat": "a", "received_heartbeat": "b"}
    zhcp.answers["ssi"] = {
        "member": True, "name": "CLUSTER", "mode": "Stable", "pdr": "VOL_on_1", "cross_system_timeouts": "Enabled",
        "members": [member],
    }  # fmt: skip
    assert done(await door.get("/host/ssi")) == [
        "ssi_name = CLUSTER", "ssi_mode = Stable", "ssi_pdr = VOL_on_1", "cross_system_timeouts = Enabled",
        "output.ssiInfoCount = 1", "", "member_slot = 1", "member_system_id = ZVM1", "member_state = Joined",
        "member_pdr_heartbeat = a", "member_received_heartbeat = b", "",
    ]  # fmt: skip


async def test_interface_statistics_are_those_of_the_guests_asked_for(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    nics: list[dict[str, Any]] = [
        {"userid": userid, "vdev": "1000", "vswitch": "VSW1", **COUNTERS} for userid in ("LINUX01", "OTHER")
    ]
    zhcp.answers["traffic"] = {"nics": nics}
    expected = {f"nic_{name}": value for name, value in COUNTERS.items()}
    assert done(await door.get("/guests/interfacestats", params={"userid": "linux01"})) == {
        "LINUX01": [{"vswitch_name": "VSW1", "nic_vdev": "1000", **expected}]
    }
    assert (await door.get("/guests/interfacestats", params={"userid": "other"})).status_code == 404
    assert (await door.get("/guests/interfacestats", params={"userid": "a-b"})).status_code == 400


async def test_health_has_the_agents_counts(door: httpx.AsyncClient, zhcp: FakeZhcp, node: Node) -> None:
    health = {
        "totalSuccess": 7, "totalFail": 1, "lastSuccess": "2026-11-21 08:00:00", "lastFail": "", "continuousFail": 0,
        "healthy": True,
    }  # fmt: skip
    assert done(await door.get("/smapi_health")) == health
    assert (await door.get("/smapi-healthy")).json() == {"SMAPI": health}
    zhcp.app.router.routes.clear()
    assert done(await door.get("/smapi_health"))["healthy"] is False, "an agent that does not answer is not healthy"


async def test_the_old_form_of_health_has_the_error_of_an_unknown_system_too(door: httpx.AsyncClient) -> None:
    answer = await door.get("/systems/NOPE/smapi-healthy")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/json"
    assert (answer.json()["overallRC"], answer.json()["rs"]) == (404, 1)
    assert "NOPE" in answer.json()["errmsg"]
