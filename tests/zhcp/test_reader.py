"""Reader files of guests: listed, put in order, handed over, received, purged; and lines typed on a console."""

import asyncio
import base64

import pytest

from zhcp.conftest import Agent
from zhcp.dying import Dying
from zhcp.test_resize import running
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp.boot_messages import BootFile, ConfigDrive, NetBoot
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import parse_operation
from zvmcloud.zhcp.reader_messages import (
    OrderFiles,
    PunchFiles,
    PurgeFiles,
    ReaderFile,
    ReceiveFile,
    SendToConsole,
    TransferFiles,
    WithdrawFile,
)


def file(name: str) -> ReaderFile:
    return ReaderFile(
        name=name, type="TXT", class_="A", data=base64.b64encode(f"the content of {name}".encode()).decode()
    )


async def reader(agent: Agent, userid: str = "LINUX01") -> dict[str, str]:
    answer = await agent.client.ask("GET", f"/v1/guests/{userid}/reader")
    files = answer["files"]
    assert isinstance(files, list)
    return {str(item["name"]): str(item["spoolid"]) for item in files if isinstance(item, dict)}


async def three(agent: Agent) -> dict[str, str]:
    await agent.run(agent.guest())
    await agent.run(agent.guest("LINUX02"))
    await agent.run(PunchFiles(userid="LINUX01", files=(file("ONE"), file("TWO"), file("THREE"))))
    return await reader(agent)


BOOT = ("KERNEL", "PARM", "INITRD")
GIVING: dict[str, Operation] = {
    "reader.punch": PunchFiles(userid="LINUX01", files=(file("ONE"), file("TWO"))),
    "guest.config_drive": ConfigDrive(userid="LINUX01", hostname="web07"),
    "guest.netboot": NetBoot(
        BootFile(data=file("KERNEL").data), BootFile(data=file("INITRD").data), userid="LINUX01", start=False
    ),
}


@pytest.mark.parametrize("kind", list(GIVING))
@pytest.mark.parametrize("moment", ["made", "noted", "handed over"])
async def test_a_guest_gets_each_file_once_whenever_the_agent_dies(agent: Agent, kind: str, moment: str) -> None:
    await agent.run(agent.guest())
    first = Dying(agent)
    if moment == "made":
        first.at_note("punched-")
    else:
        first.at_command("TRANSFER", after=moment == "handed over")
    await first.run(GIVING[kind])
    names = {"reader.punch": ["ONE", "TWO"], "guest.config_drive": ["cfgdrive"], "guest.netboot": [*BOOT]}[kind]
    answer = await agent.client.ask("GET", "/v1/guests/LINUX01/reader")
    assert [item["name"] for item in answer["files"]] == names  # type: ignore[index,union-attr,call-overload]
    assert await agent.runner.machine.reader() == ()
    await first.bury()


async def test_the_reader_is_listed_as_z_vm_shows_it(agent: Agent) -> None:
    assert list(await three(agent)) == ["ONE", "TWO", "THREE"]
    answer = await agent.client.ask("GET", "/v1/guests/LINUX01/reader")
    first = answer["files"][0]  # type: ignore[index]
    assert (first["origin"], first["class"], first["type"], first["hold"]) == ("ZHCP", "A", "PUN", "NONE")  # type: ignore[index,call-overload]
    assert await reader(agent, "LINUX02") == {}
    with pytest.raises(ZhcpError, match="guest-unknown"):
        await reader(agent, "NOBODY")


async def test_files_are_put_first(agent: Agent) -> None:
    before = await three(agent)
    await agent.run(OrderFiles(userid="LINUX01", spoolids=(before["THREE"], before["TWO"])))
    assert list(await reader(agent)) == ["THREE", "TWO", "ONE"]
    missing = await agent.refused(OrderFiles(userid="LINUX01", spoolids=(before["ONE"], "0999")))
    assert (missing.status, missing.code) == (404, "file-unknown")
    assert "0999" in missing.detail
    assert list(await reader(agent)) == ["THREE", "TWO", "ONE"]


async def test_files_are_purged_and_those_that_are_gone_are_fine(agent: Agent) -> None:
    before = await three(agent)
    gone = await agent.run(PurgeFiles(userid="LINUX01", spoolids=(before["TWO"], "0999")))
    assert gone.result == {"userid": "LINUX01", "purged": [before["TWO"]]}
    assert list(await reader(agent)) == ["ONE", "THREE"]
    await agent.run(PurgeFiles(userid="LINUX01"))
    assert await reader(agent) == {}
    assert (await agent.run(PurgeFiles(userid="LINUX01"))).result == {"userid": "LINUX01", "purged": []}


async def test_a_file_is_taken_back_unless_the_guest_has_read_it(agent: Agent) -> None:
    before = await three(agent)
    await agent.run(PunchFiles(userid="LINUX01", files=(file("ONE"),)))
    back = WithdrawFile(userid="LINUX01", name="ONE", type="TXT")
    await agent.run(back)
    assert await reader(agent) == before, "the one that came last goes"
    await agent.run(back)
    assert list(await reader(agent)) == ["TWO", "THREE"]
    assert (await agent.run(back)).result == {"userid": "LINUX01", "withdrawn": []}
    with pytest.raises(FieldError, match="name"):
        parse_operation("reader.withdraw", {"userid": "LINUX01", "name": "NINELETTERS"})


async def test_files_go_to_another_reader_and_back_when_that_fails(agent: Agent) -> None:
    before = await three(agent)
    await agent.run(TransferFiles(userid="LINUX01", to="LINUX02", spoolids=(before["ONE"], before["THREE"])))
    assert list(await reader(agent)) == ["TWO"]
    assert sorted(await reader(agent, "LINUX02")) == ["ONE", "THREE"]
    unknown = await agent.refused(TransferFiles(userid="LINUX01", to="NOBODY", spoolids=(before["TWO"],)))
    assert (unknown.status, unknown.code) == (404, "guest-unknown")
    assert list(await reader(agent)) == ["TWO"]
    again = await reader(agent, "LINUX02")
    agent.simulator.faults.add(Rule(function="System_RDR_File_Manage", skip=1, rc=396, rs=7, count=1))
    await agent.refused(TransferFiles(userid="LINUX02", to="LINUX01", spoolids=(again["ONE"], again["THREE"])))
    assert sorted(await reader(agent, "LINUX02")) == ["ONE", "THREE"]
    assert await agent.runner.machine.reader() == ()


async def test_files_that_were_handed_over_come_back_under_the_numbers_that_they_had_here(agent: Agent) -> None:
    before = await three(agent)
    agent.simulator.faults.add(Rule(function="System_RDR_File_Query", skip=4, rc=620, rs=77, count=1))
    await agent.refused(TransferFiles(userid="LINUX01", to="LINUX02", spoolids=(before["ONE"], before["THREE"])))
    assert list(await reader(agent)) == ["ONE", "TWO", "THREE"]
    assert await reader(agent, "LINUX02") == {}
    assert await agent.runner.machine.reader() == ()


@pytest.mark.parametrize("moment", ["moved", "noted", "handed over"])
async def test_a_transfer_whose_agent_dies_loses_no_file_and_leaves_none_behind(agent: Agent, moment: str) -> None:
    before = await three(agent)
    first = Dying(agent)
    if moment == "moved":
        first.after_function("System_RDR_File_Manage")
    else:
        first.at_command("TRANSFER", after=moment == "handed over")
    transfer = TransferFiles(userid="LINUX01", to="LINUX02", spoolids=(before["ONE"], before["THREE"]))
    await first.begin(transfer, "dying")
    await agent.run(PunchFiles(userid="LINUX01", files=(file("FOUR"),)))  # somebody else's, meanwhile
    done = await agent.run(transfer, step="dying")
    assert list(await reader(agent)) == ["TWO", "FOUR"]
    assert list(await reader(agent, "LINUX02")) == ["ONE", "THREE"]
    assert await agent.runner.machine.reader() == ()
    assert done.result is not None
    assert done.result["before"] == {"spoolids": list((await reader(agent, "LINUX02")).values())}
    await first.bury()


async def test_a_transfer_that_cannot_go_on_after_a_crash_gives_back_what_it_took(agent: Agent) -> None:
    before = await three(agent)
    first = Dying(agent)
    first.after_function("System_RDR_File_Manage")
    transfer = TransferFiles(userid="LINUX01", to="LINUX02", spoolids=(before["ONE"], before["THREE"]))
    await first.begin(transfer, "dying")
    await agent.run(PurgeFiles(userid="LINUX01", spoolids=(before["THREE"],)))  # its guest has read it
    problem = await agent.refused(transfer, step="dying")
    assert problem.code == "file-unknown"
    assert sorted(await reader(agent)) == ["ONE", "TWO"]
    assert await reader(agent, "LINUX02") == {}
    assert await agent.runner.machine.reader() == ()
    await first.bury()


async def test_a_transfer_whose_answer_is_lost_leaves_no_file_with_the_agent(agent: Agent) -> None:
    before = await three(agent)
    agent.simulator.faults.add(Rule(function="System_RDR_File_Manage", action="drop-after-work", count=1))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
    await agent.refused(TransferFiles(userid="LINUX01", to="LINUX02", spoolids=(before["ONE"],)))
    assert list(await reader(agent)) == ["ONE", "TWO", "THREE"]
    assert await agent.runner.machine.reader() == ()


async def test_a_file_whose_agent_dies_is_received_all_the_same(agent: Agent) -> None:
    before = await three(agent)
    first = Dying(agent)
    first.after_function("System_RDR_File_Manage")
    done = await first.run(ReceiveFile(userid="LINUX01", spoolid=before["TWO"]))
    assert done.result is not None
    assert (done.result["name"], list(await reader(agent))) == ("TWO", ["ONE", "THREE"])
    await first.bury()


async def test_a_file_is_received(agent: Agent) -> None:
    before = await three(agent)
    got = await agent.run(ReceiveFile(userid="LINUX01", spoolid=before["TWO"]))
    assert got.result is not None
    assert base64.b64decode(str(got.result["data"])) == b"the content of TWO"
    assert list(await reader(agent)) == ["ONE", "THREE"]
    assert await agent.runner.machine.reader() == ()


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("reader.order", {"spoolids": []}, "parameters.spoolids"),
        ("reader.purge", {"spoolids": ["1", "0001"]}, "parameters.spoolids"),
        ("reader.purge", {"spoolids": ["ALL"]}, "parameters.spoolids[0]"),
        ("reader.transfer", {"spoolids": ["1"], "to": "LINUX01"}, "parameters.to"),
        ("guest.send", {"text": "LS #CP LOGOFF"}, "parameters.text"),
        ("guest.send", {"text": "x" * 201}, "parameters.text"),
        ("guest.send", {"text": "ls", "window": 301}, "parameters.window"),
    ],
)
def test_what_a_reader_or_console_does_not_take_is_named(kind: str, parameters: dict[str, object], named: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_operation(kind, {"userid": "LINUX01", **parameters})
    assert caught.value.field == named


async def test_a_cp_command_is_typed_and_its_answer_comes_back(agent: Agent) -> None:
    await running(agent)
    said = await agent.run(SendToConsole(userid="LINUX01", text="QUERY USERID", cp=True, window=5, expect="AT ZVM1"))
    assert said.result is not None
    assert "LINUX01  AT ZVM1" in str(said.result["output"])
    assert "login:" not in str(said.result["output"]), "what the console said before is not part of the answer"
    assert said.result["matched"] is True
    nothing = await agent.run(
        SendToConsole(userid="LINUX01", text="QUERY TIME", cp=True, window=0, expect="never said")
    )
    assert nothing.result is not None
    assert nothing.result["matched"] is False
    assert "login:" in await agent.client.console("LINUX01")
    assert "LINUX01  AT ZVM1" in await agent.client.console("LINUX01")


async def test_a_guest_that_is_off_has_no_console_to_type_on(agent: Agent) -> None:
    await agent.run(agent.guest())
    problem = await agent.refused(SendToConsole(userid="LINUX01", text="ls"))
    assert (problem.status, problem.code) == (409, "guest-inactive")


async def test_two_that_read_a_console_at_once_both_get_all_of_it(agent: Agent) -> None:
    await running(agent)
    texts = await asyncio.gather(*(agent.client.console("LINUX01") for _ in range(6)))
    assert len(set(texts)) == 1
    assert "login:" in texts[0]


async def test_a_withdrawal_that_a_crash_cut_off_takes_no_second_file(agent: Agent) -> None:
    await agent.run(agent.guest())
    for _ in range(2):
        await agent.run(PunchFiles(userid="LINUX01", files=(file("ONE"),)))
    first = Dying(agent)
    first.after_function("System_RDR_File_Manage")
    done = await first.run(WithdrawFile(userid="LINUX01", name="ONE", type="TXT"))
    assert done.result is not None
    assert done.result["withdrawn"] == ["0002"]
    assert await reader(agent) == {"ONE": "0001"}
    await first.bury()
