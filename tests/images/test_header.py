"""The image file's header: the forms in the field are read, limits are named."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.images import header
from zvmcloud.images.header import HeaderError, ImageHeader, ImageKind


@given(st.sampled_from(ImageKind), st.integers(0, 262668), st.integers(0, 9))
def test_a_header_is_read_as_written(kind: ImageKind, size: int, level: int) -> None:
    written = ImageHeader(kind, size, level)
    assert header.parse(header.render(written) + b"\x1f\x8b") == written


def test_the_example_of_the_field_is_read_and_rendered() -> None:
    text = b"xCAT CKD Disk Image:        3338 CYL HLen: 0055 GZIP: 6"
    found = header.parse(text.ljust(512) + b"\x1f\x8b")
    assert found == ImageHeader(ImageKind.CKD, 3338, 6)
    assert found.disk_size_units == "3338:CYL"
    assert header.render(found) == text.ljust(512)


def test_the_dummy_image_of_55_bytes_is_read() -> None:
    found = header.parse(b"z/VM CKD Disk Image:           0 CYL HLen: 0055 GZIP: 0")
    assert (found.size, found.body_offset) == (0, 55)


def test_the_first_version_has_no_lengths() -> None:
    text = b"xCAT FBA Part Image:      204800 BLK"
    assert header.parse(text + b"\x1f\x8b\x08" + bytes(600)) == ImageHeader(ImageKind.FBA_PARTITION, 204800, 6, 1, 36)
    assert header.parse(text.ljust(512) + b"\x1f\x8b").body_offset == 512


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("", "tag"),
        ("xCAT ABC Disk Image:        3338 CYL HLen: 0055 GZIP: 6", "tag"),
        ("xCAT FCP Disk Image:        3338 CYL HLen: 0055 GZIP: 6", "unit"),
        ("QFI\xfb", "tag"),
        ("xCAT CKD Disk Image:          -3 CYL HLen: 0055 GZIP: 6", "size"),
        ("xCAT CKD Disk Image:      262669 CYL HLen: 0055 GZIP: 6", "size"),
        ("xCAT CKD Disk Image:        3338 MEG HLen: 0055 GZIP: 6", "size"),
        ("xCAT CKD Disk Image:        3338 BLK HLen: 0055 GZIP: 6", "unit"),
        ("xCAT CKD Disk Image:        3338 CYL HLen: 00x5 GZIP: 6", "hlen"),
        ("xCAT CKD Disk Image:        3338 CYL HLen: 0600 GZIP: 6", "hlen"),
        ("xCAT CKD Disk Image:        3338 CYL garbage", "hlen"),
    ],
)
def test_a_bad_header_names_the_field(text: str, field: str) -> None:
    with pytest.raises(HeaderError) as caught:
        header.parse(text.encode("latin-1").ljust(514))
    assert caught.value.field == field


@given(st.binary(max_size=600))
def test_garbage_is_a_header_error(garbage: bytes) -> None:
    with pytest.raises(HeaderError):
        header.parse(garbage)
