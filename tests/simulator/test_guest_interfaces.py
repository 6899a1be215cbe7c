"""A network interface of a running guest: files alone change nothing, the distribution's commands bring it up."""

from __future__ import annotations

import pytest

from simulator.boot_support import punch, run, start
from simulator.support import write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images import doscript
from zvmcloud.manager.distributions import forget_script
from zvmcloud.manager.guestnet import Address, archive
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import guests, network, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model import Nic
from zvmcloud.simulator.system import System

DISTROS = (
    "rhel6.9", "rhel7.9", "rhel8.6", "rhel9", "rhel10", "sles11sp4", "sles12sp5", "sles15.4", "ubuntu16.04",
    "ubuntu22.04",
)  # fmt: skip
SERVICE = "systemctl start zvmguestconfigure.service"


@pytest.fixture
def running(system: System, clock: ManualClock) -> System:
    """LINUX01 is up and has an adapter 1000 with an address; CP has added 1003, coupled to the same switch."""
    with system.transaction():
        for name in ("MAINT", "OPERATOR"):
            if name not in system.machines and system.entry(name) is not None:
                guests.log_on(system, name, ipl=False)
        lines = ("USER LINUX01 LBYONLY 2G 4G G", "INCLUDE LNXDFLT", "IPL 0100")
        dm.create(system, "LINUX01", (*lines, "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3"))
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 5, "POOL1", "MR"))
    for command in ("DEFINE VSWITCH VSW1 ETHERNET RDEV 1F00", "SET VSWITCH VSW1 GRANT LINUX01"):
        assert execute(system, "MAINT", command).rc == 0, command
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    configure(system, "rhel8.6", "1000", "192.0.2.10")
    assert start(system, clock, "LINUX01").phase == "up"
    with system.transaction():
        network.define_nic(system, "LINUX01", Nic("1003", "020000000003"))
        network.couple(system, "LINUX01", "1003", "VSW1")
    return system


def configure(system: System, os_version: str, vdev: str, ip: str) -> None:
    data = archive(os_version, [Address(vdev, ip=ip, cidr="192.0.2.0/24", gateway="192.0.2.1")])
    assert data is not None
    punch(system, "NETWORK", data, kind="DOSCRIPT", spool_class="X", to="LINUX01")


def addresses(system: System) -> list[tuple[str, str]]:
    machine = system.machines["LINUX01"]
    assert machine.system is not None
    return [(address.vdev, address.ip) for address in machine.system.addresses]


@pytest.mark.parametrize("os_version", DISTROS)
def test_the_commands_of_each_distribution_bring_up_the_new_interface_and_leave_the_old_one(
    running: System, os_version: str
) -> None:
    configure(running, os_version, "1003", "192.0.2.13")
    assert addresses(running) == [("1000", "192.0.2.10")]
    assert run(running, SERVICE)[0] == 0
    assert addresses(running) == [("1000", "192.0.2.10"), ("1003", "192.0.2.13")]
    assert "192.0.2.13/24" in run(running, "ip -o addr")[1]
    assert run(running, "ping -c 1 192.0.2.1")[0] == 0
    punch(running, "DEL1003", forget_script("1003"), kind="SH", spool_class="X", to="LINUX01")
    assert run(running, SERVICE)[0] == 0
    assert addresses(running) == [("1000", "192.0.2.10")]
    assert run(running, "ls /sys/bus/ccwgroup/devices")[1].split() == ["0.0.1000"]


def test_files_alone_bring_nothing_up(running: System) -> None:
    files = {"/etc/sysconfig/network-scripts/ifcfg-enc1003": b"IPADDR=192.0.2.13\nPREFIX=24\n"}
    punch(running, "NETWORK", doscript.write(files), kind="DOSCRIPT", spool_class="X", to="LINUX01")
    assert run(running, SERVICE)[0] == 0
    assert addresses(running) == [("1000", "192.0.2.10")]
    assert run(running, "ifup enc1003")[0] == 1, "its adapter is not online"
    assert run(running, "znetconf -a 1003")[0] == 0
    assert run(running, "ifup enc1003") == (0, "")
    assert ("1003", "192.0.2.13") in addresses(running)
    assert run(running, "ifdown enc1003") == (0, "")
    assert run(running, "ifup enc1006")[0] == 1, "there is none"
    assert run(running, "znetconf -a 1006")[0] == 1
    assert run(running, "systemctl restart NetworkManager")[0] == 0
    assert ("1003", "192.0.2.13") in addresses(running)


def test_an_adapter_that_went_and_came_again_is_brought_online_anew(running: System) -> None:
    configure(running, "rhel8.6", "1003", "192.0.2.13")
    run(running, SERVICE)
    with running.transaction():
        network.detach_nic(running, "LINUX01", "1003")
    assert addresses(running) == [("1000", "192.0.2.10")]
    with running.transaction():
        network.define_nic(running, "LINUX01", Nic("1003", "020000000003"))
    assert run(running, "nmcli connection up ifname enc1003")[0] == 1
    assert run(running, "chzdev -e qeth 0.0.1003 --yes")[0] == 0
    assert run(running, "nmcli connection up ifname enc1003")[0] == 0
    assert run(running, "znetconf -R -n")[0] == 0
    assert addresses(running) == []
