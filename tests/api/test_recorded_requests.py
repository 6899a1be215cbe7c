"""What zVMCloudConnector 1.6.3 puts on the wire, recorded call by call: the door understands every request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.test_connector_road import add_image
from manager.fake_zhcp import FakeZhcp

CALLS: list[dict[str, Any]] = [
    json.loads(line) for line in (Path(__file__).parent / "client_requests_1.6.3.jsonl").read_text().splitlines()
]
RECORDED = [call for call in CALLS if "url" in call]
NEVER_SENT = {
    "guest_live_resize_cpus": "Too many args",
    "get_volume_connector": "Too many args",
    "host_get_diskpool_volumes": "Too many args",
    "guest_get_os_info": "not exist",
    "guest_get_online_cpu_num": "not exist",
    "guest_get_disks_info": "not exist",
    "get_switch_info": "not exist",
    "smapi_health": "not exist",
}
"""Recordings without a request: this client refuses by itself, and why."""
NOT_THERE = {
    "delete_fcp_template", "edit_fcp_template", "get_fcp_usage", "set_fcp_usage", "create_fcp_template",
    "get_volume_connector",
}  # fmt: skip
"""FCP devices and templates that the recordings name, and no system has."""
INCOMPLETE = {
    "volume_attach": "target",
    "volume_detach": "target",
    "guest_create_network_interface": "cidr",
    "image_import": "remote_host",
    "image_export": "remote_host",
}
"""Recordings whose own arguments break the schema, and the field that the answer must name."""


@pytest.mark.parametrize("call", RECORDED, ids=[f"{call['api']}-{number}" for number, call in enumerate(RECORDED)])
async def test_each_recorded_request_is_understood(
    door: httpx.AsyncClient, zhcp: FakeZhcp, sample: Path, call: dict[str, Any]
) -> None:
    guest = {"userid": "U2" if call["api"] == "guest_create" else "U1", "vcpus": 1, "memory": 1024}
    await door.post("/guests", json={"guest": {**guest, "disk_list": [{"size": "100", "is_boot_disk": True}]}})
    await door.post("/guests/U1/action", json={"action": "start"})
    await door.post("/vswitches", json={"vswitch": {"name": "VS" if call["api"] != "vswitch_create" else "OTHER"}})
    if call["api"] != "guest_create_nic":
        await door.post("/guests/U1/nic", json={"nic": {"vdev": "1000"}})
    await door.put("/vswitches/VS", json={"vswitch": {"grant_userid": "U1"}})
    await add_image(door, sample, "i")
    zhcp.captured = sample.read_bytes()
    body = call["body"]
    if body == "<file>":
        answer = await door.request(call["method"], call["url"], content=b"x", headers={"content-type": call["ct"]})
    else:
        content = None if body is None else json.dumps(body)
        answer = await door.request(call["method"], call["url"], content=content, headers={"content-type": call["ct"]})
    if call["api"] == "token_create":
        assert answer.headers["x-auth-token"]
        return
    assert answer.headers["content-type"] == "application/json"
    envelope = answer.json()
    assert list(envelope) == ["overallRC", "modID", "rc", "rs", "errmsg", "output"]
    if call["api"] in INCOMPLETE:
        assert answer.status_code == 400
        assert INCOMPLETE[call["api"]] in envelope["errmsg"]
    elif call["api"] in {"guest_deploy", "file_export", "guest_register"}:
        assert envelope["overallRC"] in {300, 409}, envelope
    elif call["api"] in NOT_THERE or "t1" in call["url"] or "'t'" in call["url"]:
        assert answer.status_code in {404, 409}, envelope
    elif "U2" in call["url"] or "ECKD:P" in call["url"] or "V1" in call["url"]:
        assert answer.status_code == 404, "neither that guest nor that pool nor that volume is there"
    else:
        assert answer.status_code == 200, envelope
        assert envelope["overallRC"] == 0


def test_every_recording_is_replayed_or_never_left_the_client() -> None:
    silent = {call["api"]: call["error"] for call in CALLS if "url" not in call}
    assert set(silent) == set(NEVER_SENT)
    assert all(NEVER_SENT[api] in error for api, error in silent.items())
    assert len(RECORDED) + len(silent) == len(CALLS) == 95
