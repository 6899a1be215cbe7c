"""SCSI disks inside guests: brought online and taken away by the commands and scripts that clients send."""

from __future__ import annotations

from pathlib import Path

import pytest

from simulator.boot_support import (
    NUMBER,
    OTHER_PORT,
    PORT,
    UUID,
    add_fcps,
    add_lun,
    guest,
    punch,
    run,
    running,
    start,
)
from simulator.support import write_image
from zvmcloud.directory.devices import Mdisk
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.simulator import directory_manager as dm
from zvmcloud.simulator import fabric, guests, luns, storage
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.faults import Faults
from zvmcloud.simulator.journal import Journal
from zvmcloud.simulator.machine_port import Session
from zvmcloud.simulator.system import System

WWPN, LUN = f"0x{PORT.lower()}", f"0x{NUMBER}"
BY_PATH = f"ccw-0.0.b100-zfcp-{WWPN}:{LUN}"

#: Written for these tests in the way of the connector's volume scripts: ports from sysfs, a wait loop, multipath.
ATTACH = """#!/bin/bash
fcp="b100"
lun="LUN"
/sbin/cio_ignore -r $fcp > /dev/null
/sbin/chccwdev -e $fcp > /dev/null || exit 9
declare -a ports
ports=(`ls /sys/bus/ccw/drivers/zfcp/0.0.$fcp/ | grep "0x"`)
host=`lszfcp | grep "$fcp" | cut -d " " -f 2`
npiv=$(cat /sys/bus/ccw/drivers/zfcp/0.0.$fcp/$host/fc_host/$host/port_type)
scan=`cat /sys/module/zfcp/parameters/allow_lun_scan`
if [[ "$scan" != "Y" || "$npiv" != "NPIV VPORT" ]]; then
    for wwpn in ${ports[@]}
    do
        echo "$lun" > /sys/bus/ccw/drivers/zfcp/0.0.$fcp/$wwpn/unit_add
    done
fi
for wwpn in ${ports[@]}; do echo "0.0.$fcp $wwpn $lun" >> /etc/zfcp.conf; done
found=0
left=60
while [ $found -eq 0 ]
do
    if [ $left -le 0 ]; then
        break
    fi
    for j in ${ports[@]}; do
        x="/dev/disk/by-path/ccw-0.0.$fcp-zfcp-$j:$lun"
        if [ -e $x ]; then
            path=$x
            found=1
            break
        fi
    done
    if [ $found -eq 0 ]; then
        sleep 5
        left=$((left-=5))
    fi
done
if [ $found -ne 1 ]; then
    exit 4
fi
wwid=`/lib/udev/scsi_id --page 0x83 --whitelisted $path`
rules=/etc/udev/rules.d/56-zfcp.rules
known=`cat "$rules" | grep "$wwid"`
if [ -z "$known" ]; then
    item="KERNEL==\\"dm-*\\", ENV{DM_UUID}==\\"mpath-$wwid\\", SYMLINK+=\\"vdb\\""
    echo -e $item >> $rules
fi
exit 0
""".replace("LUN", LUN)
DETACH = """#!/bin/bash
lun="LUN"
devices=(`ls /dev/disk/by-path/ | grep "ccw-0\\.0\\..*-zfcp-.*:$lun"`)
wwid=$(/lib/udev/scsi_id --page 0x83 --whitelisted /dev/disk/by-path/${devices[0]})
map_name=$(multipath -l $wwid -v 1)
output=$(multipath -f $map_name 2>&1)
code=$?
if [ "$output" ]; then
    if [ "$(echo $output | grep -i 'must provide a map name')" ]; then
        code=0
    fi
fi
if [[ $code != 0 ]]; then exit $code; fi
for fcp in b100; do
    ports=(`ls /sys/bus/ccw/drivers/zfcp/0.0.$fcp/ | grep "0x"`)
    for wwpn in ${ports[@]}; do
        chzdev -d zfcp-lun 0.0.$fcp:$wwpn:$lun
        sed -i -e "/0.0.$fcp $wwpn $lun/d" /etc/zfcp.conf
    done
done
sed -i -e /SYMLINK+=\\"vdb\\"/d /etc/udev/rules.d/56-zfcp.rules
exit 0
""".replace("LUN", LUN)


@pytest.fixture
def vm(system: System, clock: ManualClock) -> System:
    """LINUX01 runs the sample system, with the FCP device B100 that reaches one LUN through two ports."""
    with system.transaction():
        add_fcps(system, "B100", "B200")
        add_lun(system, PORT, OTHER_PORT)
        guest(system, "IPL 0100", "DEDICATE B100 B100")
        dm.add_disk(system, "LINUX01", Mdisk("0100", "3390", "AUTOG", None, 10, "POOL1", "MR"))
    write_image(storage.file_of(system, system.disks["LINUX01.0100"]))
    storage.open_devices(system, "LINUX01")
    start(system, clock)
    return system


def test_a_disk_appears_with_the_commands_that_clients_send_and_goes_again(vm: System) -> None:
    assert run(vm, "ls /sys/bus/ccw/drivers/zfcp/0.0.b100/ | grep 0x")[0] == 1
    assert run(vm, "chccwdev -e 0.0.b100") == (0, "Setting device 0.0.b100 online\nDone\n")
    assert run(vm, "lszfcp -H") == (0, "0.0.b100 host0\n")
    assert run(vm, "lszfcp -P")[1].splitlines()[0] == f"0.0.b100/{WWPN} rport-0:0-0"
    assert run(vm, "lsblk -dn")[1].split()[:1] == ["dasda"]
    assert run(vm, f"echo {LUN} > /sys/bus/ccw/drivers/zfcp/0.0.b100/{WWPN}/unit_add") == (0, "")
    assert run(vm, f"lszfcp -l {LUN} -D | awk '{{print $2; exit}}'") == (0, "0:0:0:0\n")
    assert run(vm, "lsblk -n")[1].splitlines()[-1].split() == ["└─mpatha", "4M", "mpath"]
    assert run(vm, "ls /dev/disk/by-path") == (0, f"ccw-0.0.0100\n{BY_PATH}\n")
    assert run(vm, "/lib/udev/scsi_id --page 0x83 --whitelisted /dev/sda") == (0, f"3{UUID.lower()}\n")
    assert f"mpatha (3{UUID.lower()}) dm-0 IBM,2107900" in run(vm, "multipath -ll")[1]
    assert run(vm, f"echo {LUN} > /sys/bus/ccw/drivers/zfcp/0.0.b100/{WWPN}/unit_remove") == (0, "")
    assert run(vm, "lsscsi") == (0, "")


@pytest.mark.parametrize(
    ("command", "words"),
    [
        ("chccwdev -e 0.0.dead", "Device 0.0.dead not found"),
        (f"echo {LUN} > /sys/bus/ccw/drivers/zfcp/0.0.b100/{WWPN}/unit_add", "No such file or directory"),
        (f"chzdev -e zfcp-lun 0.0.b100:0x{'9' * 16}:{LUN}", f"port 0x{'9' * 16} does not exist"),
        (f"chzdev -e zfcp-lun 0.0.b100:{WWPN}:0x{'9' * 16}", f"no LUN 0x{'9' * 16} behind port"),
        ("chzdev -e -d zfcp-host b100", "Specify a device"),
    ],
)
def test_what_is_not_there_cannot_be_brought_online(vm: System, command: str, words: str) -> None:
    rc, output = run(vm, command)
    assert rc
    assert words in output
    assert not vm.machines["LINUX01"].units


def test_a_lun_that_does_not_exist_is_no_unit(vm: System) -> None:
    run(vm, "chccwdev -e b100")
    path = f"/sys/bus/ccw/drivers/zfcp/0.0.b100/{WWPN}/unit_add"
    assert run(vm, f"echo 0x{'7' * 16} > {path}") == (1, f"sh: {path}: No such device\n")
    assert run(vm, f"echo nonsense > {path}")[1].endswith("Invalid argument\n")


def test_the_scripts_of_a_connector_attach_and_detach_a_volume(vm: System, clock: ManualClock) -> None:
    punch(vm, "ATVOL", ATTACH.encode(), kind="SH", spool_class="X")
    assert run(vm, "systemctl start zvmguestconfigure.service") == (0, "")
    assert run(vm, "multipath -l -v 1") == (0, "mpatha\n")
    assert run(vm, "cat /etc/zfcp.conf | wc -l") == (0, "2\n")
    assert f"mpath-3{UUID.lower()}" in run(vm, "cat /etc/udev/rules.d/56-zfcp.rules")[1]
    # It is configured for good: the disk is there after the next boot.
    run(vm, "shutdown -r now")
    clock.advance(1)
    clock.advance(1)
    assert running(vm).phase == "up"
    assert run(vm, "lsblk -n | grep -c mpatha") == (0, "2\n")
    punch(vm, "DEVOL", DETACH.encode(), kind="SH", spool_class="X")
    assert run(vm, "systemctl start zvmguestconfigure.service") == (0, "")
    assert not vm.machines["LINUX01"].units
    assert run(vm, "cat /etc/zfcp.conf /etc/udev/rules.d/56-zfcp.rules") == (0, "")


def test_the_service_ends_with_the_status_of_the_script(vm: System) -> None:
    with vm.transaction():
        for port in (PORT, OTHER_PORT):
            vm.luns.remove(fabric.key(port, NUMBER))
    punch(vm, "ATVOL", ATTACH.encode(), kind="SH", spool_class="X")
    assert run(vm, "systemctl start zvmguestconfigure.service")[0] == 1
    rc, output = run(vm, "systemctl status zvmguestconfigure.service")
    assert rc == 3
    assert "Main PID: 611 (code=exited, status=4/FAILURE)" in output


def test_a_disk_that_was_not_configured_for_good_is_gone_after_a_reboot(vm: System, clock: ManualClock) -> None:
    run(vm, f"chzdev -e -a zfcp-lun 0.0.b100:{WWPN}:{LUN}")
    assert run(vm, "lsscsi | wc -l") == (0, "1\n")
    run(vm, "shutdown -r now")
    clock.advance(1)
    clock.advance(1)
    assert run(vm, "lsscsi | wc -l") == (0, "0\n")
    run(vm, f"chzdev -e zfcp-lun 0.0.b100:{WWPN}:{LUN}")
    run(vm, "shutdown -r now")
    clock.advance(1)
    clock.advance(1)
    assert run(vm, "lsscsi | wc -l") == (0, "1\n")


def test_everyone_who_reaches_a_lun_has_the_same_bytes(vm: System) -> None:
    run(vm, f"chzdev -e zfcp-lun 0.0.b100:{WWPN}:{LUN}")
    with vm.transaction():
        guests.log_on(vm, "ZHCP")
        storage.open_devices(vm, "ZHCP")
        guests.give_device(vm, "ZHCP", "B200", "B200")
        luns.set_online(vm, "ZHCP", "B200", online=True)
        luns.add(vm, "ZHCP", f"B200 {OTHER_PORT} {NUMBER}")
    mine, theirs = vm.device_folder / "LINUX01", vm.device_folder / "ZHCP"
    with FbaDisk(theirs / f"ccw-0.0.b200-zfcp-0x{OTHER_PORT.lower()}:{LUN}", writable=True) as disk:
        disk.write(7, b"shared".ljust(512))
    with FbaDisk(mine / BY_PATH) as disk:
        assert disk.read(7, 1).startswith(b"shared")
        assert disk.blocks == 8192


def test_a_device_that_is_taken_away_takes_its_disks_along(vm: System) -> None:
    run(vm, f"chzdev -e zfcp-lun 0.0.b100:{WWPN}:{LUN}")
    link = vm.device_folder / "LINUX01" / BY_PATH
    assert link.is_symlink()
    assert execute(vm, "LINUX01", "DETACH B100").rc == 0
    assert not link.is_symlink()
    assert (vm.machines["LINUX01"].fcps, vm.machines["LINUX01"].units) == ((), ())
    assert vm.fcps["B100"].owner == ""


def test_a_path_that_fails_hides_its_disk_and_brings_it_back(vm: System) -> None:
    run(vm, f"chzdev -e zfcp-lun 0.0.b100:{WWPN}:{LUN} 0.0.b100:0x{OTHER_PORT.lower()}:{LUN}")
    assert run(vm, "multipath -ll | grep -c active.ready") == (0, "2\n")
    with vm.transaction():
        lun = vm.luns[fabric.key(PORT, NUMBER)]
        vm.luns.remove(fabric.key(PORT, NUMBER))
    assert run(vm, "multipath -ll | grep -c active.ready") == (0, "1\n")
    with vm.transaction():
        vm.luns.put(fabric.key(PORT, NUMBER), lun)
    assert run(vm, "multipath -ll | grep -c active.ready") == (0, "2\n")


def test_device_links_are_right_again_after_a_restart(vm: System) -> None:
    run(vm, f"chzdev -e zfcp-lun 0.0.b100:{WWPN}:{LUN}")
    link = vm.device_folder / "LINUX01" / BY_PATH
    link.unlink()
    stray = Path(vm.device_folder / "LINUX01" / "ccw-0.0.b100-zfcp-stray")
    stray.symlink_to("/nowhere")
    storage.sweep(vm)
    assert link.is_symlink()
    assert not stray.is_symlink()


def test_the_machine_port_brings_a_disk_online(vm: System) -> None:
    session = Session(vm, Journal(None), Faults())
    with vm.transaction():
        guests.log_on(vm, "ZHCP")
        storage.open_devices(vm, "ZHCP")
        guests.give_device(vm, "ZHCP", "B200", "B200")
    session.userid = "ZHCP"
    request = f'{{"op":"scsi","fcp":"b200","wwpn":"{WWPN}","lun":"{LUN}","online":%s}}'
    answer = session.answer((request % "true").encode())
    assert answer == {"ok": True, "device": f"ccw-0.0.b200-zfcp-{WWPN}:{LUN}", "changed": True}
    assert session.answer((request % "true").encode()) == answer | {"changed": False}
    look = request.replace(',"online":%s', "").encode()
    assert session.answer(look) == {"ok": True, "online": True}
    assert (vm.device_folder / "ZHCP" / str(answer["device"])).stat().st_size == 8192 * 512
    assert session.answer((request % "false").encode())["ok"]
    assert not vm.machines["ZHCP"].units
    assert session.answer(look) == {"ok": True, "online": False}
    for bad, words in (
        (request.replace("b200", "dead") % "true", "Device 0.0.dead not found"),
        (request.replace("b200", "b2") % "true", "fcp 'b2' is not 4 hexadecimal digits"),
        (request % "1", "online is true or false"),
    ):
        refused = session.answer(bad.encode())
        assert not refused["ok"]
        assert words in str(refused["error"])
