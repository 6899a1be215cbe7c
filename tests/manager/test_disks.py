"""Disk sizes and network files: the arithmetic and the names of the field."""

from __future__ import annotations

import pytest

from zvmcloud.images import doscript, netfiles
from zvmcloud.manager.disks import Disk, human, units
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.guestnet import Address, archive


@pytest.mark.parametrize(
    ("size", "kind", "expected"),
    [
        ("1g", "ECKD", 1457),
        ("3G", "ECKD", 4370),
        ("512M", "ECKD", 729),
        ("10g", "ECKD", 14564),
        ("3338", "ECKD", 3338),
        ("180g", "ECKD", 262_144),
        ("262668", "ECKD", 262_668),
        ("1g", "FBA", 2097152),
        ("7", "FBA", 7),
    ],
)
def test_sizes_become_cylinders_and_blocks(size: str, kind: str, expected: int) -> None:
    assert units(size, kind) == expected


@pytest.mark.parametrize("size", ["", "0", "-1", "1.5g", "g", "1k", "181g", "9" * 13, "１"])  # noqa: RUF001
def test_other_sizes_are_refused_by_name(size: str) -> None:
    with pytest.raises(BadInput, match="size"):
        units(size, "ECKD")


def test_sizes_given_as_counts_are_shown_in_gigabytes() -> None:
    assert human(Disk("0100", 5500, "ECKD", "P", "none", True)) == "3.8G"
    assert human(Disk("0100", 729, "ECKD", "P", "none", True)) == "512.6M"


STATIC = Address(
    "1000", mac="02:00:00:00:00:01", ip="192.0.2.10", cidr="192.0.2.0/24", gateway="192.0.2.1", dns=("192.0.2.2",)
)


@pytest.mark.parametrize(
    ("os_version", "name"),
    [
        ("rhel6.10", "/etc/sysconfig/network-scripts/ifcfg-eth1000"),
        ("RHEL7.2", "/etc/sysconfig/network-scripts/ifcfg-enccw0.0.1000"),
        ("rhel8.6", "/etc/sysconfig/network-scripts/ifcfg-enc1000"),
        ("sles15", "/etc/sysconfig/network/ifcfg-eth1000"),
    ],
)
def test_ifcfg_files_carry_the_address_under_the_distributions_name(os_version: str, name: str) -> None:
    data = archive(os_version, [STATIC])
    assert data is not None
    files = doscript.read(data)
    assert name in files
    (network,) = netfiles.networks(files)
    assert (network.address, network.dns) == ("192.0.2.10/24", ("192.0.2.2",))


@pytest.mark.parametrize(
    ("os_version", "name", "text"),
    [
        ("rhel10", "/etc/NetworkManager/system-connections/enc1000.nmconnection", b"address1=192.0.2.10/24,192.0.2.1"),
        ("ubuntu22.04", "/etc/netplan/00-zvmguestconfigure-1000.yaml", b'"192.0.2.10/24"'),
        ("sles15", "/etc/sysconfig/network/ifroute-eth1000", b"default 192.0.2.1"),
        ("sles12", "/etc/udev/rules.d/51-qeth-0.0.1000.rules", b"0.0.1000"),
    ],
)
def test_other_distributions_get_their_own_files(os_version: str, name: str, text: bytes) -> None:
    data = archive(os_version, [STATIC])
    assert data is not None
    assert text in doscript.read(data)[name]


def test_nothing_to_configure_makes_no_archive_and_a_wrong_network_is_refused() -> None:
    assert archive("rhel8", [Address("1000")]) is None
    with pytest.raises(BadInput, match="cidr"):
        archive("rhel8", [Address("1000", ip="192.0.2.10", cidr="192.0.2.0/99")])
