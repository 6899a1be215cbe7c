"""CoreOS on a SCSI volume: what its first start reads is written, all of it or nothing, and nothing else is changed."""

from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
from pathlib import Path
from typing import Never

import pytest

import coreos_image
from coreos_image import tool
from zhcp.conftest import Agent
from zhcp.test_scsi_volumes import FIRST as FIRST_LUN
from zhcp.test_scsi_volumes import PORT, clean, content, lun, volume, with_devices
from zvmcloud.images import coreos
from zvmcloud.images.coreos import Installed
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.simulator import luns
from zvmcloud.zhcp import coreos_disk
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.coreos_messages import PrepareCoreos
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.journal import digest
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.operations.places import Disk

CONFIG = json.dumps({"ignition": {"version": "3.2.0"}}).encode()
EACH = (f"rd.zfcp=0.0.1c00,0x{PORT},0x4010400000000000", "zfcp.allow_lun_scan=0")
FIRST = (
    "rd.znet=qeth,0.0.1000,0.0.1001,0.0.1002,layer2=1,portno=0",
    "rd.neednet=1",
    "ip=192.0.2.5::192.0.2.1:24:w1:enc1000:none",
)
FIRST_LINE = " ".join((coreos_image.OPTIONS, *EACH, "ignition.firstboot", *FIRST))


def asked(**changes: object) -> PrepareCoreos:
    given: dict[str, object] = {
        "volume": volume(), "ignition": base64.b64encode(CONFIG).decode(), "each_start": EACH, "first_start": FIRST,
    }  # fmt: skip
    return PrepareCoreos(**{**given, **changes})  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return coreos_image.build(tmp_path_factory.mktemp("coreos") / "image")


@pytest.fixture
async def written(agent: Agent, image: Path) -> Agent:
    """An agent with two FCP devices, and a LUN that has the image."""
    await with_devices(agent)
    lun(agent, blocks=coreos_image.BLOCKS)
    path = agent.folder / "images" / "rhcos"
    path.write_bytes(image.read_bytes())
    source = ImageSource(url=path.as_uri(), sha256=hashlib.sha256(path.read_bytes()).hexdigest())
    await agent.run(WriteImage(source=source, volume=volume()))
    return agent


def boot_files(agent: Agent) -> Path:
    """The boot partition, for e2fsprogs."""
    path = agent.folder / "boot"
    first, count = coreos_image.FIRST * 512, coreos_image.PARTITION * 512
    path.write_bytes(content(agent)[first : first + count])
    return path


async def test_the_first_start_finds_its_file_and_its_words(written: Agent) -> None:
    outcome = await written.run(asked())
    assert outcome.result is not None
    assert outcome.result["command_line"] == FIRST_LINE
    boot = boot_files(written)
    assert tool("debugfs", "-R", "cat /ignition/config.ign", boot).encode() == CONFIG
    assert tool("debugfs", "-R", "cat /loader/entries/ostree-1-rhcos.conf", boot).splitlines()[2] == (
        f"options {coreos_image.OPTIONS} {' '.join(EACH)}"
    ), "words of the first start are not for the others"
    assert coreos_image.LABEL in tool(
        "debugfs", "-R", "ea_get /loader/entries/ostree-1-rhcos.conf security.selinux", boot
    )
    assert tool("debugfs", "-R", "cat /ignition.firstboot", boot) == (
        f'set ignition_network_kcmdline="{" ".join(FIRST)}"\n'
    )
    assert "0600" in tool("debugfs", "-R", "stat /ignition/config.ign", boot)
    tool("e2fsck", "-fn", boot)
    clean(written)
    assert list((written.settings.state / "coreos").iterdir()) == [], "nothing is left beside the volume"


async def test_only_the_boot_partition_and_one_list_of_the_record_are_changed(written: Agent) -> None:
    before = content(written)
    await written.run(asked())
    after = content(written)
    differ = {
        at // 512 for at in range(0, coreos_image.BLOCKS * 512, 512) if before[at : at + 512] != after[at : at + 512]
    }
    inside = range(coreos_image.FIRST, coreos_image.FIRST + coreos_image.PARTITION)
    assert differ <= set(inside)
    again = await written.run(asked())
    assert again.result is not None
    assert (again.result["changed"], content(written) == after) == (0, True), "asked again, nothing is left to do"
    other = await written.run(asked(first_start=("ip=dhcp",)))
    assert other.result is not None
    assert str(other.result["command_line"]).endswith("ignition.firstboot ip=dhcp")


@pytest.mark.parametrize("fails", ["keep", "overwrite", "look"])
async def test_a_failure_leaves_each_byte_as_it_was(
    written: Agent, monkeypatch: pytest.MonkeyPatch, fails: str
) -> None:
    """Before the first byte is overwritten, in the middle, and after the last."""
    before = content(written)
    with monkeypatch.context() as patched:
        if fails == "overwrite":
            patched.setattr(coreos_disk, "overwrite", half_of_it)
        elif fails == "keep":
            patched.setattr(coreos_disk, "keep", full)
        else:
            looked = coreos_disk.look

            def look(place: Disk) -> Installed:
                return looked(place) if content(written) == before else full()

            patched.setattr(coreos_disk, "look", look)
        problem = await written.refused(asked())
    assert problem.code == "disk-write-failed"
    assert content(written) == before
    clean(written)
    assert not [path for path in (written.settings.state / "coreos").glob("*") if path.suffix != ".new"]
    await written.run(asked())


def half_of_it(place: Disk, changes: tuple[coreos_disk.Change, ...]) -> None:
    coreos_disk._write(place, [(change.offset, change.new) for change in changes[: len(changes) // 2]])
    full(place)


def full(*_: object) -> Never:
    raise OSError(28, "No space left on device")


async def test_what_a_crash_left_half_is_brought_back_and_done(written: Agent) -> None:
    """The agent was killed in the middle of writing; started again, it is asked the same again."""
    folder = written.settings.state / "coreos"
    system = coreos_disk.look(place := on_lun(written))
    wanted = coreos_disk.Wanted(CONFIG, EACH, FIRST)
    changes = await coreos_disk.changes(place, system, wanted, folder / "scratch")
    kept = folder / (hashlib.sha256(b"job/cut").hexdigest()[:32] + ".old")
    coreos_disk.keep(kept, changes)
    with pytest.raises(OSError, match="No space"):
        half_of_it(place, changes)
    body = digest("volume.ignition", operation_json(asked()))
    await written.runner.journal.admit("job", "cut", 1, "volume.ignition", body)
    written.restart()
    await written.runner.recover()
    assert kept.exists(), "it is asked for again"
    outcome = await written.run(asked(), step="cut")
    assert outcome.result is not None
    assert outcome.result["command_line"] == FIRST_LINE
    tool("e2fsck", "-fn", boot_files(written))
    assert not kept.exists()


async def test_old_bytes_are_not_brought_back_over_what_somebody_else_wrote(written: Agent) -> None:
    """The guest was started between a crash and the next try of the same operation. Then nobody asks for it any more,
    and the next start of the agent forgets them."""
    place, folder = on_lun(written), written.settings.state / "coreos"
    changes = await coreos_disk.changes(
        place, coreos_disk.look(place), coreos_disk.Wanted(CONFIG, EACH, FIRST), folder / "scratch"
    )
    coreos_disk.keep(folder / (hashlib.sha256(b"job/cut").hexdigest()[:32] + ".old"), changes)
    coreos_disk.overwrite(place, changes)
    with FbaDisk(place.path, writable=True) as disk:
        disk.write(changes[0].offset // 512, b"\x5a" * len(changes[0].new))
    before = content(written)
    with pytest.raises(ZhcpError) as caught:
        await written.run(asked(), step="cut")
    assert (caught.value.problem.status, caught.value.problem.code) == (409, "volume-changed")
    assert f"could not undo: the boot partition of LUN 0x{FIRST_LUN}" in caught.value.problem.detail
    assert content(written) == before
    assert any(folder.iterdir())
    written.restart()
    await written.runner.recover()
    assert not any(folder.iterdir())


def on_lun(agent: Agent) -> Disk:
    return Disk("LUN", "SCSI", coreos_image.BLOCKS, lun_file(agent), "", {})


def lun_file(agent: Agent) -> Path:
    return luns.file(
        agent.simulator.system, next(item for item in agent.simulator.system.luns.values() if item.lun == FIRST_LUN)
    )


async def test_what_is_no_coreos_or_was_started_is_refused_untouched(written: Agent, tmp_path: Path) -> None:
    with FbaDisk(lun_file(written), writable=True) as disk:
        started = coreos_image.build(tmp_path / "started", firstboot=False).read_bytes()
        disk.write(0, started)
    before = content(written)
    problem = await written.refused(asked())
    assert (problem.status, problem.code) == (409, "coreos-started")
    with FbaDisk(lun_file(written), writable=True) as disk:
        disk.write(1, bytes(512))
    problem = await written.refused(asked())
    assert (problem.status, problem.code) == (422, "not-coreos")
    assert "no GUID partition table" in problem.detail
    assert content(written)[1024:] == before[1024:]


async def test_a_line_that_is_too_long_and_a_missing_tool_are_said_before_anything_is_touched(
    written: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = content(written)
    problem = await written.refused(asked(first_start=("x" * 399, "y" * 399)))
    assert (problem.status, problem.code) == (422, "coreos-unprepared")
    monkeypatch.setattr("shutil.which", lambda *_, **__: None)
    problem = await written.refused(asked())
    assert (problem.status, problem.code) == (501, "tool-missing")
    assert "debugfs" in problem.detail
    assert content(written) == before


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("each_start", ("two words",)),
        ("first_start", ('quo"ted',)),
        ("first_start", ("",)),
        ("ignition", "not base64!"),
        ("ignition", ""),
        ("ignition", base64.b64encode(b"{}").decode()),
        ("ignition", base64.b64encode(b'{"ignition": {"version": 3}}').decode()),
        ("ignition", base64.b64encode(b"variant: fcos").decode()),
        ("ignition", base64.b64encode(b" " * (coreos.MAX_CONFIG + 1)).decode()),
        ("volume", dataclasses.replace(volume(), wwpns=())),
    ],
)
async def test_bad_members_are_refused_by_name(agent: Agent, name: str, value: object) -> None:
    problem = await refusal(agent, asked(**{name: value}))
    assert name.partition(".")[0] in problem


async def refusal(agent: Agent, operation: PrepareCoreos) -> str:
    """What its own check says, or else the agent."""
    try:
        operation.check()
    except FieldError as wrong:
        return str(wrong)
    refused = await agent.refused(operation)
    assert (refused.status, refused.code) == (400, "bad-parameter")
    return refused.detail
