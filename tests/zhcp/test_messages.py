"""Operations: what goes over the wire is read strictly, and every refusal names the field and its limit."""

import dataclasses
import traceback
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zvmcloud.zhcp import fields
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import FieldError, Json
from zvmcloud.zhcp.guest_messages import CreateGuest
from zvmcloud.zhcp.messages import OPERATIONS, operation_json, parse_operation
from zvmcloud.zhcp.operations.handlers import HANDLERS
from zvmcloud.zhcp.operations.reader import decoded
from zvmcloud.zhcp.reader_messages import PunchFiles, ReaderFile

GUEST: dict[str, Any] = {
    "userid": "linux01",
    "vcpus": 2,
    "memory_mb": 2048,
    "disks": [{"vdev": "100", "size_units": 10, "pool": "pool1", "boot": True}, {"vdev": "0200", "vdisk_blocks": 2048}],
}


def test_every_kind_has_a_handler() -> None:
    assert set(OPERATIONS) == set(HANDLERS)


def test_userids_and_device_numbers_become_upper_case_and_padded() -> None:
    guest = parse_operation("guest.create", GUEST)
    assert isinstance(guest, CreateGuest)
    assert guest.userid == "LINUX01"
    assert guest.disks == (
        NewDisk(vdev="0100", size_units=10, type="ECKD", pool="POOL1", boot=True),
        NewDisk(vdev="0200", vdisk_blocks=2048),
    )
    assert parse_operation("guest.create", operation_json(guest)) == guest


def test_the_class_of_a_reader_file_keeps_its_name_on_the_wire() -> None:
    files = PunchFiles(userid="LINUX01", files=(ReaderFile(name="a", type="sh", class_="X", data="eA=="),))
    written = operation_json(files)
    expected: Json = {"userid": "LINUX01", "files": [{"data": "eA==", "name": "a", "type": "sh", "class": "X"}]}
    assert written == expected
    assert parse_operation("reader.punch", written) == files


@pytest.mark.parametrize(
    ("kind", "change", "field"),
    [
        ("guest.create", {"userid": "toolongid"}, "parameters.userid"),
        ("guest.create", {"userid": "A B"}, "parameters.userid"),
        ("guest.create", {"userid": 7}, "parameters.userid"),
        ("guest.create", {"vcpus": 0}, "parameters.vcpus"),
        ("guest.create", {"vcpus": True}, "parameters.vcpus"),
        ("guest.create", {"vcpus": 65}, "parameters.vcpus"),
        ("guest.create", {"memory_mb": 1.5}, "parameters.memory_mb"),
        ("guest.create", {"share": "NONSENSE"}, "parameters.share"),
        ("guest.create", {"colour": "red"}, "parameters.colour"),
        ("guest.create", {"ipl_parm": "a\nb"}, "parameters.ipl_parm"),
        ("guest.create", {"comments": ["x\nUSER EVIL"]}, "parameters.comments[0]"),
        ("guest.create", {"disks": {}}, "parameters.disks"),
        ("guest.create", {"disks": [{"vdev": "100", "size_units": 262669, "pool": "P"}]}, "disks[0].size_units"),
        ("guest.create", {"disks": [{"vdev": "100", "size_units": 1}]}, "disks[0].pool"),
        ("guest.create", {"disks": [{"vdev": "1g", "size_units": 1, "pool": "P"}]}, "parameters.disks[0].vdev"),
        ("guest.create", {"disks": [{"vdev": "100", "vdisk_blocks": 1}] * 2}, "disks[1].vdev"),
        ("guest.create", {"dedicate": [["1", "2", "3"]]}, "parameters.dedicate[0]"),
        ("guest.start", {"userid": None}, "parameters.userid"),
        ("guest.explode", {}, "kind"),
        (None, {}, "kind"),
    ],
)
def test_a_refusal_names_the_field(kind: str | None, change: dict[str, Any], field: str) -> None:
    base = GUEST if kind == "guest.create" else {}
    with pytest.raises(FieldError) as caught:
        parse_operation(kind, {**base, **change})
    assert caught.value.field == field
    assert caught.value.problem.status == 400
    assert field in caught.value.problem.detail


def test_a_missing_field_is_named() -> None:
    with pytest.raises(FieldError, match=r"parameters\.vcpus: None given, it is required"):
        parse_operation("guest.create", {"userid": "A"})


def test_secrets_are_not_in_the_representation() -> None:
    guest = parse_operation("guest.create", {**GUEST, "password": "GEHEIM"})
    assert "GEHEIM" not in repr(guest)
    image = parse_operation(
        "disk.write_image",
        {
            "userid": "A",
            "vdev": "100",
            "source": {"url": "http://a:GEHEIM@h/i", "sha256": "0" * 64, "headers": {"x-token": "GEHEIM"}},
        },
    )
    assert "GEHEIM" not in repr(image)


FILE = {"url": "https://192.0.2.1/k", "sha256": "0" * 64}
BOOT = {"userid": "LINUX01", "kernel": FILE, "initrd": FILE}


@pytest.mark.parametrize(
    ("kind", "parameters", "field"),
    [
        ("guest.change", {"userid": "LINUX01", "password": "GEHEIM1TOOLONG"}, "parameters.password"),
        ("guest.change", {"userid": "LINUX01", "password": {"GEHEIM": 1}}, "parameters.password"),
        ("guest.config_drive", {"userid": "LINUX01", "hostname": "a", "user_data": "GEHEIM-"}, "parameters.user_data"),
        ("guest.netboot", {**BOOT, "initrd": {**FILE, "url": "ssh://a:GEHEIM@b"}}, "parameters.initrd.url"),
        ("guest.netboot", {**BOOT, "initrd": {"url": "https://a:GEHEIM@b/i"}}, "parameters.initrd.sha256"),
        ("guest.netboot", {**BOOT, "kernel": {**FILE, "data": "GEHEIM"}}, "parameters.kernel.url"),
        ("guest.netboot", {**BOOT, "kernel": {**FILE, "headers": {"a": "GEHEIM\n"}}}, "parameters.kernel.headers.a"),
        ("guest.netboot", {**BOOT, "parm": "vncpassword=GEHEIM\n"}, "parameters.parm"),
        ("guest.netboot", {**BOOT, "kernel": {"uri": "https://a:GEHEIM@b/k"}}, "parameters.kernel.uri"),
        ("guest.change", {"userid": "LINUX01", "pasword": "GEHEIM"}, "parameters.pasword"),
        ("guest.netboot", {**BOOT, "repository": "https://GEHEIM@"}, "parameters.repository"),
        ("guest.netboot", {**BOOT, "profile": "https://b:GEHEIM/"}, "parameters.profile"),
        ("guest.netboot", {**BOOT, "method": "nfsroot", "repository": "https://GEHEIM@b/"}, "parameters.repository"),
    ],
)
def test_a_refusal_does_not_show_what_may_be_a_secret(kind: str, parameters: dict[str, Any], field: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_operation(kind, parameters)
    assert caught.value.field == field
    assert "GEHEIM" not in "".join(traceback.format_exception(caught.value, limit=0))


def test_a_file_that_is_no_base64_is_not_shown() -> None:
    with pytest.raises(FieldError) as caught:
        decoded("files[0].data", "GEHEIM0000000")
    assert caught.value.field == "files[0].data"
    assert "GEHEIM" not in caught.value.problem.detail


def test_json_forms_are_those_of_the_values() -> None:
    with pytest.raises(TypeError):
        fields.write(object())


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=300)
@given(st.data())
def test_whatever_is_sent_is_an_operation_or_a_refusal_that_names_a_field(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from(sorted(OPERATIONS)))
    names = [item.name for item in dataclasses.fields(OPERATIONS[kind])]  # type: ignore[arg-type]
    parameters = data.draw(st.dictionaries(st.sampled_from(names) | st.text(max_size=6), VALUES, max_size=len(names)))
    if data.draw(st.booleans()):
        parameters = {"userid": "LINUX01", "vdev": "0100", "name": "VSW1", **parameters}
        parameters = {name: value for name, value in parameters.items() if name in names}
    refused: FieldError | None = None
    try:
        operation = parse_operation(kind, parameters)
    except FieldError as error:
        refused = error
    if refused is not None:
        assert refused.problem.status == 400
        assert refused.field
        assert refused.problem.detail.encode()
    else:
        assert parse_operation(kind, operation_json(operation)) == operation
