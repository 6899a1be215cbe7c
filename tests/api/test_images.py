"""Images of the native API: uploads, imports, what is said of them, who gets their bytes, and how they go."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import hashlib
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.native import As, ok, refused, token_of
from images.qcow2_files import build
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.core import IMAGE_TOKEN_HEADER
from zvmcloud.manager.node import Node

RAW = b"\xfa" * 510 + b"\x55\xaa" + bytes(range(256)) * 40


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def announced(name: str, data: bytes, **more: Any) -> dict[str, Any]:
    return {"name": name, "bytes": len(data), "sha256": sha(data), **more}


async def begun(client: httpx.AsyncClient, name: str, data: bytes, **more: Any) -> str:
    return str((await ok(await client.post("/uploads", json=announced(name, data, **more)), 201))["id"])


def part(data: bytes, start: int, end: int) -> dict[str, Any]:
    """A request for the bytes from `start` to before `end`."""
    return {"content": data[start:end], "headers": {"content-range": f"bytes {start}-{end - 1}/{len(data)}"}}


async def over(client: httpx.AsyncClient, job: str) -> dict[str, Any]:
    for _ in range(400):
        found: dict[str, Any] = await ok(await client.get(f"/jobs/{job}"))
        if found["state"] in {"done", "failed", "cancelled"}:
            return found
        await asyncio.sleep(0.05)
    raise AssertionError(found)


async def uploaded(client: httpx.AsyncClient, name: str, data: bytes, **more: Any) -> dict[str, Any]:
    """The job that checked an image that was sent in one request."""
    upload = await begun(client, name, data, **more)
    found = await ok(await client.put(f"/uploads/{upload}", content=data), 202)
    assert found["job"] == upload
    return await over(client, upload)


def left(node: Node) -> list[str]:
    """Every file below the folders of images and jobs."""
    found = [path for name in ("images", "jobs") for path in (node.settings.folder / name).rglob("*")]
    return sorted(str(path.relative_to(node.settings.folder)) for path in found if path.is_file())


def place(data: bytes) -> str:
    return f"images/{sha(data)[:2]}/{sha(data)}"


async def test_an_upload_is_taken_up_where_it_was_cut_off(admin: httpx.AsyncClient, node: Node) -> None:
    upload = await begun(admin, "web", RAW, os_version="RHEL9.2", tags={"env": "prod"})
    answer = await admin.put(f"/uploads/{upload}", **part(RAW, 0, 4000))
    assert (await ok(answer))["offset"] == 4000
    head = await admin.head(f"/uploads/{upload}")
    assert (head.headers["upload-offset"], head.headers["upload-length"], head.content) == ("4000", str(len(RAW)), b"")
    answer = await admin.put(f"/uploads/{upload}", **part(RAW, 4000, len(RAW)))
    assert (await ok(answer, 202))["job"] == upload
    job = await over(admin, upload)
    assert (job["state"], [step["name"] for step in job["steps"]]) == ("done", ["check", "record"])
    image = await ok(await admin.get("/images/web"))
    assert (image["sha256"], image["bytes"], image["format"]) == (sha(RAW), len(RAW), "raw")
    assert (image["disk_type"], image["blocks"], image["cylinders"]) == ("FBA", -(-len(RAW) // 512), None)
    assert (image["os_version"], image["tags"], image["public"]) == ("rhel9.2", {"env": "prod"}, False)
    assert left(node) == [place(RAW)]
    assert await ok(await admin.get("/uploads")) == []


async def test_a_connection_that_breaks_keeps_what_came(admin: httpx.AsyncClient) -> None:
    upload = await begun(admin, "web", RAW)

    async def broken() -> AsyncIterator[bytes]:
        yield RAW[:5000]
        raise ConnectionError

    with contextlib.suppress(ConnectionError):
        assert (await admin.put(f"/uploads/{upload}", content=broken())).status_code >= 400
    offset = int((await admin.head(f"/uploads/{upload}")).headers["upload-offset"])
    assert offset == 5000
    await ok(await admin.put(f"/uploads/{upload}", **part(RAW, offset, len(RAW))), 202)
    assert (await over(admin, upload))["state"] == "done"


@pytest.mark.parametrize(
    ("content", "header", "code", "status"),
    [
        (RAW + b"x", "", "bad-input", 400),
        (RAW[:100], f"bytes 0-4999/{len(RAW)}", "bad-input", 400),
        (RAW[:200], f"bytes 0-99/{len(RAW)}", "bad-input", 400),
        (RAW[:100], f"bytes 0-99/{len(RAW) + 1}", "bad-input", 400),
        (RAW, f"bytes 0-{len(RAW)}/*", "bad-input", 400),
        (RAW[:100], "bytes 99-0/*", "bad-input", 400),
        (RAW[:100], "bytes */100", "bad-input", 400),
        (RAW[:100], "items 0-99/100", "bad-input", 400),
        (RAW[:100], "bytes 100-199/*", "upload-offset", 409),
        (RAW[:100], f"bytes {10**18 - 200}-{10**18 - 101}/*", "upload-offset", 409),
    ],
)
async def test_bytes_that_are_not_the_announced_ones_change_nothing(
    admin: httpx.AsyncClient, content: bytes, header: str, code: str, status: int
) -> None:
    upload = await begun(admin, "web", RAW)
    headers = {"content-range": header} if header else {}
    await refused(await admin.put(f"/uploads/{upload}", content=content, headers=headers), status, code)
    assert (await ok(await admin.get(f"/uploads/{upload}")))["offset"] == 0


async def test_of_two_requests_at_once_one_writes(admin: httpx.AsyncClient) -> None:
    upload = await begun(admin, "web", RAW)
    going = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield RAW[:5000]
        await going.wait()
        yield RAW[5000:]

    first = asyncio.create_task(admin.put(f"/uploads/{upload}", content=slow()))
    for _ in range(100):
        await asyncio.sleep(0.02)
        if first.done():
            break
        answer = await admin.put(f"/uploads/{upload}", **part(RAW, 0, 10))
        if answer.json().get("code") == "upload-busy":
            break
    await refused(answer, 409, "upload-busy")
    await refused(await admin.delete(f"/uploads/{upload}"), 409, "upload-busy")
    going.set()
    await ok(await first, 202)
    assert (await over(admin, upload))["state"] == "done"


async def test_a_wrong_digest_keeps_nothing_and_frees_the_name(admin: httpx.AsyncClient, node: Node) -> None:
    upload = str((await ok(await admin.post("/uploads", json=announced("web", RAW) | {"sha256": "0" * 64}), 201))["id"])
    await ok(await admin.put(f"/uploads/{upload}", content=RAW), 202)
    job = await over(admin, upload)
    assert (job["state"], job["error"]["code"]) == ("failed", "digest-mismatch")
    assert left(node) == []
    await refused(await admin.get("/images/web"), 404, "image-unknown")
    await node.uploads.expire()
    assert (await uploaded(admin, "web", RAW))["state"] == "done"


@pytest.mark.parametrize("data", [b"KDMV" + bytes(1000), gzip.compress(b"")[:-3], b"<html>404</html>"])
async def test_what_is_no_image_is_refused_after_its_digest(admin: httpx.AsyncClient, node: Node, data: bytes) -> None:
    job = await uploaded(admin, "web", data)
    assert (job["state"], job["error"]["code"]) == ("failed", "image-format")
    assert left(node) == []


async def test_two_uploads_of_one_name_are_one_too_many(admin: httpx.AsyncClient) -> None:
    upload = await begun(admin, "web", RAW)
    await refused(await admin.post("/uploads", json=announced("web", b"other")), 409, "upload-exists")
    await ok(await admin.delete(f"/uploads/{upload}"), 204)
    await uploaded(admin, "web", RAW)
    await refused(await admin.post("/uploads", json=announced("web", b"other")), 409, "image-exists")


@pytest.mark.parametrize(
    "wrong",
    [
        {"name": "a/b"}, {"name": ".."}, {"name": "a\x00b"}, {"name": "a\nb"}, {"name": ""}, {"name": "x" * 256},
        {"bytes": 0}, {"bytes": -1}, {"bytes": "many"}, {"sha256": "0" * 63}, {"sha256": "g" * 64}, {"sha256": ""},
        {"architecture": "vax"}, {"os_version": "a b"}, {"os_version": "../x"}, {"tags": {"a": "x" * 256}},
        {"secret": 1}, {"comments": "x" * 256},
    ],
)  # fmt: skip
async def test_an_announcement_with_a_wrong_value_is_refused(
    admin: httpx.AsyncClient, node: Node, wrong: dict[str, Any]
) -> None:
    await refused(await admin.post("/uploads", json=announced("web", RAW) | wrong), 400, "bad-input")
    source = announced("web", RAW) | {"url": "http://127.0.0.1:9/x"} | wrong
    if wrong.get("bytes") != 0:
        await refused(await admin.post("/images", json=source), 400, "bad-input")
    assert left(node) == []
    assert await ok(await admin.get("/uploads")) == []


async def test_an_announcement_repeated_with_its_key_is_one_upload(admin: httpx.AsyncClient) -> None:
    headers = {"idempotency-key": "one"}
    both = [await admin.post("/uploads", json=announced("web", RAW), headers=headers) for _ in range(2)]
    assert both[0].json()["id"] == both[1].json()["id"]
    assert len(await ok(await admin.get("/uploads"))) == 1


async def test_a_file_with_two_names_is_kept_once_and_goes_with_the_last(admin: httpx.AsyncClient, node: Node) -> None:
    for name in ("one", "two"):
        assert (await uploaded(admin, name, RAW))["state"] == "done"
    assert left(node) == [place(RAW)]
    await ok(await admin.delete("/images/one"), 204)
    assert left(node) == [place(RAW)]
    await ok(await admin.delete("/images/two"), 204)
    assert left(node) == []


async def test_a_protected_image_stays(admin: httpx.AsyncClient) -> None:
    await uploaded(admin, "web", RAW, protected=True)
    await refused(await admin.delete("/images/web"), 409, "image-protected")
    assert (await ok(await admin.patch("/images/web", json={"protected": False})))["protected"] is False
    await ok(await admin.delete("/images/web"), 204)


async def test_what_is_said_of_an_image_is_changed_and_audited(admin: httpx.AsyncClient) -> None:
    await uploaded(admin, "web", RAW)
    wanted = {"os_version": "Ubuntu24.04", "comments": "golden", "boot": False, "tags": {"a": "b"}, "public": True}
    image = await ok(await admin.patch("/images/web", json=wanted))
    assert {name: image[name] for name in wanted} == wanted | {"os_version": "ubuntu24.04"}
    for wrong in ({"sha256": "0" * 64}, {"architecture": "vax"}, {"os_version": "a b"}, {"name": "other"}):
        await refused(await admin.patch("/images/web", json=wrong), 400, "bad-input")
    await refused(await admin.patch("/images/web", json={"project": "nothing"}), 404, "project-unknown")
    await ok(await admin.delete("/images/web"), 204)
    actions = [entry["action"] for entry in (await ok(await admin.get("/audit")))["items"]]
    assert {"image.upload", "image.change", "image.delete"} <= set(actions)


async def test_images_of_a_project_are_its_members(admin: httpx.AsyncClient, client: As) -> None:
    mine = client(await token_of(admin, "mia", "member", shop="member"))
    other = client(await token_of(admin, "otto", "member", lab="member"))
    reader = client(await token_of(admin, "rita", "reader", shop="reader"))
    assert (await uploaded(mine, "web", RAW, project="shop"))["state"] == "done"
    assert (await mine.get("/images/web/content")).content == RAW
    await refused(await reader.get("/images/web/content"), 403, "role")
    assert (await reader.get("/images/web")).status_code == 200
    for answer in (
        await other.get("/images/web"),
        await other.get("/images/web/content"),
        await other.delete("/images/web"),
        await other.patch("/images/web", json={"comments": "x"}),
    ):
        await refused(answer, 404, "image-unknown")
    await refused(await mine.patch("/images/web", json={"public": True}), 403, "role")
    await ok(await admin.patch("/images/web", json={"public": True}))
    assert (await other.get("/images/web/content")).content == RAW
    await refused(await other.delete("/images/web"), 403, "role")
    body = announced("x", RAW, project="shop")
    assert (await other.post("/uploads", json=body)).status_code == 404
    upload = await begun(mine, "next", RAW, project="shop")
    for method in ("GET", "PUT", "DELETE"):
        await refused(await other.request(method, f"/uploads/{upload}"), 404, "upload-unknown")
    assert await ok(await other.get("/uploads")) == []


async def test_a_quota_counts_each_file_once_and_uploads_under_way(admin: httpx.AsyncClient) -> None:
    data = RAW.ljust(2**20, b"x")
    await ok(await admin.post("/projects", json={"name": "shop", "quota": {"image_mb": 2}}), 201)
    assert (await uploaded(admin, "one", data, project="shop"))["state"] == "done"
    assert (await uploaded(admin, "same", data, project="shop"))["state"] == "done"
    await begun(admin, "two", data, project="shop")
    await refused(await admin.post("/uploads", json=announced("three", b"1", project="shop")), 403, "quota")
    await refused(await admin.delete("/projects/shop"), 409, "project-in-use")


async def test_bytes_are_served_by_range_and_by_name_only_to_those_who_may(
    admin: httpx.AsyncClient, client: As
) -> None:
    await uploaded(admin, "a b;c\u00e4", RAW)
    path = "/images/a%20b%3Bc%C3%A4/content"
    tag = f'"{sha(RAW)}"'
    whole = await admin.get(path)
    assert (whole.content, whole.headers["etag"], whole.headers["accept-ranges"]) == (RAW, tag, "bytes")
    assert "a%20b%3Bc%C3%A4" in whole.headers["content-disposition"]
    head = await admin.head(path)
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(len(RAW)))
    some = await admin.get(path, headers={"range": "bytes=100-199", "if-range": tag})
    assert (some.status_code, some.content) == (206, RAW[100:200])
    assert some.headers["content-range"] == f"bytes 100-199/{len(RAW)}"
    other = await admin.get(path, headers={"range": "bytes=100-199", "if-range": '"0"'})
    assert (other.status_code, other.content) == (200, RAW)
    assert (await admin.get(path, headers={"range": f"bytes={len(RAW)}-"})).status_code == 416
    for found in (path, "/images/nothing/content"):
        await refused(await client("").get(found), 401, "unauthorized")
        forged = {IMAGE_TOKEN_HEADER: "0" * 36 + "." + "0" * 64}
        await refused(await client("").get(found, headers=forged), 401, "unauthorized")


async def test_an_image_whose_bytes_are_gone_says_so(admin: httpx.AsyncClient, node: Node) -> None:
    await uploaded(admin, "web", RAW)
    (node.settings.folder / place(RAW)).unlink()
    await refused(await admin.get("/images/web/content"), 409, "image-missing")
    assert (await ok(await admin.get("/image-storage")))["missing"] == ["web"]


@pytest.mark.parametrize("data", [RAW, build(RAW), gzip.compress(RAW)])
async def test_an_image_with_its_facts_is_deployed_only_where_it_goes(
    admin: httpx.AsyncClient, node: Node, data: bytes
) -> None:
    await uploaded(admin, "web", data)
    image = await node.images.get("web")
    assert image.needs("FBA") == -(-len(RAW) // 512)
    assert image.needs("ECKD") is None
    disk = {"size": "10", "pool": "ECKD:POOL1", "boot": True}
    made = await ok(await admin.post("/systems/ZVM1/guests", json={"userid": "linux01", "disks": [disk]}), 202)
    assert (await over(admin, made["id"]))["state"] == "done"
    answer = await admin.post("/guests/ZVM1/LINUX01/deploy", json={"image": "web"})
    await refused(answer, 409, "disk-type")


async def test_a_full_disk_is_told_and_keeps_what_fitted(
    admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload = await begun(admin, "web", RAW)

    def full(file: Any, data: bytes) -> None:
        file.write(data[:1000])
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("zvmcloud.manager.images.uploads.write_all", full)
        await refused(await admin.put(f"/uploads/{upload}", content=RAW), 503, "file-unreadable")
    offset = (await ok(await admin.get(f"/uploads/{upload}")))["offset"]
    assert offset == 1000
    await ok(await admin.put(f"/uploads/{upload}", **part(RAW, offset, len(RAW))), 202)
    assert (await over(admin, upload))["state"] == "done"
    huge = announced("huge", RAW) | {"bytes": 2**39}
    await refused(await admin.post("/uploads", json=huge), 503, "file-unreadable")
    await refused(await admin.post("/uploads", json=announced("x", RAW) | {"bytes": 2**50}), 422, "image-size")


async def test_the_url_of_an_import_is_shown_without_its_secrets(
    admin: httpx.AsyncClient, stored: Any, node: Node
) -> None:
    source = {"name": "web", "url": "http://me:secret-word@127.0.0.1:9/x?key=secret-key", "sha256": sha(RAW)}
    job = await ok(await admin.post("/images", json=source), 202)
    await ok(await admin.post(f"/jobs/{job['id']}/cancel"))
    found = await over(admin, job["id"])
    assert found["state"] == "cancelled"
    assert "secret-" not in json.dumps(found)
    assert b"secret-" not in stored()
    assert left(node) == []


async def test_a_captured_image_belongs_to_the_guests_project_and_counts_there(
    admin: httpx.AsyncClient, client: As, zhcp: FakeZhcp, sample: Path, door: httpx.AsyncClient
) -> None:
    assert door, "the agent sends what it captures to the manager"
    await ok(await admin.post("/projects", json={"name": "shop", "quota": {"image_mb": 1}}), 201)
    sam = client(await token_of(admin, "sam", "member", shop="member"))
    stranger = client(await token_of(admin, "max", "member", other="member"))
    disks = [{"size": "10", "boot": True}]
    made = await ok(await sam.post("/systems/ZVM1/guests", json={"userid": "linux01", "disks": disks}), 202)
    assert (await over(sam, made["id"]))["state"] == "done"
    capture = "/guests/ZVM1/LINUX01/capture"
    body = {"image": "mine", "codec": "zstd", "os_version": "rhel9.2", "tags": {"env": "prod"}, "comments": "golden"}
    await refused(await sam.post(capture, json={**body, "public": True}), 403, "role")
    await refused(await sam.post(capture, json={**body, "tags": {"": "x"}}), 400, "bad-input")
    zhcp.captured = sample.read_bytes()
    job = await ok(await sam.post(capture, json=body), 202)
    ended = await over(sam, job["id"])
    assert (ended["state"], ended["steps"][0]["parameters"]["codec"]) == ("done", "zstd")
    image = await ok(await sam.get("/images/mine"))
    assert [image[name] for name in ("project", "public", "os_version", "comments", "architecture")] == [
        "shop", False, "rhel9.2", "golden", "s390x",
    ]  # fmt: skip
    assert (image["tags"], image["cylinders"], image["disk_type"]) == ({"env": "prod"}, 10, "ECKD")
    await refused(await stranger.get("/images/mine"), 404, "image-unknown")
    zhcp.captured = sample.read_bytes() + bytes(2 * 2**20)
    job = await ok(await sam.post(capture, json={"image": "second", "os_version": "rhel9.2"}), 403)
    assert job["code"] == "quota", "the project's one MiB is begun"
    await ok(await admin.patch("/projects/shop", json={"quota": {"image_mb": 2}}))
    job = await ok(await sam.post(capture, json={"image": "second", "os_version": "rhel9.2"}), 202)
    failed = await over(sam, job["id"])
    assert (failed["state"], "quota" in json.dumps(failed["error"])) == ("failed", True)
    await refused(await sam.get("/images/second"), 404, "image-unknown")
    told = (await sam.get("/events", params={"follow": False, "after": 0, "kinds": "image.*"})).text
    assert told.count("event: image.created") == 1


async def test_what_becomes_of_images_is_told(admin: httpx.AsyncClient) -> None:
    await uploaded(admin, "web", RAW)
    await ok(await admin.patch("/images/web", json={"tags": {"a": "b"}}))
    await ok(await admin.delete("/images/web"), 204)
    told = (await admin.get("/events", params={"follow": False, "after": 0, "kinds": "image.*"})).text
    found = [line.removeprefix("event: ") for line in told.splitlines() if line.startswith("event: ")]
    assert found == ["image.created", "image.changed", "image.deleted"]
