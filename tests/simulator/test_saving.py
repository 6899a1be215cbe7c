"""A file that is loaded may be anybody's: nothing is written outside the folder, nothing is left when it is refused."""

from __future__ import annotations

import gzip
import io
import json
import os
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


@pytest.mark.parametrize("filters", [True, False])
def test_files_are_their_owners_only_whatever_the_file_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, filters: bool
) -> None:
    """Python 3.11.2 has no filters."""
    if not filters and hasattr(tarfile, "data_filter"):
        monkeypatch.delattr(tarfile, "data_filter")
        monkeypatch.setattr(tarfile.TarFile, "extraction_filter", staticmethod(tarfile.fully_trusted_filter))
    entry = _entry("disks/good", mode=0o4777)
    entry.uid = entry.gid = 12345
    saving.load(_saved(tmp_path / "saved.tar", entry), tmp_path / "state")
    made = tmp_path / "state" / "disks" / "good"
    status = made.stat()
    assert (made.read_bytes(), status.st_mode & 0o7777, status.st_uid) == (b"data", 0o600, os.getuid())


@pytest.mark.parametrize("moment", ["9" * 40, "9" * 5000])
def test_a_moment_that_no_file_has_is_refused_and_nothing_is_left(tmp_path: Path, moment: str) -> None:
    entry = _entry("disks/good")
    entry.pax_headers = {"ZVMCLOUD.mtime_ns": moment}
    with pytest.raises(ModelError, match="is not a saved system"):
        saving.load(_saved(tmp_path / "saved.tar", entry), tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["saved.tar"]


@pytest.mark.parametrize("damage", ["cut off", "cut off, packed", "empty", "no tar", "no label", "format"])
def test_what_is_no_saved_system_says_so_and_nothing_is_left(tmp_path: Path, damage: str) -> None:
    source = _saved(tmp_path / "saved.tar", _entry("disks/good"), number=99 if damage == "format" else 1)
    if damage == "cut off":
        source.write_bytes(source.read_bytes()[: 512 * 3 + 100])
    elif damage == "cut off, packed":
        source.write_bytes(gzip.compress(source.read_bytes())[:100])
    elif damage in ("empty", "no tar"):
        source.write_bytes(b"" if damage == "empty" else b"nonsense" * 1000)
    elif damage == "no label":
        with tarfile.open(source, "w") as archive:
            archive.addfile(_entry("disks/good"), io.BytesIO(b"data"))
    with pytest.raises(ModelError, match=r"is not a saved system|it does not begin with a zvm-simulator\.json"):
        saving.load(source, tmp_path / "state")
    assert [path.name for path in tmp_path.iterdir()] == ["saved.tar"]
