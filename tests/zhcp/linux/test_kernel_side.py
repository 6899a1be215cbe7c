"""Hardware's side of the agent over a fake /sys, /proc and /dev: CP, ccw devices, the reader, SCSI volumes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from zhcp.linux.fake import ZFCP, FakeKernel, FakeVmcp, Volume
from zvmcloud.zhcp.errors import AgentError
from zvmcloud.zhcp.linux import vmcp
from zvmcloud.zhcp.linux.ccw import Ccw
from zvmcloud.zhcp.linux.kernel import Ended, Kernel
from zvmcloud.zhcp.linux.machine import LinuxMachine
from zvmcloud.zhcp.linux.reader import UnitRecord, parse_list
from zvmcloud.zhcp.linux.zfcp import Zfcp
from zvmcloud.zhcp.machine import CpAnswer, Identity

WWPNS = ("0x5005076306138411", "0x5005076306138412")
LUN = "0x4010400400000000"
OTHER = "0x4010400500000000"


@pytest.fixture
def kernel(tmp_path: Path) -> FakeKernel:
    return FakeKernel(tmp_path)


# -- CP


def test_the_request_numbers_are_those_of_the_kernel_header() -> None:
    assert (vmcp.GETCODE, vmcp.SETBUF, vmcp.GETSIZE) == (0x80041001, 0x40041002, 0x80041003)


def test_an_answer_comes_with_cps_return_code() -> None:
    device = FakeVmcp(lambda _: CpAnswer(45, ("HCPCQU045E LINUX01 not logged on",)))
    assert vmcp.execute(device, "QUERY USER LINUX01") == CpAnswer(45, ("HCPCQU045E LINUX01 not logged on",))
    assert vmcp.execute(FakeVmcp(lambda _: CpAnswer(0, ())), "CLOSE RDR") == CpAnswer(0, ())


def test_a_query_whose_answer_did_not_fit_is_asked_again_with_room_for_it() -> None:
    long = CpAnswer(0, tuple(f"LINE {number:05}" for number in range(2000)))
    device = FakeVmcp(lambda _: long)
    assert vmcp.execute(device, "QUERY NAMES") == long
    assert device.buffers == [8192, 24576]


def test_a_command_whose_answer_did_not_fit_is_not_run_again() -> None:
    device = FakeVmcp(lambda _: CpAnswer(0, ("x" * 9000,)))
    with pytest.raises(AgentError) as caught:
        vmcp.execute(device, "PURGE RDR ALL")
    assert caught.value.problem.code == "answer-cut"
    assert device.commands == ["PURGE RDR ALL"]
    with pytest.raises(AgentError):
        vmcp.execute(FakeVmcp(lambda _: CpAnswer(0, ("x" * (vmcp.MAX_BUFFER + 1),))), "QUERY NAMES")


@pytest.mark.parametrize("command", ["", "Q" * 241])
def test_a_command_of_no_or_over_240_characters_never_reaches_cp(command: str) -> None:
    device = FakeVmcp(lambda _: CpAnswer(0, ()))
    with pytest.raises(AgentError):
        vmcp.execute(device, command)
    assert device.commands == []


async def test_without_the_device_the_machine_is_unreachable_and_the_remedy_says_what_to_load(tmp_path: Path) -> None:
    with pytest.raises(AgentError) as caught:
        await LinuxMachine(Kernel(tmp_path)).cp("QUERY USERID")
    assert (caught.value.problem.status, caught.value.problem.retryable) == (503, True)
    assert "modprobe vmcp" in caught.value.problem.remedy
    (tmp_path / "dev").mkdir()
    (tmp_path / "dev/vmcp").write_text("")
    with pytest.raises(AgentError, match="ioctl"):
        await LinuxMachine(Kernel(tmp_path)).cp("QUERY USERID")


# -- ccw devices


async def test_a_linked_eckd_disk_comes_online_in_raw_track_mode(kernel: FakeKernel) -> None:
    kernel.attach("f000", "3390/0c")
    path = await Ccw(kernel).disk("F000", raw=True)
    assert path == kernel.path("/dev/dasda")
    assert [text for _, text in kernel.writes] == ["free 0.0.f000", "1", "1", "1"]
    assert [name.rpartition("/")[2] for name, _ in kernel.writes] == [
        "cio_ignore", "cio_settle", "raw_track_access", "online",
    ]  # fmt: skip
    await Ccw(kernel).set_offline("F000")
    assert not await Ccw(kernel).is_online("F000")
    await Ccw(kernel).set_offline("F000")
    assert [text for name, text in kernel.writes if name.endswith("/online")] == ["1", "0"]


async def test_an_fba_disk_has_no_tracks(kernel: FakeKernel) -> None:
    kernel.attach("f001", "9336/10")
    assert await Ccw(kernel).disk("f001", raw=True) == kernel.path("/dev/dasda")
    await Ccw(kernel).format_tracks("f001")
    assert kernel.programs == []


async def test_a_disk_is_formatted_online_and_goes_offline_before_it_becomes_raw(kernel: FakeKernel) -> None:
    kernel.attach("f000", "3390/0c")
    ccw = Ccw(kernel)
    await ccw.format_tracks("f000")
    assert kernel.programs == [["dasdfmt", "-y", "-b", "4096", "-d", "cdl", str(kernel.path("/dev/dasda"))]]
    assert await ccw.disk("f000", raw=True) == kernel.path("/dev/dasdb")
    changed = [(name.rpartition("/")[2], text) for name, text in kernel.writes if "/sys/" in name]
    assert changed == [("online", "1"), ("online", "0"), ("raw_track_access", "1"), ("online", "1")]


async def test_a_format_that_fails_says_what_dasdfmt_said(kernel: FakeKernel) -> None:
    kernel.attach("f000", "3390/0c")
    kernel.answers["dasdfmt"] = lambda _w, _d: Ended(1, b"", "dasdfmt: Device is in use")
    with pytest.raises(AgentError, match="Device is in use"):
        await Ccw(kernel).format_tracks("f000")


async def test_a_device_that_does_not_come_is_missing(kernel: FakeKernel) -> None:
    with pytest.raises(AgentError) as caught:
        await Ccw(kernel, patience=0.1).disk("f000", raw=True)
    assert caught.value.problem.code == "device-missing"


async def test_a_disk_without_a_block_device_is_taken_offline_again(kernel: FakeKernel) -> None:
    kernel.attach("f000", "3390/0c")
    kernel.udev = False
    with pytest.raises(AgentError, match="block device"):
        await Ccw(kernel, patience=0.1).disk("f000", raw=True)
    assert not await Ccw(kernel).is_online("f000")


async def test_what_is_no_disk_is_not_brought_online(kernel: FakeKernel) -> None:
    kernel.attach("0600", "1731/01")
    with pytest.raises(AgentError, match="not a disk"):
        await Ccw(kernel).disk("0600", raw=True)
    assert not [name for name, _ in kernel.writes if name.endswith("/online")]


async def test_what_the_kernel_refuses_is_a_problem_with_its_reason(kernel: FakeKernel) -> None:
    with pytest.raises(AgentError, match="No such file"):
        await kernel.write("/sys/nothing", "1")
    with pytest.raises(AgentError, match="No such file"):
        await kernel.read("/sys/nothing")


async def test_programs_are_run_without_a_shell_and_their_absence_is_named(tmp_path: Path) -> None:
    real = Kernel(tmp_path)
    assert await real.must(["cat"], b"$(x)") == b"$(x)"
    with pytest.raises(AgentError, match="no-such-program cannot be run"):
        await real.run(["no-such-program"])
    with pytest.raises(AgentError) as caught:
        await real.run(["sleep", "30"], seconds=0.05)
    assert caught.value.problem.code == "tool-timeout"
    with pytest.raises(AgentError, match="ended with 1"):
        await real.must(["false"])


# -- reader and punch

LIST = b"""ORIGINID FILE CLASS RECORDS  CPY HOLD DATE  TIME     NAME      TYPE     DIST
LINUX01  0012 T CON 00000003 001 NONE 10/21 16:23:44                    ZHCP
ZHCP     0013 X PUN 00000120 001 NONE 10/21 16:24:00 CFGDRIVE  ISO      ZHCP
"""


def test_the_list_of_the_reader_is_read_by_its_columns() -> None:
    console, drive = parse_list(LIST.decode())
    assert (console.origin, console.spoolid, console.type, console.records) == ("LINUX01", "0012", "CON", 3)
    assert (drive.spool_class, drive.name, drive.filetype) == ("X", "CFGDRIVE", "ISO")
    assert parse_list("NO RDR FILES\n") == ()


def machine(kernel: FakeKernel, cp: dict[str, CpAnswer] | None = None) -> tuple[LinuxMachine, list[str]]:
    said: list[str] = []

    def run(command: str) -> CpAnswer:
        said.append(command)
        return (cp or {}).get(command, CpAnswer(0, ()))

    kernel.attach("000c", "2540/00", ignored=False)
    kernel.attach("000d", "2540/00", ignored=False)
    return LinuxMachine(kernel, cp=run, patience=0.2), said


async def test_a_punched_file_gets_its_class(kernel: FakeKernel) -> None:
    sent: list[bytes] = []

    def vmur(words: Sequence[str], data: bytes) -> Ended:
        sent.append(data)
        return Ended(0, b"Reader file with spoolid 0101 created.\n", "")

    kernel.answers["vmur"] = vmur
    linux, said = machine(kernel)
    assert await linux.punch("CFGDRIVE", "ISO", "X", b"data") == "0101"
    assert sent == [b"data"]
    assert kernel.programs == [["vmur", "punch", "-r", "-f", "-N", "CFGDRIVE.ISO"]]
    assert said == ["SPOOL 000C CLASS *", "CHANGE RDR 0101 CLASS X"]
    assert await Ccw(kernel).is_online("000d")


async def test_a_file_that_cannot_get_its_class_does_not_stay(kernel: FakeKernel) -> None:
    kernel.answers["vmur"] = lambda _w, _d: Ended(0, b"spoolid 0101 created", "")
    linux, _ = machine(
        kernel, {"CHANGE RDR 0101 CLASS X": CpAnswer(42, ("HCPCSP042E Spool file 0101 does not exist",))}
    )
    with pytest.raises(AgentError, match="HCPCSP042E"):
        await linux.punch("A", "B", "X", b"")
    assert kernel.programs[-1] == ["vmur", "purge", "-f", "0101"]


async def test_a_console_log_is_read_as_text_and_a_card_file_as_it_is_and_both_stay(kernel: FakeKernel) -> None:
    kernel.answers["vmur"] = lambda words, _d: Ended(0, LIST if words[1] == "list" else b"log", "")
    linux, _ = machine(kernel)
    assert await linux.read("0012") == b"log"
    assert kernel.programs[-1] == ["vmur", "receive", "-t", "-H", "-O", "0012"]
    await linux.read("13")
    assert kernel.programs[-1] == ["vmur", "receive", "-H", "-O", "0013"]
    with pytest.raises(AgentError, match="no spool file 0099"):
        await linux.read("0099")


async def test_another_vmur_that_runs_is_waited_for(kernel: FakeKernel) -> None:
    busy = [Ended(1, b"", "vmur: A concurrent instance of vmur is already active.")] * 2
    kernel.answers["vmur"] = lambda _w, _d: busy.pop() if busy else Ended(0, LIST, "")
    assert len(await UnitRecord(kernel, pauses=(0, 0, 0)).files()) == 2
    busy.extend([Ended(1, b"", "vmur: A concurrent instance of vmur is already active.")] * 9)
    with pytest.raises(AgentError) as caught:
        await UnitRecord(kernel, pauses=(0, 0)).files()
    assert (caught.value.problem.code, caught.value.problem.retryable) == ("vmur-busy", True)
    assert len(busy) == 6


async def test_who_we_are_is_asked_once(kernel: FakeKernel) -> None:
    linux, said = machine(kernel, {"QUERY USERID": CpAnswer(0, ("ZHCP     AT ZVM1",))})
    assert await linux.identity() == Identity("ZHCP", "ZVM1") == await linux.identity()
    assert said == ["QUERY USERID"]


# -- SCSI volumes


async def test_a_volume_with_two_paths_is_used_through_multipath_and_leaves_nothing_behind(kernel: FakeKernel) -> None:
    kernel.volumes.append(Volume(LUN, WWPNS))
    kernel.multipath = True
    for device in ("1a00", "1b00"):
        kernel.attach(device, "1732/03")
    linux, _ = machine(kernel)
    async with linux.volume(("1a00", "1b00"), WWPNS[:1], LUN) as path:
        assert path == kernel.path("/dev/dm-0")
        assert kernel.path(f"{ZFCP}/0.0.1b00/{WWPNS[0]}/{LUN}").is_dir()
    for device in ("1a00", "1b00"):
        assert not kernel.path(f"{ZFCP}/0.0.{device}/{WWPNS[0]}/{LUN}").exists()
        assert not await Ccw(kernel).is_online(device)
    assert await kernel.names("/sys/bus/scsi/devices") == ()


async def test_a_path_that_does_not_come_up_is_passed_over(kernel: FakeKernel) -> None:
    kernel.volumes.append(Volume(LUN, WWPNS[:1]))
    kernel.attach("1a00", "1732/03")
    async with Zfcp(kernel, Ccw(kernel), patience=0.1).volume(("1a00",), WWPNS, LUN) as path:
        assert path == kernel.path("/dev/sda")


async def test_several_paths_without_multipath_are_never_written_through(kernel: FakeKernel) -> None:
    kernel.volumes.append(Volume(LUN, WWPNS))
    kernel.attach("1a00", "1732/03")
    with pytest.raises(AgentError, match="multipath") as caught:
        async with Zfcp(kernel, Ccw(kernel), patience=0.1).volume(("1a00",), WWPNS, LUN):
            pytest.fail("two paths were given out as one disk")
    assert "multipathd" in caught.value.problem.remedy
    assert await kernel.names("/sys/bus/scsi/devices") == ()


async def test_a_lun_that_nobody_shows_is_unreachable_and_its_unit_is_removed(kernel: FakeKernel) -> None:
    kernel.volumes.append(Volume(OTHER, WWPNS))
    kernel.attach("1a00", "1732/03")
    with pytest.raises(AgentError) as caught:
        async with Zfcp(kernel, Ccw(kernel), patience=0.1).volume(("1a00",), WWPNS, LUN):
            pytest.fail("there is no such LUN")
    assert caught.value.problem.code == "lun-unreachable"
    assert not kernel.path(f"{ZFCP}/0.0.1a00/{WWPNS[0]}/{LUN}").exists()
    assert not await Ccw(kernel).is_online("1a00")


async def test_a_lun_that_is_there_already_stays(kernel: FakeKernel) -> None:
    kernel.volumes.append(Volume(LUN, WWPNS[:1]))
    kernel.attach("1a00", "1732/03")
    zfcp = Zfcp(kernel, Ccw(kernel), patience=0.1)
    await Ccw(kernel).set_online("1a00")
    await kernel.write(f"{ZFCP}/0.0.1a00/port_rescan", "1")
    await kernel.write(f"{ZFCP}/0.0.1a00/{WWPNS[0]}/unit_add", LUN)
    async with zfcp.volume(("1a00",), WWPNS[:1], LUN):
        pass
    assert kernel.path(f"{ZFCP}/0.0.1a00/{WWPNS[0]}/{LUN}").is_dir()
    assert await Ccw(kernel).is_online("1a00")


async def test_a_volume_that_a_crash_left_is_taken_off_its_paths(kernel: FakeKernel) -> None:
    """What the dead agent had made is gone: SCSI disks first, then units. Its FCP devices stay as they are."""
    kernel.volumes += [Volume(LUN, WWPNS), Volume(OTHER, WWPNS[:1])]
    kernel.multipath = True
    for device in ("1a00", "1b00"):
        kernel.attach(device, "1732/03")
    linux, _ = machine(kernel)
    crashed = linux.volume(("1a00", "1b00"), WWPNS[:1], LUN)
    await crashed.__aenter__()
    await kernel.write(f"{ZFCP}/0.0.1a00/{WWPNS[0]}/unit_add", OTHER)
    again, _ = machine(kernel)
    paths = [(device, wwpn) for device in ("1a00", "1b00") for wwpn in WWPNS]
    assert await again.volume_paths(("1a00", "1b00", "1c00"), WWPNS, LUN) == [paths[0], paths[2]]
    await again.drop_volume(paths, LUN)
    assert await again.volume_paths(("1a00", "1b00"), WWPNS, LUN) == []
    for device in ("1a00", "1b00"):
        assert not kernel.path(f"{ZFCP}/0.0.{device}/{WWPNS[0]}/{LUN}").exists()
        assert await Ccw(kernel).is_online(device)
    assert kernel.path(f"{ZFCP}/0.0.1a00/{WWPNS[0]}/{OTHER}").is_dir(), "another LUN stays"
    assert len(await kernel.names("/sys/bus/scsi/devices")) == 1
    await again.drop_volume([("1a00", WWPNS[0]), ("1c00", WWPNS[0])], LUN)
    await crashed.__aexit__(None, None, None)


async def test_the_luns_of_a_device_are_told_and_none_stays_in_use(kernel: FakeKernel) -> None:
    other = "0x4010400100000000"
    kernel.volumes += [Volume(LUN, WWPNS), Volume(other, WWPNS[:1], "6005076307ffc5e30000000000000002", 4096)]
    kernel.attach("1a00", "1732/03")
    heads = "Lun list length = 32 which imples 4 lun entries\nReport luns [select_report=0x0]:\n"
    controller = "4010400200000000"
    listed = "".join(f"    {lun.removeprefix('0x')}\n" for lun in ("c101000000000000", LUN, other, controller))
    kernel.answers["sg_luns"] = lambda _words, _data: Ended(0, (heads + listed).encode(), "")
    linux = LinuxMachine(kernel, cp=lambda _: CpAnswer(0, ()), patience=0.1)
    found = await linux.luns(("1a00",))
    ends = [(item.wwpn, item.lun, item.uuid, item.size) for item in found]
    first, second = (port.removeprefix("0x") for port in WWPNS)
    shared = (LUN.removeprefix("0x"), "6005076307ffc5e30000000000000001", 2**20)
    assert sorted(ends) == sorted(
        [
            (first, *shared), (second, *shared),
            (first, other.removeprefix("0x"), "6005076307ffc5e30000000000000002", 2**21),
        ]
    )  # fmt: skip
    assert await kernel.names("/sys/bus/scsi/devices") == ()
    assert not await Ccw(kernel).is_online("1a00")


async def test_a_device_without_ports_or_without_sg_luns_is_told(kernel: FakeKernel) -> None:
    kernel.attach("1a00", "1732/03")
    linux = LinuxMachine(kernel, cp=lambda _: CpAnswer(0, ()), patience=0.1)
    with pytest.raises(AgentError) as caught:
        await linux.luns(("1a00",))
    assert caught.value.problem.code == "lun-unreachable"
    kernel.volumes.append(Volume(LUN, WWPNS[:1]))
    kernel.answers["sg_luns"] = lambda _words, _data: Ended(15, b"", "Illegal request")
    with pytest.raises(AgentError, match="Illegal request"):
        await linux.luns(("1a00",))
    assert await kernel.names("/sys/bus/scsi/devices") == ()
