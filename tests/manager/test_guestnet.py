"""What the manager writes for a guest's network is what the guest's system reads there."""

from __future__ import annotations

import subprocess

import pytest

from zvmcloud.images import doscript, netfiles
from zvmcloud.manager.distributions import forget_script
from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.guestnet import Address, archive

DISTROS = ("rhel6.9", "rhel7.9", "rhel8.6", "rhel9", "rhel10", "sles12sp5", "sles15.4", "ubuntu16.04", "ubuntu22.04")


def read(os_version: str, *addresses: Address) -> tuple[netfiles.Network, ...]:
    data = archive(os_version, addresses)
    assert data is not None
    return netfiles.networks(doscript.read(data))


@pytest.mark.parametrize("os_version", DISTROS)
@pytest.mark.parametrize(
    ("ip", "cidr", "gateway", "dns", "address"),
    [
        ("192.0.2.10", "192.0.2.0/24", "192.0.2.1", "192.0.2.53", "192.0.2.10/24"),
        ("2001:db8::10", "2001:db8::/64", "2001:db8::1", "2001:db8::53", "2001:db8::10/64"),
        ("192.0.2.10", "192.0.2.0/25", "", "2001:db8::53", "192.0.2.10/25"),
    ],
)
def test_each_distribution_reads_the_address_that_was_asked_for(
    os_version: str, ip: str, cidr: str, gateway: str, dns: str, address: str
) -> None:
    wanted = Address("1000", "02:00:00:00:00:01", "static", ip, cidr, gateway, (dns,), 1400)
    found = [network for network in read(os_version, wanted) if network.address]
    assert [network.address for network in found] == [address]
    if not os_version.startswith("sles"):
        assert [network.gateway for network in found] == [gateway]
        if ":" in ip or "." in dns:
            assert found[0].dns == (dns,)
    assert found[0].mtu == 1400
    assert found[0].vlan == 0


@pytest.mark.parametrize("os_version", DISTROS)
def test_each_distribution_asks_for_an_address_where_none_was_given(os_version: str) -> None:
    assert [network.address for network in read(os_version, Address("1000", method="dhcp"))] == [""]


@pytest.mark.parametrize(
    ("ip", "cidr", "gateway", "field"),
    [
        ("192.0.2.10", "2001:db8::/64", "", "cidr"),
        ("2001:db8::10", "2001:db8::/64", "192.0.2.1", "gateway"),
        ("192.0.2.10", "192.0.2.0/24", "2001:db8::1", "gateway"),
        ("192.0.2.10", "nonsense", "", "cidr"),
    ],
)
def test_addresses_of_two_kinds_are_refused(ip: str, cidr: str, gateway: str, field: str) -> None:
    with pytest.raises(BadInput, match=field):
        archive("rhel9", [Address("1000", ip=ip, cidr=cidr, gateway=gateway)])


@pytest.mark.parametrize("os_version", DISTROS)
def test_a_second_interface_leaves_the_files_of_the_first_alone(os_version: str) -> None:
    first, second = (
        archive(os_version, [Address(vdev, ip=ip, cidr="192.0.2.0/24")])
        for vdev, ip in (("1000", "192.0.2.10"), ("1003", "192.0.2.11"))
    )
    assert first is not None
    assert second is not None
    files = {**doscript.read(first), **doscript.read(second)}
    assert {network.address for network in netfiles.networks(files)} == {"192.0.2.10/24", "192.0.2.11/24"}
    stubs = "rm() { printf '%s\\n' \"$@\"; }; znetconf() { :; }; chzdev() { :; }; nmcli() { :; };"
    script = f"{stubs}\n{forget_script('1000').decode()}"
    forgotten = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.split()
    assert set(doscript.read(first)) <= set(forgotten)
    assert not set(doscript.read(second)) & set(forgotten)
