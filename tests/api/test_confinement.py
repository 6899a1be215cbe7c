"""Files that clients name: no path leads out of the folders, whatever it looks like, whoever changes it meanwhile."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import Any

import httpx
import pytest

from api.test_connector_road import add_image, create
from manager.fake_zhcp import FakeZhcp
from zvmcloud.manager.confined import below, existing
from zvmcloud.manager.node import Node

SECRET = b"the secret of another folder"


@pytest.fixture
def secret(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file that no setting allows to be read."""
    file = tmp_path_factory.mktemp("elsewhere") / "secret"
    file.write_bytes(SECRET)
    return file


@pytest.fixture
def files(node: Node, secret: Path) -> Path:
    """The folder of uploaded files, with traps that somebody put there."""
    folder = node.settings.state / "files"
    (folder / "imported").mkdir(parents=True)
    (folder / "link").symlink_to(secret)
    (folder / "way").symlink_to(secret.parent)
    (folder / "circle").symlink_to(folder / "circle")
    os.mkfifo(folder / "pipe")
    (folder / "good").write_bytes(b"good")
    return folder


def attacks(files: Path, secret: Path) -> list[str]:
    up = os.path.relpath(secret, files)
    return [
        str(secret),
        f"{files}/{up}",
        f"{files}/imported/../{up}",
        f"{files}/link",
        f"{files}/way/secret",
        f"{files}/./way/../{secret.parent.name}/{secret.name}",
        f"{files}/circle",
        f"{files}/pipe",
        f"{files}",
        f"{files}/",
        f"{files}x/secret",
        f"{files}/imported/%2e%2e/{up}",
        f"{files}/{up.replace('/', '%2f')}",
        f"{files}/good\0.txt",
        f"{files}/{'a' * 5000}",
        "//etc/passwd",
        "/proc/self/environ",
        "/dev/zero",
        "etc/passwd",
        "",
    ]  # fmt: skip


async def test_nothing_is_handed_out_but_what_was_uploaded(door: httpx.AsyncClient, files: Path, secret: Path) -> None:
    for path in attacks(files, secret):
        for name in (path, f"file://{path}"):
            answer = await door.post("/files", json={"source_file": name})
            assert SECRET not in answer.content, name
            assert answer.status_code in {400, 500}, name
            assert answer.json()["rs"] in {2, 400}, name
    good = await door.post("/files", json={"source_file": str(files / "good")})
    assert (good.status_code, good.content) == (200, b"good")
    assert good.headers["content-type"] == "application/octet-stream"


async def test_no_image_comes_from_elsewhere(door: httpx.AsyncClient, node: Node, files: Path, secret: Path) -> None:
    for path in attacks(files, secret):
        image = {"image_name": "stolen", "url": f"file://{path}", "image_meta": {"os_version": "rhel8"}}
        answer = await door.post("/images", json={"image": image})
        assert answer.status_code in {400, 500}, path
        assert answer.json()["overallRC"] in {300, 400, 100}, path
    assert [path for path in (node.settings.state / "images").rglob("*") if path.is_file()] == []


async def test_no_config_drive_comes_from_elsewhere(
    door: httpx.AsyncClient, zhcp: FakeZhcp, files: Path, secret: Path, sample: Path
) -> None:
    await create(door)
    await add_image(door, sample)
    for path in attacks(files, secret):
        body = {"action": "deploy", "image": "sample", "transportfiles": path or "/"}
        answer = await door.post("/guests/linux01/action", json=body)
        assert answer.status_code in {400, 404, 500}, path
    assert "reader.punch" not in zhcp.kinds()
    assert "disk.write_image" not in zhcp.kinds(), "nothing is written before the files are there"


async def test_no_image_is_written_elsewhere(
    door: httpx.AsyncClient, node: Node, files: Path, secret: Path, sample: Path, tmp_path: Path
) -> None:
    await add_image(door, sample)
    (tmp_path / "home").mkdir()
    (files / "house").symlink_to(tmp_path / "home")
    for path in (*attacks(files, secret), f"{files}/house/new", f"{files}/../new", f"{files}/%2e%2e/new"):
        location: dict[str, Any] = {"location": {"dest_url": f"file://{path}"}}
        answer = await door.put("/images/sample", json=location)
        assert answer.status_code in {400, 409, 500}, path
    assert secret.read_bytes() == SECRET
    assert (files / "good").read_bytes() == b"good"
    assert list((tmp_path / "home").iterdir()) == []
    assert not (node.settings.state / "new").exists()


def test_whoever_swaps_a_file_for_a_link_meanwhile_gains_nothing(tmp_path: Path) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret"
    (root / "a").mkdir(parents=True)
    (root / "a" / "file").write_bytes(b"good")
    secret.write_bytes(SECRET)
    found = existing(str(root / "a" / "file"), [root])
    assert found is not None
    (root / "a" / "file").unlink()
    (root / "a" / "file").symlink_to(secret)
    with pytest.raises(OSError, match="file"):
        found.open()
    (root / "a" / "file").unlink()
    (root / "a").rmdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "file").write_bytes(SECRET)
    (root / "a").symlink_to(tmp_path / "b")
    with pytest.raises(OSError, match="a"):
        found.open()
    (root / "a").unlink()
    (root / "a").mkdir()
    os.mkfifo(root / "a" / "file")
    with pytest.raises(OSError, match="regular"):
        found.open()


def test_a_race_of_a_second_shows_the_secret_never(tmp_path: Path) -> None:
    root, secret = tmp_path / "root", tmp_path / "secret"
    root.mkdir()
    secret.write_bytes(SECRET)
    (tmp_path / "link").symlink_to(secret)
    over = threading.Event()

    def swap() -> None:
        while not over.is_set():
            (root / "new").write_bytes(b"good")
            (root / "new").replace(root / "file")
            (root / "trap").symlink_to(secret)
            (root / "trap").replace(root / "file")

    attacker = threading.Thread(target=swap)
    attacker.start()
    seen: set[bytes] = set()
    try:
        for _ in range(2000):
            found = existing(str(root / "file"), [root])
            if found is None:
                continue
            try:
                with found.open() as file:
                    seen.add(file.read())
            except OSError:
                continue
    finally:
        over.set()
        attacker.join()
    assert seen == {b"good"}


def test_a_folder_is_not_below_itself_nor_is_one_whose_name_begins_alike(tmp_path: Path) -> None:
    (tmp_path / "rootx").mkdir()
    (tmp_path / "root").mkdir()
    assert below(str(tmp_path / "root"), [tmp_path / "root"]) is None
    assert below(str(tmp_path / "rootx" / "file"), [tmp_path / "root"]) is None
    assert below(str(tmp_path / "root" / "new"), [tmp_path / "root"]) is not None
