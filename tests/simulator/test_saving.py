"""A file that is loaded may be anybody's: nothing is written outside the folder, nothing is left when it is refused."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path

import pytest

from zvmcloud.simulator import saving
from zvmcloud.simulator.errors import ModelError


def _entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o600) -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname, entry.mode, entry.size = kind, link, mode, 4 if kind == tarfile.REGTYPE else 0
    return entry


def _saved(path: Path, *entries: tarfile.TarInfo, number: object = saving.FORMAT) -> Path:
    label = json.dumps({"format": number}).encode()
    first = tarfile.TarInfo("zvm-simulator.json")
    first.size = len(label)
    with tarfile.open(path, "w") as archive:
        archive.addfile(first, io.BytesIO(label))
        for entry in entries:
            archive.addfile(entry, io.BytesIO(b"data"))
    return path


@pytest.mark.parametrize(
    "entry",
    [
        _entry("../outside"),
        _entry("disks/../../outside"),
        _entry("/tmp/zvmcloud-outside"),
        _entry("link", tarfile.SYMTYPE, "/etc"),
        _entry("hard", tarfile.LNKTYPE, "/etc/passwd"),
        _entry("pipe", tarfile.FIFOTYPE),
        _entry("folder", tarfile.DIRTYPE),
    ],
    ids=lambda entry: entry.name,
)
@pytest.mark.parametrize("there", [False, True])
def test_what_no_saved_system_holds_is_refused_and_nothing_is_left(
    tmp_path: Path, entry: tarfile.TarInfo, there: bool
) -> None:
    source, state = _saved(tmp_path / "saved.tar", _entry("disks/good"), entry), tmp_path / "state"
    if there:
        state.mkdir()
    with pytest.raises(ModelError, match="which no saved system does"):
        saving.load(source, state)
    assert sorted(path.name for path in tmp_path.iterdir()) == (["saved.tar", "state"] if there else ["saved.tar"])
    assert not there or list(state.iterdir()) == []
    assert not Path("/tmp/zvmcloud-outside").exists()


def test_files_are_their_owners_only_whatever_the_file_says(tmp_path: Path) -> None:
    saving.load(_saved(tmp_path / "saved.tar", _entry("disks/good", mode=0o4777)), tmp_path / "state")
    made = tmp_path / "state" / "disks" / "good"
    assert (made.read_bytes(), made.stat().st_mode & 0o7777) == (b"data", 0o600)


@pytest.mark.parametrize("damage", ["cut off", "empty", "no tar", "no label", "format"])
def test_what_is_no_saved_system_says_so_and_nothing_is_left(tmp_path: Path, damage: str) -> None:
    source = _saved(tmp_path / "saved.tar", _entry("disks/good"), number=99 if damage == "format" else 1)
    if damage == "cut off":
        source.write_bytes(source.read_bytes()[: 512 * 3 + 100])
    elif damage in ("empty", "no tar"):
        source.write_bytes(b"" if damage == "empty" else b"nonsense" * 1000)
    elif damage == "no label":
        with tarfile.open(source, "w") as archive:
            archive.addfile(_entry("disks/good"), io.BytesIO(b"data"))
    with pytest.raises(ModelError, match=r"is not a saved system|it does not begin with a zvm-simulator\.json"):
        saving.load(source, tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["saved.tar"]
