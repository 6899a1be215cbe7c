"""Network files of the distributions say the same in different words."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zvmcloud.images import configdrive, netfiles
from zvmcloud.images.netfiles import Network

PLAIN = Network("192.0.2.9/24", "192.0.2.1", "02:00:00:12:34:56", "enc1000", 1400, 0, ("9.9.9.9",))
FILES = {
    "/etc/sysconfig/network-scripts/ifcfg-enc1000": (
        "DEVICE=enc1000\nBOOTPROTO=static\nIPADDR=192.0.2.9\nNETMASK='255.255.255.0'\nGATEWAY=192.0.2.1\n"
        "MACADDR=02:00:00:12:34:56\nDNS1=9.9.9.9\nMTU=1400\n"
    ),
    "/etc/netplan/00-x.yaml": (
        "network:\n  version: 2\n  ethernets:\n    enc1000:\n      macaddress: 02:00:00:12:34:56\n"
        "      addresses: [192.0.2.9/24]\n      routes: [{to: default, via: 192.0.2.1}]\n      mtu: 1400\n"
        "      nameservers: {addresses: [9.9.9.9]}\n"
    ),
    "/etc/NetworkManager/system-connections/enc1000.nmconnection": (
        "[connection]\nid=enc1000\ntype=ethernet\ninterface-name=enc1000\n\n[ethernet]\nmac-address=02:00:00:12:34:56\n"
        "mtu=1400\n\n[ipv4]\nmethod=manual\naddress1=192.0.2.9/24,192.0.2.1\ndns=9.9.9.9;\n"
    ),
    "/etc/network/interfaces": (
        "auto enc1000\niface enc1000 inet static\n  address 192.0.2.9\n  netmask 255.255.255.0\n  gateway 192.0.2.1\n"
        "  hwaddress ether 02:00:00:12:34:56\n  mtu 1400\n  dns-nameservers 9.9.9.9\n"
    ),
    "network-config": json.dumps(
        {
            "version": 1,
            "config": [
                {
                    "type": "physical", "name": "enc1000", "mac_address": "02:00:00:12:34:56", "mtu": 1400,
                    "subnets": [
                        {"type": "static", "address": "192.0.2.9", "netmask": "255.255.255.0", "gateway": "192.0.2.1"}
                    ],
                },
                {"type": "nameserver", "address": ["9.9.9.9"]},
            ],
        }
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", FILES)
def test_every_format_says_the_same_address(name: str) -> None:
    assert netfiles.networks({name: FILES[name].encode()}) == (PLAIN,)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("/etc/sysconfig/network-scripts/ifcfg-enc1000.10", "VLAN=yes\nIPADDR=192.0.2.9\nPREFIX=24\n"),
        ("/etc/sysconfig/network/ifcfg-vlan10", "IPADDR='192.0.2.9/24'\nETHERDEVICE=enc1000\nVLAN_ID=10\n"),
        ("/etc/netplan/v.yml", "network: {vlans: {v10: {id: 10, link: enc1000, addresses: [192.0.2.9/24]}}}\n"),
        (
            "/etc/NetworkManager/system-connections/v10",
            "[connection]\nid=v10\ntype=vlan\n[vlan]\nid=10\nparent=enc1000\n[ipv4]\nmethod=manual\naddress1=192.0.2.9/24\n",
        ),
        ("/etc/network/interfaces.d/v", "iface enc1000.10 inet static\naddress 192.0.2.9/24\n"),
        (
            "network-config",
            (
                '{"version":1,"config":[{"type":"vlan","name":"v","vlan_link":"enc1000","vlan_id":10,'
                '"subnets":[{"type":"static","address":"192.0.2.9/24"}]}]}'
            ),
        ),
    ],
)
def test_an_address_may_be_on_a_vlan(name: str, text: str) -> None:
    (found,) = netfiles.networks({name: text.encode()})
    assert (found.address, found.name, found.vlan) == ("192.0.2.9/24", "enc1000", 10)


def test_dynamic_and_disabled_interfaces() -> None:
    files = {
        "ifcfg-enc1000": b"BOOTPROTO=dhcp\n",
        "ifcfg-enc2000": b"BOOTPROTO=dhcp\nONBOOT=no\n",
        "/etc/netplan/a.yaml": b"network: {ethernets: {enc3000: {dhcp4: true}}}",
        "a.nmconnection": b"[connection]\nid=enc4000\nautoconnect=false\n[ipv4]\nmethod=auto\n",
    }
    assert [(found.name, found.address) for found in netfiles.networks(files)] == [("enc1000", ""), ("enc3000", "")]


@given(st.sampled_from([*FILES, "ifcfg-x", "/etc/netplan/b.yaml"]), st.binary(max_size=400))
def test_any_bytes_are_read_or_skipped(name: str, data: bytes) -> None:
    for found in netfiles.networks({name: data}):
        assert isinstance(found, Network)


@pytest.mark.parametrize("packed", [configdrive.write_iso, lambda files: configdrive.write_tar(files, gzip=True)])
def test_config_drives_carry_cloud_inits_own_forms(packed: object) -> None:
    config = FILES["network-config"].encode()
    pack = packed
    assert callable(pack)
    no_cloud = configdrive.read(
        pack({"meta-data": b"instance-id: i-1\nlocal-hostname: web07\n", "user-data": b"", "network-config": config})
    )
    assert (no_cloud.hostname, no_cloud.uuid, no_cloud.networks) == ("web07", "i-1", (PLAIN,))
    meta = b'{"hostname": "web08"}'
    drive = configdrive.read(pack({"openstack/latest/meta_data.json": meta, "openstack/latest/network-config": config}))
    assert (drive.hostname, drive.networks) == ("web08", (PLAIN,))
