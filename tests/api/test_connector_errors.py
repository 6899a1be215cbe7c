"""Wrong turns at the connector door: the status and the codes clients know, and nothing changed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest

from api.test_connector_road import GUEST, add_image, create
from manager.fake_zhcp import FakeZhcp, Refused
from manager.support import all_jobs, image_file
from zvmcloud.manager.node import Node


def refused(answer: httpx.Response, status: int, *codes: int | str | None) -> str:
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert body["output"] == ""
    assert (body["overallRC"], body["modID"], body["rc"], body["rs"]) == codes, body
    assert body["errmsg"]
    return str(body["errmsg"])


async def test_creating_a_guest_twice_is_409_with_smapis_codes(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    answer = await door.post("/guests", json={"guest": {**GUEST, "vcpus": 8, "disk_list": []}})
    assert "Image_Create_DM" in refused(answer, 409, 8, 1, 400, 8)
    assert zhcp.guests["LINUX01"]["vcpus"] == 2
    assert (await door.get("/guests")).json()["output"] == ["LINUX01"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/guests/nobody/info", None),
        ("GET", "/guests/nobody", None),
        ("GET", "/guests/nobody/power_state", None),
        ("GET", "/guests/nobody/disks", None),
        ("GET", "/guests/stats?userid=nobody", None),
        ("POST", "/guests/nobody/action", {"action": "start"}),
        ("POST", "/guests/nobody/action", {"action": "deploy", "image": "x"}),
        ("POST", "/guests/nobody/action", {"action": "capture", "image": "x"}),
        ("POST", "/guests/nobody/nic", {"nic": {}}),
        ("POST", "/guests/nobody/disks", {"disk_info": {"disk_list": []}}),
    ],
)
async def test_an_unknown_guest_is_404(
    door: httpx.AsyncClient, zhcp: FakeZhcp, method: str, path: str, body: dict[str, Any] | None
) -> None:
    answer = await door.request(method, path, json=body)
    assert "NOBODY" in refused(answer, 404, 404, 10, 404, 1)
    assert zhcp.ran == []


async def test_a_userid_that_only_zvm_knows_is_404_by_its_codes(door: httpx.AsyncClient) -> None:
    refused(await door.get("/guests/nobody/user_direct"), 404, 8, 1, 400, 4)


async def test_unknown_images(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    await create(door)
    refused(await door.get("/images?imagename=nothing"), 404, 404, 40, 404, 1)
    refused(await door.get("/images/nothing/root_disk_size"), 404, 404, 40, 404, 1)
    answer = await door.post("/guests/linux01/action", json={"action": "deploy", "image": "nothing"})
    refused(answer, 404, 300, 40, 300, 20)
    assert zhcp.kinds() == ["guest.create"]


async def test_importing_under_a_used_name_is_409(door: httpx.AsyncClient, sample: Path) -> None:
    await add_image(door, sample)
    image = {"image_name": "sample", "url": sample.as_uri(), "image_meta": {"os_version": "rhel8"}}
    refused(await door.post("/images", json={"image": image}), 409, 300, 40, 300, 13)


async def test_a_full_pool_keeps_smapis_class_and_leaves_nothing(door: httpx.AsyncClient, zhcp: FakeZhcp) -> None:
    disks = [{"size": "60", "disk_pool": "ECKD:TINY"}]
    answer = await door.post("/guests", json={"guest": {**GUEST, "disk_list": disks}})
    assert "TINY" in refused(answer, 500, 8, 1, 408, 24)
    assert (await door.get("/guests")).json()["output"] == []
    assert zhcp.guests == {}


async def test_an_unknown_profile_is_404(door: httpx.AsyncClient) -> None:
    answer = await door.post("/guests", json={"guest": {**GUEST, "user_profile": "NOPROF"}})
    assert "NOPROF" in refused(answer, 404, 404, 10, 404, 1)


async def test_an_unknown_virtual_switch_is_404_and_a_second_one_409(door: httpx.AsyncClient) -> None:
    await create(door)
    await door.post("/guests/linux01/nic", json={"nic": {}})
    refused(await door.get("/vswitches/NONE"), 404, 404, 20, 404, 1)
    couple = {"info": {"couple": True, "vswitch": "NONE"}}
    refused(await door.put("/guests/linux01/nic/1000", json=couple), 404, 404, 20, 404, 1)
    await door.post("/vswitches", json={"vswitch": {"name": "VSW1"}})
    refused(await door.post("/vswitches", json={"vswitch": {"name": "VSW1"}}), 409, 8, 1, 212, 36)
    refused(await door.put("/guests/linux01/nic/2000", json={"info": {"couple": False}}), 404, 404, 20, 404, 1)
    refused(await door.put("/guests/linux01/nic/1000", json={"info": {"couple": True}}), 400, 100, 400, 100, 3)


async def test_a_used_nic_number_is_409(door: httpx.AsyncClient) -> None:
    await create(door)
    await door.post("/guests/linux01/nic", json={"nic": {"vdev": "1000"}})
    refused(await door.post("/guests/linux01/nic", json={"nic": {"vdev": "1000"}}), 409, 409, 20, 409, 6)


async def test_pausing_a_guest_that_is_off_is_409(door: httpx.AsyncClient) -> None:
    await create(door)
    refused(await door.post("/guests/linux01/action", json={"action": "pause"}), 409, 409, 10, 409, 1)


@pytest.mark.parametrize(
    ("content", "named"),
    [
        (b"{not json", "Malformed JSON"),
        (b"", "Malformed JSON"),
        (b"\xff\xfe", "Malformed JSON"),
        (b"[" * 100_000, "Malformed JSON"),
        (b"[]", "object"),
        (b"{}", "'guest' is a required property"),
        (b'{"guest": {"userid": "@@@@@", "vcpus": 1, "memory": 1024}}', "field/attribute userid. Value: @@@@@"),
        (b'{"guest": {"userid": "abc", "vcpus": 1, "memory": 1024, "max_cpu": 65}}', "max_cpu. Value: 65"),
        (b'{"guest": {"userid": "abc", "vcpus": 1, "memory": 1024, "color": 1}}', "color"),
        (
            b'{"guest": {"userid": "abc", "vcpus": 1, "memory": 1024, "disk_list": [{"size": "1g", "vdev": "01000"}]}}',
            "vdev",
        ),
        (b'{"guest": {"userid": "abc", "vcpus": 1, "memory": 1024, "disk_list": [{"format": "xfs"}]}}', "size"),
    ],
)
async def test_a_malformed_body_is_400_in_json_and_names_the_fault(
    door: httpx.AsyncClient, zhcp: FakeZhcp, content: bytes, named: str
) -> None:
    answer = await door.post("/guests", content=content, headers={"content-type": "application/json"})
    assert named in refused(answer, 400, 400, 120, 400, 400)
    assert zhcp.ran == []


@pytest.mark.parametrize(
    ("guest", "named"),
    [
        ({"disk_list": [{"size": "0"}]}, "disk_list[0].size"),
        ({"disk_list": [{"size": "262669"}]}, "262668"),
        ({"disk_list": [{"size": "1t"}]}, "disk_list[0].size"),
        ({"disk_list": [{"size": "1", "disk_pool": "SCSI:X"}]}, "disk_pool"),
        ({"disk_list": [{"size": "1", "vdev": "100"}, {"size": "1", "vdev": "0100"}]}, "disk_list[1].vdev"),
        ({"max_mem": "1g"}, "memory"),
        ({"vcpus": 4, "max_cpu": 2}, "vcpus"),
    ],
)
async def test_values_out_of_range_are_400_and_name_field_and_limit(
    door: httpx.AsyncClient, zhcp: FakeZhcp, guest: dict[str, Any], named: str
) -> None:
    answer = await door.post("/guests", json={"guest": {**GUEST, **guest}})
    assert named in refused(answer, 400, 100, 400, 100, 3)
    assert zhcp.ran == []


async def test_actions_that_do_not_exist_or_are_not_built(door: httpx.AsyncClient) -> None:
    await create(door)
    path = "/guests/linux01/action"
    refused(await door.post(path, json={}), 400, 400, 120, 400, 400)
    refused(await door.post(path, json={"action": "client"}), 400, 400, 120, 400, 400)
    assert "timeout" in refused(
        await door.post(path, json={"action": "start", "timeout": "x"}), 400, 400, 120, 400, 400
    )
    assert "alldisks" in refused(
        await door.post(path, json={"action": "capture", "image": "x", "capture_type": "alldisks"}),
        501,
        501,
        10,
        501,
        1,
    )


async def test_unknown_paths_and_methods(door: httpx.AsyncClient) -> None:
    assert (await door.get("/guests/")).status_code == 404
    missing = await door.get("/nothing")
    assert missing.status_code == 404
    assert missing.json()["errors"][0]["status"] == 404
    wrong = await door.put("/guests")
    assert wrong.status_code == 405
    assert set(wrong.headers["allow"].split(", ")) == {"GET", "POST"}
    assert (await door.head("/guests")).status_code == 405
    assert (await door.get("/token")).status_code == 405


async def test_a_body_without_content_type_is_400(door: httpx.AsyncClient) -> None:
    answer = await door.post("/guests", content=b"{}")
    assert "content-type" in refused(answer, 400, 400, 120, 400, 400)


async def test_what_the_agent_refuses_in_a_deploy_gets_the_deploys_codes(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path
) -> None:
    await create(door)
    await add_image(door, sample)
    zhcp.refuse_next = Refused(502, "disk-io", "the disk cannot be linked")
    answer = await door.post("/guests/linux01/action", json={"action": "deploy", "image": "sample"})
    assert "cannot be linked" in refused(answer, 500, 300, 10, 300, 3)
    job = await node.journal.get(answer.headers["zvm-job"])
    assert [step.state for step in job.steps] == ["failed", "pending"]
    (row,) = await node.guests.rows()
    assert row["os_version"] == ""


async def test_deploy_is_refused_before_anything_runs(door: httpx.AsyncClient, zhcp: FakeZhcp, tmp_path: Path) -> None:
    await create(door)
    await add_image(door, image_file(tmp_path, "big.img", cylinders=11), "big")
    await add_image(door, image_file(tmp_path, "empty.img", cylinders=0), "empty")
    await add_image(door, image_file(tmp_path), "sample")
    path, deploy = "/guests/linux01/action", {"action": "deploy"}
    assert "11" in refused(await door.post(path, json={**deploy, "image": "big"}), 500, 300, 10, 300, 3)
    refused(await door.post(path, json={**deploy, "image": "empty"}), 500, 300, 10, 300, 3)
    missing = await door.post(path, json={**deploy, "image": "sample", "vdev": "0200"})
    refused(missing, 404, 300, 10, 300, 3)
    nofile = await door.post(path, json={**deploy, "image": "sample", "transportfiles": str(tmp_path / "none")})
    refused(nofile, 500, 300, 10, 300, 4)
    outside = await door.post(path, json={**deploy, "image": "sample", "transportfiles": "/etc/passwd"})
    assert "import_folders" in refused(outside, 500, 300, 10, 300, 4)
    other = await door.post(
        path, json={**deploy, "image": "sample", "transportfiles": "/x", "remotehost": "nova@198.51.100.7"}
    )
    assert "198.51.100.7" in refused(other, 500, 300, 10, 300, 4)
    await door.post(path, json={"action": "start"})
    assert "logged on" in refused(await door.post(path, json={**deploy, "image": "sample"}), 500, 300, 10, 300, 3)
    assert "disk.write_image" not in zhcp.kinds()


async def test_files_outside_the_folders_are_neither_imported_nor_handed_out(
    door: httpx.AsyncClient, tmp_path: Path
) -> None:
    image = {"image_name": "x", "url": "file:///etc/passwd", "image_meta": {"os_version": "rhel8"}}
    refused(await door.post("/images", json={"image": image}), 500, 300, 40, 300, 12)
    (tmp_path / "link").symlink_to("/etc/passwd")
    image["url"] = (tmp_path / "link").as_uri()
    refused(await door.post("/images", json={"image": image}), 500, 300, 40, 300, 12)
    for name in (
        "/etc/passwd",
        str(tmp_path / "state" / "files" / ".." / "manager.sqlite"),
        str(tmp_path / "state" / "connector.token"),
    ):
        refused(await door.post("/files", json={"source_file": name}), 500, 300, 60, 300, 2)


async def test_bytes_that_are_no_image_are_refused_and_not_kept(
    door: httpx.AsyncClient, node: Node, tmp_path: Path, sample: Path
) -> None:
    (tmp_path / "noise").write_bytes(b"\x00" * 600)
    image = {"image_name": "x", "url": (tmp_path / "noise").as_uri(), "image_meta": {"os_version": "rhel8"}}
    refused(await door.post("/images", json={"image": image}), 500, 300, 40, 300, 7)
    image |= {"url": sample.as_uri(), "image_meta": {"os_version": "rhel8", "md5sum": "0" * 32}}
    refused(await door.post("/images", json={"image": image}), 500, 300, 40, 300, 4)
    image |= {"url": sample.as_uri(), "image_meta": {"os_version": "windows11"}}
    assert "os_version" in refused(await door.post("/images", json={"image": image}), 400, 400, 120, 400, 400)
    assert [path for path in (node.settings.state / "images").rglob("*") if path.is_file()] == []


async def test_a_step_that_a_repetition_can_cure_is_tried_again(
    door: httpx.AsyncClient, node: Node, zhcp: FakeZhcp, sample: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zvmcloud.manager.jobs.remote._TRY_PAUSE", 0.01)
    await create(door)
    await add_image(door, sample)
    zhcp.refuse_next = Refused(502, "source-lost", "the image's server was lost", retryable=True)
    answer = await door.post("/guests/linux01/action", json={"action": "deploy", "image": "sample"})
    assert answer.status_code == 200
    job = await node.journal.get(answer.headers["zvm-job"])
    assert len(job.steps[0].calls) == 2, "the calls of both tries are kept"
    assert [entry.rpartition("/")[2] for entry in zhcp.ran[1:]] == [
        "write-image disk.write_image",
        "write-image.2 disk.write_image",
    ]


@pytest.mark.parametrize(
    ("guest", "named"),
    [
        ({"comments": ["x" * 71]}, "comments"),
        ({"account": "x" * 33}, "account"),
        ({"ipl_loadparam": "x" * 11}, "error: ipl_loadparam: "),
        ({"disk_list": [{"size": "1", "disk_pool": "ECKD:LONGPOOLNAME"}]}, "error: disk_list[0].disk_pool: "),
    ],
)
async def test_limits_of_the_agent_are_kept_before_a_job_begins(
    door: httpx.AsyncClient, node: Node, guest: dict[str, Any], named: str
) -> None:
    answer = await door.post("/guests", json={"guest": {**GUEST, "disk_list": [], **guest}})
    assert named in refused(answer, 400, 100, 400, 100, 3)
    assert await all_jobs(node) == []
