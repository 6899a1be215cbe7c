"""`zvm zhcp check`: what it says is enough to mend an installation, and it names what is missing and nothing else."""

from __future__ import annotations

import asyncio
import json
import re
import socket
from pathlib import Path

import httpx
import pytest
from typer.testing import CliRunner

from asgi import AsgiDoor
from zhcp.check.site import BARE, WHOLE, Site, site
from zvmcloud.cp import commands
from zvmcloud.images.sample import write_sample_image
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model import Authorization, NameList
from zvmcloud.zhcp import settings as settings_module
from zvmcloud.zhcp.check import authlist, rights
from zvmcloud.zhcp.check.findings import Mend, State
from zvmcloud.zhcp.check.steps import Check
from zvmcloud.zhcp.client import ZhcpClient
from zvmcloud.zhcp.disk_messages import NewDisk
from zvmcloud.zhcp.guest_messages import CreateGuest, StartGuest
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.machine import CpAnswer
from zvmcloud.zhcp.program import app, machine_of, runner_of
from zvmcloud.zhcp.reader_messages import PunchFiles, ReaderFile
from zvmcloud.zhcp.service import Service
from zvmcloud.zhcp.smapi_port import SmapiPort

FUNCTIONS = tuple(rights.function_names())
ROOM = Path(rights.__file__).parents[1]


def _source() -> str:
    return "\n".join(file.read_text() for file in ROOM.rglob("*.py") if file.relative_to(ROOM).parts[0] != "check")


# -- what the agent uses


def test_the_table_of_functions_is_what_the_agent_calls() -> None:
    called = {name.lower() for name in re.findall(r"\bf\.([A-Z]\w+)\(", _source())}
    listed = {name.replace("_", "").lower() for name in FUNCTIONS} - {"authorizationlistquery"}
    assert (called - listed, listed - called) == (set(), set()), "correct FUNCTIONS of zvmcloud/zhcp/check/rights.py"


def test_the_table_of_commands_is_what_the_agent_issues() -> None:
    built = {name for name in vars(commands) if not name.startswith("_")}
    issued, listed = set(re.findall(r"\bcommands\.([a-z_]+)\(", _source())) & built, set(rights.COMMANDS)
    assert (issued - listed, listed - issued) == (set(), set()), "correct COMMANDS of zvmcloud/zhcp/check/rights.py"


def test_a_record_has_the_columns_of_the_file() -> None:
    record = authlist.record("zhcp", "Image_Query_DM")
    assert (record.index("ZHCP"), record.index("ALL"), record.index("IMAGE")) == (0, 65, 130)


# -- from nothing to a deploy


async def deploy(made: Site) -> None:
    image = write_sample_image(made.folder / "images/sample", cylinders=5)
    runner = runner_of(made.settings)
    transport = httpx.ASGITransport(Service(runner).application())
    client = ZhcpClient("http://zhcp", door=AsgiDoor(transport))
    root = NewDisk(vdev="0100", size_units=10, pool="POOL1", boot=True)
    source = ImageSource(url=image.path.as_uri(), sha256=image.sha256, bytes=image.bytes)
    steps = (
        CreateGuest(
            userid="LINUX01", vcpus=1, memory_mb=512, max_cpus=2, max_memory_mb=512, profile="LNXDFLT", ipl="0100",
            disks=(root,),
        ),
        WriteImage(userid="LINUX01", vdev="0100", source=source),
        PunchFiles(userid="LINUX01", files=(ReaderFile(name="HOSTNAME", type="SH", class_="X", data="aGk="),)),
        StartGuest(userid="LINUX01"),
    )  # fmt: skip
    try:
        for number, step in enumerate(steps):
            outcome = await client.run(job="deploy", step=str(number), epoch=1, operation=step)
            assert outcome.state == "done"
    finally:
        await client.close()
        await runner.stop()
    assert "LINUX01" in made.simulator.system.machines


async def test_following_only_its_output_leads_from_no_rights_to_a_deploy(tmp_path: Path) -> None:
    async with site(tmp_path, BARE) as made:
        report = await made.check()
        rounds = 0
        while not report.ok:
            rounds += 1
            assert rounds <= 4, str(report)
            assert await made.follow(report) > 0
            report = await made.check()
        assert rounds > 0
        assert not report.of(State.FAILED, State.SKIPPED)
        await deploy(made)


# -- any one right

STATEMENTS = {"OPTION LNKNOPAS": "links", rights.READER: "reader", rights.PUNCH: "punch"}


@pytest.mark.parametrize("gone", FUNCTIONS)
async def test_a_function_that_is_not_authorized_is_named_exactly(tmp_path: Path, gone: str) -> None:
    (tmp_path / "images").mkdir()
    async with site(tmp_path, WHOLE, [name for name in FUNCTIONS if name != gone]) as made:
        report = await made.check()
        (failed,) = report.of(State.FAILED)
        assert failed.step == "authlist"
        assert gone in failed.detail
        assert failed.mends == (Mend("authlist", "VSMWORK1", authlist.record("ZHCP", gone)),)
        await made.follow(report)
        assert (await made.check()).ok


@pytest.mark.parametrize("gone", [*STATEMENTS, "class B", "class G"])
async def test_what_is_missing_in_the_entry_is_named_exactly(tmp_path: Path, gone: str) -> None:
    (tmp_path / "images").mkdir()
    entry = [line for line in WHOLE if line != gone]
    if gone.startswith("class"):
        entry[0] = entry[0].replace("BG", "BG".replace(gone[-1], ""))
    async with site(tmp_path, entry, FUNCTIONS) as made:
        report = await made.check()
        (failed,) = report.of(State.FAILED)
        statement = "USER ZHCP = = = BG" if gone.startswith("class") else gone
        assert failed.step == STATEMENTS.get(gone, "classes")
        assert failed.mends == (
            Mend("directory", "ZHCP", statement),
            Mend("cp", "MAINT", "FORCE ZHCP"),
            Mend("cp", "MAINT", "XAUTOLOG ZHCP"),
        )
        await made.follow(report)
        assert (await made.check()).ok


async def test_an_entry_that_was_changed_after_the_logon_only_wants_a_logon(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    async with site(tmp_path, [line for line in WHOLE if line != rights.READER], FUNCTIONS) as made:
        await made.check()
        await made._directory("ZHCP", rights.READER)
        report = await made.check()
        (failed,) = report.of(State.FAILED)
        assert (failed.step, [mend.kind for mend in failed.mends]) == ("reader", ["cp", "cp"])


# -- lists, targets, policies


async def test_rights_by_lists_count_and_rights_for_some_targets_do_not(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    async with site(tmp_path, WHOLE, ["Authorization_List_Query", "Name_List_Query"]) as made:
        system = made.simulator.system
        with system.transaction():
            system.name_lists.put("CLOUD", NameList("CLOUD", ("ZHCP", "MAINT")))
            system.name_lists.put("WANTED", NameList("WANTED", FUNCTIONS))
            system.authorizations.put("CLOUD ALL WANTED", Authorization("CLOUD", "ALL", "WANTED"))
        assert (await made.check()).ok
        with system.transaction():
            system.authorizations.remove("CLOUD ALL WANTED")
            system.authorizations.put("ZHCP LINUX01 ALL", Authorization("ZHCP", "LINUX01", "ALL"))
        assert len((await made.check()).of(State.FAILED)) == len(FUNCTIONS) - 1


async def test_a_security_manager_that_decides_alone_is_left_to_decide(tmp_path: Path) -> None:
    (tmp_path / "DMSSICNF.COPY").write_text("Authorization_Policy = Authorization_Policy_EsmOnly\n")
    async with site(tmp_path, WHOLE, FUNCTIONS) as made:
        made.document["dmssicnf"] = "DMSSICNF.COPY"  # type: ignore[assignment]
        report = await made.check()
        assert next(item for item in report.findings if item.step == "authlist").state is State.WARNING


# -- contact, time, pools, the agent's own machine


async def test_a_request_server_that_is_not_there_is_started(tmp_path: Path) -> None:
    async with site(tmp_path, WHOLE, FUNCTIONS) as made:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            made.document["smapi"]["port"] = free.getsockname()[1]
            report = await made.check()
    reach = next(item for item in report.findings if item.step == "reach")
    assert reach.state is State.FAILED
    assert Mend("cp", "MAINT", "XAUTOLOG VSMWORK1") in reach.mends
    assert {item.step for item in report.of(State.SKIPPED)} >= {"credentials", "authlist", "pools"}


async def test_a_wrong_password_is_found_and_not_shown(tmp_path: Path) -> None:
    async with site(tmp_path, WHOLE, FUNCTIONS) as made:
        made.document["smapi"]["password"] = "GEHEIM"
        report = await made.check()
    assert {item.step for item in report.of(State.FAILED)} >= {"machine", "credentials"}
    assert "GEHEIM" not in str(report) + json.dumps(report.to_json())
    assert "reader" in {item.step for item in report.of(State.SKIPPED)}


@pytest.mark.parametrize(("apart", "said"), [(100, "100 seconds ahead of"), (-61, "61 seconds behind")])
async def test_clocks_that_are_apart_are_named_with_the_difference(tmp_path: Path, apart: int, said: str) -> None:
    clock = ManualClock()
    async with site(tmp_path, WHOLE, FUNCTIONS, clock) as made:
        port, machine = SmapiPort.of(made.settings), machine_of(made.settings)
        report = await Check(made.settings, port, machine, clock=lambda: clock.now() + apart).run()
        await machine.close()
    found = next(item for item in report.findings if item.step == "time")
    assert (found.state, found.mends) == (State.FAILED, (Mend("linux", "root", "chronyc makestep"),))
    assert said in found.detail


class Elsewhere:
    """A machine whose CP is five hours west."""

    async def cp(self, command: str) -> CpAnswer:
        if command == "QUERY TIMEZONES":
            return CpAnswer(0, ("Zone  Direction   Offset     Status", "EST   West        05.00.00   ACTIVE"))
        return CpAnswer(0, ("TIME IS 07:00:00 EST FRIDAY 11/20/26",))


async def test_the_zone_of_the_system_does_not_matter(tmp_path: Path) -> None:
    settings = settings_module.read({}, tmp_path)
    check = Check(settings, SmapiPort.of(settings), Elsewhere(), clock=lambda: 1795176000.0)  # type: ignore[arg-type]
    await check._time()
    assert check._findings[0].state is State.OK, check._findings


async def test_a_pool_that_z_vm_does_not_have_is_taken_out_of_the_settings(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    async with site(tmp_path, WHOLE, FUNCTIONS) as made:
        made.document["storage"]["pools"] = ["POOL1", "POOL9"]
        report = await made.check()
        (failed,) = report.of(State.FAILED)
        assert (failed.step, failed.mends) == ("pools", (Mend("settings", "[storage]", 'pools = ["POOL1"]'),))
        await made.follow(report)
        assert (await made.check()).ok


async def test_what_crosses_a_network_has_tls(tmp_path: Path) -> None:
    settings = settings_module.read({"smapi": {"host": "zvm1"}, "listen": {"host": "10.0.0.5"}}, tmp_path)
    check = Check(settings, SmapiPort.of(settings), machine_of(settings))
    check._tls()
    assert [item.state for item in check._findings] == [State.FAILED] * 2
    lines = [mend.line for item in check._findings for mend in item.mends]
    assert lines == ["tls = true", 'certificate = "<file>"', 'key = "<file>"', 'client_ca = "<file>"']


async def test_on_hardware_the_entry_needs_iucv_and_linux_its_tools(tmp_path: Path) -> None:
    async with site(tmp_path, WHOLE, FUNCTIONS) as made:
        machine, port = machine_of(made.settings), SmapiPort.of(made.settings)
        made.document["machine"]["kind"] = "linux"
        report = await Check(made.settings, port, machine, tool=lambda name: None if name == "vmur" else name).run()
        await machine.close()
    failed = {item.step: item for item in report.of(State.FAILED)}
    assert failed["iucv"].mends[0] == Mend("directory", "ZHCP", "IUCV ANY")
    assert "vmur" in failed["programs"].detail


async def test_a_machine_that_cannot_be_reached_skips_what_needs_it(tmp_path: Path) -> None:
    async with site(tmp_path, WHOLE, FUNCTIONS) as made:
        made.document["machine"]["kind"] = "linux"
        report = await made.check()
    machine = report.findings[0]
    assert (machine.step, machine.state) == ("machine", State.FAILED)
    assert machine.mends == (Mend("linux", "root", "modprobe vmcp"),)
    assert {"classes", "time"} <= {item.step for item in report.of(State.SKIPPED)}


# -- the command


async def test_the_command_prints_json_and_ends_with_1_when_something_is_missing(tmp_path: Path) -> None:
    async with site(tmp_path, WHOLE, FUNCTIONS) as made:
        file = tmp_path / "zhcp.toml"
        smapi, machine = made.simulator.smapi_port, made.simulator.machine_port
        text = f'[smapi]\nport = {smapi}\npassword = "ZHCP"\n[machine]\nport = {machine}\n'
        file.write_text(text)

        async def run(*words: str) -> tuple[int, str]:
            call = CliRunner().invoke
            ended = await asyncio.to_thread(call, app, ["check", "--settings", str(file), *words])
            return ended.exit_code, ended.output

        code, output = await run()
        assert (code, output.splitlines()[-1]) == (0, "Everything the agent needs is there.")
        execute(made.simulator.system, "MAINT", "FORCE ZHCP")
        file.write_text(f'{text}[storage]\npools = ["POOL9"]\n')
        code, output = await run("-o", "json")
        document = json.loads(output)
        assert (code, document["ok"]) == (1, False)
        assert [item["step"] for item in document["findings"] if item["state"] == "failed"] == ["pools"]
        file.write_text("[smapi]\nprot = 1\n")
        assert (await run())[0] == 2


# -- the installation guide


async def test_the_guide_shows_what_the_check_says(tmp_path: Path) -> None:
    """What failed and what mends it, to the letter."""
    (tmp_path / "images").mkdir()
    guide = (Path(__file__).parents[3] / "docs/zhcp-installation.md").read_text()
    entry = ["USER ZHCP ZHCP 2G 4G G", *(line for line in WHOLE[1:] if line != rights.LINK_OPTION)]
    async with site(tmp_path, entry, [name for name in FUNCTIONS if name != "Image_Pause"]) as made:
        first = await made.check()
        await made.follow(first)
        second = await made.check()
    assert len(first.of(State.FAILED)) == 3
    for finding in first.of(State.FAILED):
        assert str(finding) in guide
    for report in (first, second):
        assert str(report).splitlines()[-1] in guide
