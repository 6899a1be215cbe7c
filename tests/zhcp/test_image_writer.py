"""Writing images: a whole image is on the disk to the last byte, a bad one leaves nothing that boots."""

import gzip
import hashlib
from pathlib import Path

import pytest

from zvmcloud.images import header, sample
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.images.header import ImageHeader, ImageKind
from zvmcloud.images.tracks import Record, Track
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.image_writer import ImageWriter, Written
from zvmcloud.zhcp.sources import Digest


def write(disk: Path, kind: str, data: bytes, step: int = 100_000, *, sha256: str = "", size: int = 0) -> Written:
    writer = ImageWriter(disk, kind, Digest("sha256", sha256 or hashlib.sha256(data).hexdigest()), size or len(data))
    try:
        for at in range(0, len(data), step):
            writer.feed(data[at : at + step])
        return writer.finish()
    except BaseException:
        writer.abort()
        raise
    finally:
        writer.close()


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> sample.WrittenImage:
    return sample.write_sample_image(tmp_path_factory.mktemp("image") / "sample", cylinders=3)


def used_disk(path: Path, cylinders: int) -> None:
    with EckdDisk.create(path, cylinders) as disk:
        for cylinder in range(cylinders):
            disk.write_track(cylinder, 3, Track((Record(1, b"", b"old content"),)))


@pytest.mark.parametrize("step", [1 << 20, 5000, 511])
def test_an_image_replaces_what_was_on_a_larger_disk(tmp_path: Path, image: sample.WrittenImage, step: int) -> None:
    used_disk(tmp_path / "d", 8)
    written = write(tmp_path / "d", "ECKD", image.path.read_bytes(), step)
    assert (written.units, written.disk_units, written.bootable) == (3, 8, True)
    with EckdDisk(tmp_path / "d") as disk:
        assert disk.sha256(3) == image.content_sha256
        assert all(cylinder < 3 for cylinder, _, _ in disk.used_tracks())
        system = sample.read_system(disk)
        assert system is not None
        assert system.known
    assert (tmp_path / "d").stat().st_blocks * 512 < 2_000_000


def damaged(data: bytes) -> bytes:
    return data[:100_000] + bytes(64) + data[100_064:]


@pytest.mark.parametrize(
    ("case", "code"),
    [
        ("cut", "image-truncated"),
        ("cut, length unknown", "image-damaged"),
        ("longer", "image-damaged"),
        ("damaged", "image-damaged"),
        ("other digest", "digest-mismatch"),
        ("half a header", "image-truncated"),
        ("another product's image", "image-format"),
        ("qcow2 inside gzip", "image-format"),
        ("gzip inside gzip", "image-format"),
    ],
)
def test_a_bad_image_leaves_a_disk_that_does_not_boot(
    tmp_path: Path, image: sample.WrittenImage, case: str, code: str
) -> None:
    good = image.path.read_bytes()
    data, size, sha256 = {
        "cut": (good[:-1], len(good), ""),
        "cut, length unknown": (good[:-1], len(good) - 1, ""),
        "longer": (good + b"x", len(good), ""),
        "damaged": (damaged(good), len(good), image.sha256),
        "other digest": (good, len(good), "0" * 64),
        "half a header": (good[:300], len(good), ""),
        "another product's image": (b"KDMV" + bytes(2000), 2004, ""),
        "qcow2 inside gzip": (gzip.compress(b"QFI\xfb" + bytes(2000)), 0, ""),
        "gzip inside gzip": (gzip.compress(gzip.compress(good)), 0, ""),
    }[case]
    EckdDisk.create(tmp_path / "d", 4).close()
    with pytest.raises(AgentError) as caught:
        write(tmp_path / "d", "ECKD", data, sha256=sha256, size=size)
    assert caught.value.problem.code == code
    assert caught.value.problem.status == 422
    with EckdDisk(tmp_path / "d") as disk:
        assert sample.read_system(disk) is None
        assert list(disk.used_tracks()) == []


@pytest.mark.parametrize(
    ("cylinders", "size", "code"), [(2, 3, "image-too-large"), (4, 0, "image-empty")], ids=["too large", "empty"]
)
def test_an_image_that_does_not_fit_changes_nothing(
    tmp_path: Path, image: sample.WrittenImage, cylinders: int, size: int, code: str
) -> None:
    data = header.render(ImageHeader(ImageKind.CKD, size)) + image.path.read_bytes()[512:]
    used_disk(tmp_path / "d", cylinders)
    before = (tmp_path / "d").read_bytes()
    with pytest.raises(AgentError) as caught:
        write(tmp_path / "d", "ECKD", data)
    assert caught.value.problem.code == code
    assert (tmp_path / "d").read_bytes() == before


def test_an_eckd_image_does_not_go_onto_an_fba_disk(tmp_path: Path, image: sample.WrittenImage) -> None:
    FbaDisk.create(tmp_path / "d", 4096).close()
    with pytest.raises(AgentError) as caught:
        write(tmp_path / "d", "FBA", image.path.read_bytes())
    assert caught.value.problem.code == "image-kind-mismatch"


def test_more_tracks_than_the_header_says_are_refused(tmp_path: Path, image: sample.WrittenImage) -> None:
    data = header.render(ImageHeader(ImageKind.CKD, 2)) + image.path.read_bytes()[512:]
    EckdDisk.create(tmp_path / "d", 4).close()
    with pytest.raises(AgentError, match="more tracks than the 2 cylinders"):
        write(tmp_path / "d", "ECKD", data)


def test_an_uncompressed_fba_disk_image_is_written_with_its_first_blocks_last(tmp_path: Path) -> None:
    content = b"\0\x08" + bytes(510) + b"".join(bytes([n]) * 512 for n in range(1, 200))
    data = header.render(ImageHeader(ImageKind.FBA_DISK, 200, 0)) + content
    with FbaDisk.create(tmp_path / "d", 4096) as disk:
        disk.write(4000, b"old " * 128)
    written = write(tmp_path / "d", "FBA", data, 700)
    assert (written.units, written.bootable) == (200, True)
    with FbaDisk(tmp_path / "d") as disk:
        assert disk.read(0, 200) == content
        assert disk.read(200, 3896) == bytes(3896 * 512)


def test_an_fba_partition_image_gets_a_partition_around_it(tmp_path: Path) -> None:
    content = b"".join(bytes([n]) * 512 for n in range(100))
    data = header.render(ImageHeader(ImageKind.FBA_PARTITION, 100, 0)) + content
    FbaDisk.create(tmp_path / "d", 4096).close()
    written = write(tmp_path / "d", "FBA", data)
    assert not written.bootable
    with FbaDisk(tmp_path / "d") as disk:
        assert disk.read(0, 1)[510:] == b"\x55\xaa"
        assert disk.read(2048, 100) == content
