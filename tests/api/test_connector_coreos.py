"""Deploys that copy nothing, and systems that read nothing from their reader."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from api.test_connector_road import add_image, create, done
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.deploys import DeployRequest
from zvmcloud.manager.errors import NotSupported
from zvmcloud.manager.node import Node


async def test_without_a_copy_the_system_on_the_disk_is_named_and_the_disk_stays_as_it_is(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path
) -> None:
    await create(door)
    ask = {"action": "deploy", "image": "sles15.5", "skipdiskcopy": True, "hostname": "web01"}
    answer = await door.post("/guests/linux01/action", json=ask)
    assert done(answer) == ""
    assert (zhcp.fetched, [file["name"] for file in zhcp.guests["LINUX01"]["reader"]]) == ([], ["HOSTNAME"])
    (row,) = await node.guests.rows()
    assert (row["os_version"], row["image_sha256"]) == ("sles15.5", None)
    await add_image(door, sample)
    done(await door.post("/guests/linux01/action", json={**ask, "image": "sample"}))
    (row,) = await node.guests.rows()
    assert (zhcp.fetched, row["os_version"]) == ([], "rhel8.6"), "an image's name means its system"
    for neither in ("nothing", "rhel8-web"):
        answer = await door.post("/guests/linux01/action", json={**ask, "image": neither})
        assert answer.json()["rs"] == 20, "neither a system nor an image"


async def test_an_image_of_coreos_is_refused_before_its_disk_is_touched(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path, tmp_path: Path
) -> None:
    (tmp_path / "worker.ign").write_text('{"ignition": {"version": "3.2.0"}}')
    await create(door)
    await node.images.import_url("captured", sample.as_uri(), "rhcos4.12")
    ask = {"action": "deploy", "image": "captured", "hostname": "web01"}
    for more, rs in (({}, 13), ({"transportfiles": str(tmp_path / "worker.ign")}, 12)):
        answer = await door.post("/guests/linux01/action", json={**ask, **more})
        found = answer.json()
        assert (answer.status_code, found["overallRC"], found["modID"], found["rs"]) == (500, 300, 10, rs)
        assert "guest.netboot" in found["errmsg"], "the way that works is named"
    with pytest.raises(NotSupported, match="host name") as caught:
        await node.deploys.plan_deploy("ZVM1", DeployRequest("LINUX01", "captured", hostname="web01"))
    assert caught.value.code == "coreos", "/v1 refuses a host name that would reach nobody"
    plan, _ = await node.deploys.plan_deploy("ZVM1", DeployRequest("LINUX01", "captured"))
    assert [step.kind for step in plan.steps] == ["disk.write_image", "manager.guest_deployed"]
    assert (zhcp.fetched, zhcp.guests["LINUX01"]["reader"]) == ([], [])
    (row,) = await node.guests.rows()
    assert not row["os_version"]
