"""The first boot: a config drive in the reader or on a disk; kernel, parameters and initrd for an installation."""

import asyncio
import base64
import hashlib
from dataclasses import replace

import pytest

from zhcp.conftest import Agent
from zhcp.test_reader import reader
from zhcp.test_road import until_up
from zvmcloud.images import cdl, configdrive, cpio, kernel
from zvmcloud.images.diskfile import EckdDisk, FbaDisk
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp.boot_messages import BootFile, ConfigDrive, DriveNetwork, NetBoot
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.guest_messages import StartGuest
from zvmcloud.zhcp.messages import parse_operation
from zvmcloud.zhcp.network_messages import AttachNic, CreateVswitch
from zvmcloud.zhcp.operations import reader as reader_operations
from zvmcloud.zhcp.operations.linked import linked
from zvmcloud.zhcp.reader_messages import PunchFiles, ReaderFile, ReceiveFile

KERNEL = BootFile(data=base64.b64encode(b"kernel" * 100).decode())
INITRD = BootFile(data=base64.b64encode(b"070701 initrd").decode())
NETWORK = DriveNetwork(address="192.0.2.10/24", gateway="192.0.2.1", name="enc1000", dns=("192.0.2.53",))
ECKD = NewDisk(vdev="0101", size_units=10, pool="POOL1")
FBA = NewDisk(vdev="0102", size_units=4096, type="FBA", pool="FBAPOOL")
ROOT = NewDisk(vdev="0100", size_units=10, pool="POOL1", boot=True)


def install(**changes: object) -> NetBoot:
    return NetBoot(**{"userid": "LINUX01", "kernel": KERNEL, "initrd": INITRD, "parm": "ro", **changes})  # type: ignore[arg-type]


async def test_a_config_drive_in_the_reader_names_the_guest(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.write_image())
    await agent.run(ConfigDrive(userid="LINUX01", hostname="web07", networks=(NETWORK,)))
    await agent.run(StartGuest(userid="LINUX01"))
    await until_up(agent)
    assert (await agent.client.command("LINUX01", "hostname", epoch=1))[1].strip() == "web07"


@pytest.mark.parametrize("vdev", ["0101", "0102"])
async def test_a_config_drive_on_a_disk_is_an_iso9660_volume(agent: Agent, vdev: str) -> None:
    await agent.run(agent.guest("LINUX01", ROOT, ECKD, FBA))
    user_data = base64.b64encode(b"#cloud-config").decode()
    request = ConfigDrive(userid="LINUX01", hostname="web08", networks=(NETWORK,), user_data=user_data, vdev=vdev)
    await agent.run(request)
    async with linked(agent.runner.context("test"), "LINUX01", vdev, write=False) as (_, path):
        if vdev == "0101":
            with EckdDisk(path) as disk:
                blocks = cdl.PartitionBlocks(disk, cdl.partitions(disk)[0])
                data = b"".join(blocks.read(number, 1) for number in range(200))
        else:
            with FbaDisk(path) as fba:
                data = fba.read(0, 2048)
    drive = configdrive.read(data)
    assert (drive.hostname, drive.user_data, drive.label) == ("web08", b"#cloud-config", "config-2")
    assert drive.networks[0].address == "192.0.2.10/24"
    again = await agent.refused(request)
    assert (again.status, again.code) == (409, "disk-not-empty")
    await agent.run(ConfigDrive(userid="LINUX01", hostname="web09", vdev=vdev, overwrite=True))


async def test_a_drive_that_does_not_fit_leaves_the_disk_empty(agent: Agent) -> None:
    small = NewDisk(vdev="0103", size_units=64, type="FBA", pool="FBAPOOL")
    await agent.run(agent.guest("LINUX01", ROOT, small))
    request = ConfigDrive(userid="LINUX01", hostname="web08", vdev="0103")
    problem = await agent.refused(request)
    assert (problem.status, problem.code) == (422, "disk-too-small")
    assert (await agent.refused(request)).code == "disk-too-small"


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({}, "parameters.hostname"),
        ({"hostname": "a", "drive": "eA=="}, "parameters.hostname"),
        ({"hostname": "-a"}, "parameters.hostname"),
        ({"hostname": "a", "networks": [{"address": "192.0.2.10"}]}, "parameters.networks[0].address"),
        ({"hostname": "a", "networks": [{"address": "192.0.2.300/24"}]}, "parameters.networks[0].address"),
        ({"hostname": "a", "networks": [{"gateway": "1.2"}]}, "parameters.networks[0].gateway"),
        ({"hostname": "a", "networks": [{}, {"dns": ["::x"]}]}, "parameters.networks[1].dns[0]"),
    ],
)
def test_what_a_config_drive_does_not_take_is_named(parameters: dict[str, object], named: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_operation("guest.config_drive", {"userid": "LINUX01", **parameters})
    assert caught.value.field == named


async def test_a_drive_that_is_none_changes_nothing(agent: Agent) -> None:
    await agent.run(agent.guest())
    problem = await agent.refused(ConfigDrive(userid="LINUX01", drive=base64.b64encode(b"x" * 40000).decode()))
    assert (problem.status, problem.calls) == (400, ())
    assert await reader(agent) == {}


async def test_an_installation_is_loaded_from_the_reader(agent: Agent) -> None:
    await agent.run(agent.guest())
    request = install(
        method="autoyast", repository="http://192.0.2.1/sles", profile="http://192.0.2.1/auto.xml", nic="1000",
        dasds=("0100",), parm="console=ttyS0",
    )  # fmt: skip
    done = await agent.run(request)
    assert "ttyS0" not in str(done.result), "the line may hold passwords"
    assert request.parameter_line == (
        "install=http://192.0.2.1/sles autoyast=http://192.0.2.1/auto.xml "
        "rd.znet=qeth,0.0.1000,0.0.1001,0.0.1002,layer2=1 rd.dasd=0.0.0100 console=ttyS0"
    )
    assert [call.name for call in done.calls if call.kind == "cp"][-1] == "SEND CP LINUX01 IPL 000C CLEAR"
    assert (await agent.client.guest("LINUX01"))["power_state"] == "on"


async def test_the_three_files_come_first_and_those_of_others_stay(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ConfigDrive(userid="LINUX01", hostname="web07"))
    await agent.run(install(start=False))
    assert list(await reader(agent)) == ["KERNEL", "PARM", "INITRD", "cfgdrive"]


async def test_a_refused_load_leaves_no_file_and_the_guest_off(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ConfigDrive(userid="LINUX01", hostname="web07"))
    real = agent.runner.machine.cp

    async def cp(command: str) -> object:
        answer = await real("QUERY USERID" if command.startswith("SEND") else command)
        return type(answer)(3, ("HCPSND003E",)) if command.startswith("SEND") else answer

    agent.runner.machine.cp = cp  # type: ignore[method-assign,assignment]
    problem = await agent.refused(install())
    assert (problem.status, problem.code) == (403, "send-not-authorized")
    assert list(await reader(agent)) == ["cfgdrive"]
    assert (await agent.client.guest("LINUX01"))["power_state"] == "off"


async def test_files_are_fetched_and_their_digests_checked_before_anything_is_punched(agent: Agent) -> None:
    await agent.run(agent.guest())
    kernel = agent.image.path.with_name("kernel")
    kernel.write_bytes(b"a kernel")
    digest = hashlib.sha256(b"a kernel").hexdigest()
    good = BootFile(url=kernel.as_uri(), sha256=digest)
    await agent.run(install(kernel=good, start=False))
    assert list(await reader(agent)) == ["KERNEL", "PARM", "INITRD"]
    bad = await agent.refused(install(initrd=BootFile(url=kernel.as_uri(), sha256="0" * 64), start=False))
    assert (bad.status, bad.code) == (422, "digest-mismatch")
    assert bad.calls[-1].kind != "punch"


async def test_an_initrd_may_be_larger_than_what_fits_into_a_request(agent: Agent) -> None:
    await agent.run(agent.guest())
    large = agent.image.path.with_name("initrd")
    with large.open("wb") as file:
        file.truncate(100 << 20)
    with large.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    done = await agent.run(install(initrd=BootFile(url=large.as_uri(), sha256=digest), start=False))
    assert [call.parameters["bytes"] for call in done.calls if call.kind == "punch"][2] == 100 << 20
    answer = await agent.client.ask("GET", "/v1/guests/LINUX01/reader")
    files = answer["files"]
    assert isinstance(files, list)
    assert [item["records"] for item in files if isinstance(item, dict)][2] == -(-(100 << 20) // 80)


async def test_a_file_beyond_the_limit_is_refused_before_anything_is_punched(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader_operations, "SPOOL_FILE_LIMIT", 1_000_000)
    await agent.run(agent.guest())
    large = agent.image.path.with_name("initrd")
    large.write_bytes(bytes(3_000_000))
    source = BootFile(url=large.as_uri(), sha256=hashlib.sha256(bytes(3_000_000)).hexdigest())
    given = BootFile(data=base64.b64encode(bytes(1_000_001)).decode())
    for initrd, field in ((source, "initrd.url"), (given, "initrd.data")):
        problem = await agent.refused(install(initrd=initrd, start=False))
        assert (problem.status, problem.code) == (400, "bad-parameter")
        assert field in problem.detail
        assert "at most 1000000 bytes" in problem.detail
        assert not any(call.kind == "punch" for call in problem.calls)
    punched = await agent.refused(PunchFiles("LINUX01", (ReaderFile(data=given.data, name="BIG"),)))
    assert "files[0].data" in punched.detail
    assert await reader(agent) == {}


async def test_files_that_cannot_be_put_first_are_purged_again(agent: Agent) -> None:
    await agent.run(agent.guest())
    agent.simulator.faults.add(Rule(function="System_RDR_File_Manage", rc=596, rs=3, count=1))
    await agent.refused(install(start=False))
    assert await reader(agent) == {}


async def test_coreos_gets_its_ignition_in_the_initrd_and_words_in_the_line(agent: Agent) -> None:
    await agent.run(agent.guest())
    ignition = base64.b64encode(b'{"ignition": {"version": "3.4.0"}}').decode()
    request = install(
        method="coreos", repository="http://192.0.2.1/rootfs.img", ignition=ignition, install_device="dasda"
    )
    assert request.parameter_line == (
        "rd.neednet=1 coreos.live.rootfs_url=http://192.0.2.1/rootfs.img coreos.inst.install_dev=/dev/dasda "
        "ignition.firstboot ignition.platform.id=metal ro"
    )
    await agent.run(replace(request, start=False))
    number = (await reader(agent))["INITRD"]
    got = await agent.run(ReceiveFile(userid="LINUX01", spoolid=number))
    assert got.result is not None
    archive = base64.b64decode(str(got.result["data"])).removeprefix(b"070701 initrd").lstrip(b"\0")
    (member,) = cpio.read(archive)
    assert (member.name, member.data) == ("config.ign", b'{"ignition": {"version": "3.4.0"}}')


@pytest.mark.parametrize(
    ("method", "line"),
    [
        ("kickstart", "inst.repo=http://192.0.2.1/rhel inst.ks=http://192.0.2.1/ks.cfg ro"),
        (
            "coreos",
            (
                "rd.neednet=1 coreos.live.rootfs_url=http://192.0.2.1/rhel ignition.config.url=http://192.0.2.1/ks.cfg "
                "ignition.firstboot ignition.platform.id=metal ro"
            ),
        ),
    ],
)
def test_methods_have_words_of_their_own(method: str, line: str) -> None:
    request = install(method=method, repository="http://192.0.2.1/rhel", profile="http://192.0.2.1/ks.cfg")
    assert request.parameter_line == line
    assert install(method="nfsroot", repository="nfs://192.0.2.1/export/root").parameter_line == (
        "root=/dev/nfs nfsroot=192.0.2.1:/export/root ro"
    )


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"method": "autoyast"}, "parameters.repository"),
        ({"method": "kickstart", "repository": "http://a/b"}, "parameters.profile"),
        ({"method": "nfsroot", "repository": "http://a/b"}, "parameters.repository"),
        ({"method": "coreos", "repository": "http://a/b"}, "parameters.ignition"),
        ({"ignition": "eA=="}, "parameters.ignition"),
        ({"kernel": {"url": "http://a/b"}}, "parameters.kernel.sha256"),
        ({"kernel": {}}, "parameters.kernel.url"),
        ({"parm": "x" * 890, "nic": "1000"}, "parameters.parm"),
        ({"method": "netinst"}, "parameters.method"),
    ],
)
def test_what_an_installation_does_not_take_is_named(parameters: dict[str, object], named: str) -> None:
    files = {"kernel": {"data": "eA=="}, "initrd": {"data": "eA=="}}
    with pytest.raises(FieldError) as caught:
        parse_operation("guest.netboot", {"userid": "LINUX01", **files, **parameters})
    assert caught.value.field == named


IP = "ip=192.0.2.30::192.0.2.1:255.255.255.0:inst01:enc1000:none:192.0.2.53"
RELEASE = b'ID=linux\nPRETTY_NAME="Installer 15.6"\n'
WEB = "http://192.0.2.9"
INSTALLS: dict[str, tuple[dict[str, object], tuple[str, ...]]] = {
    "autoyast": (
        {"repository": f"{WEB}/sles", "profile": f"{WEB}/auto.xml"},
        ("Welcome to Installer 15.6!", f"packages from {WEB}/sles", f"autoyast: configuration {WEB}/auto.xml"),
    ),
    "kickstart": (
        {"repository": f"{WEB}/rhel", "profile": f"{WEB}/ks.cfg"},
        ("Welcome to Installer 15.6!", f"packages from {WEB}/rhel", f"kickstart: configuration {WEB}/ks.cfg"),
    ),
    "nfsroot": (
        {"repository": "nfs://192.0.2.9/images/root"},
        ("VFS: Mounted root (nfs filesystem) from 192.0.2.9:/images/root.",),
    ),
}
"""Each method with its words, and what the console of a guest says that has booted so."""


@pytest.mark.parametrize("method", list(INSTALLS))
async def test_a_guest_boots_its_installation_from_the_reader(agent: Agent, method: str) -> None:
    """What was punched is loaded, finds its address on the command line, and goes where the method says."""
    words, expected = INSTALLS[method]
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(AttachNic(userid="LINUX01", vdev="1000", network="VSW1"))
    files = {
        "kernel": BootFile(data=base64.b64encode(kernel.sample()).decode()),
        "initrd": BootFile(data=base64.b64encode(kernel.sample_initial({"etc/os-release": RELEASE})).decode()),
    }
    await agent.run(install(method=method, nic="1000", parm=IP, **files, **words))
    said = ""
    for _ in range(200):
        said = (await agent.http.get("/v1/guests/LINUX01/console")).text
        if all(words in said for words in (*expected, "enc1000: 192.0.2.30/24")):
            break
        await asyncio.sleep(0.1)
    assert [words for words in expected if words not in said] == []
    assert "enc1000: 192.0.2.30/24" in said, "it has the address of its command line"
    assert "rd.znet=qeth,0.0.1000,0.0.1001,0.0.1002" in said
    assert await reader(agent) == {}, "it has read its files"
