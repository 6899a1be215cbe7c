"""The config drive: every form a client may send is read, and damage is one typed error."""

import io
import json

import pycdlib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zvmcloud.images import configdrive, doscript, netfiles
from zvmcloud.images.configdrive import ConfigDriveError, Network

NETWORKS = (
    Network("192.0.2.10/24", "192.0.2.1", "02:00:00:12:34:56", "eth0", 1500, 0, ("9.9.9.9",)),
    Network("2001:db8::5/64", "2001:db8::1", "02:00:00:12:34:57", "eth1", 1500, 0, ("9.9.9.9",)),
)
TREE = configdrive.tree("web01.example.org", NETWORKS, user_data=b"#cloud-config\n", uuid="u-1")


@pytest.mark.parametrize(
    "data",
    [
        configdrive.write_iso(TREE),
        configdrive.write_tar(TREE),
        configdrive.write_tar(TREE, gzip=True),
    ],
    ids=["iso", "tar", "tgz"],
)
def test_hostname_addresses_and_user_data_are_read(data: bytes) -> None:
    drive = configdrive.read(data)
    assert (drive.hostname, drive.uuid, drive.user_data) == ("web01.example.org", "u-1", b"#cloud-config\n")
    assert drive.networks == NETWORKS
    assert drive.label == ("config-2" if configdrive.is_iso(data) else "")


def test_an_iso_without_extensions_and_with_metadata_at_the_top_is_read() -> None:
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=4, vol_ident="cfg")
    text = json.dumps({"local-hostname": "plain"}).encode()
    iso.add_fp(io.BytesIO(text), len(text), "/meta_data.json")
    out = io.BytesIO()
    iso.write_fp(out)
    assert configdrive.read(out.getvalue()).hostname == "plain"


def test_files_named_in_the_metadata_are_injected() -> None:
    meta = {"hostname": "h", "files": [{"path": "/etc/motd", "content_path": "/content/0000"}]}
    tree = {
        "openstack/latest/meta_data.json": json.dumps(meta).encode(),
        "openstack/content/0000": b"hello",
    }
    assert configdrive.read(configdrive.write_iso(tree)).injected == {"/etc/motd": b"hello"}


@pytest.mark.parametrize(
    ("tree", "member"),
    [
        ({"a": b"b"}, ""),
        ({"openstack/latest/meta_data.json": b"{"}, "openstack/latest/meta_data.json"),
        ({"openstack/latest/meta_data.json": b"[]"}, "openstack/latest/meta_data.json"),
        (
            {
                "openstack/latest/meta_data.json": b"{}",
                "openstack/latest/network_data.json": b'{"networks": [{"ip_address": "192.0.2.300"}]}',
            },
            "openstack/latest/network_data.json",
        ),
    ],
)
def test_a_drive_that_cannot_be_used_names_the_file_at_fault(tree: dict[str, bytes], member: str) -> None:
    with pytest.raises(ConfigDriveError) as caught:
        configdrive.read(configdrive.write_tar(tree))
    assert caught.value.member == member


@settings(max_examples=60)
@given(st.data())
def test_a_mutated_iso_is_read_or_refused_but_never_crashes(data: st.DataObject) -> None:
    iso = bytearray(ISO)
    for _ in range(data.draw(st.integers(1, 20))):
        iso[data.draw(st.integers(0, len(iso) - 1))] = data.draw(st.integers(0, 255))
    try:
        drive = configdrive.read(bytes(iso))
    except ConfigDriveError:
        return
    assert isinstance(drive.hostname, str)


ISO = configdrive.write_iso(TREE)


def test_a_doscript_places_files_and_tells_addresses() -> None:
    target = "/etc/sysconfig/network-scripts/ifcfg-enc1000"
    content = b"IPADDR=192.0.2.9\nNETMASK=255.255.255.0\nGATEWAY='192.0.2.1'\nDNS1=9.9.9.9\n"
    files = doscript.read(doscript.write({target: content}, ("systemctl restart network",)))
    assert files == {target: content}
    assert netfiles.networks(files) == (Network("192.0.2.9/24", "192.0.2.1", name="enc1000", dns=("9.9.9.9",)),)
    with pytest.raises(ConfigDriveError, match=r"no invokeScript\.sh"):
        doscript.read(configdrive.write_tar({"a": b"b"}))
