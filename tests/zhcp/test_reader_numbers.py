"""Reader files whose agent dies: none is lost, none is handed over twice, and a number that z/VM gives again after the
crash makes no file be taken for another one."""

import asyncio
import base64

import pytest

from zhcp.conftest import Agent
from zhcp.dying import Dying
from zhcp.test_reader import file, reader, three
from zhcp.test_resize import running
from zvmcloud.simulator import spool
from zvmcloud.zhcp import queries
from zvmcloud.zhcp.client import ZhcpError
from zvmcloud.zhcp.errors import AgentError, Json
from zvmcloud.zhcp.machine import CpAnswer
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.reader_messages import PunchFiles, PurgeFiles, ReaderFile, ReceiveFile, TransferFiles, WithdrawFile


def give_numbers_again(agent: Agent, userid: str = "ZHCP") -> None:
    """The next file in this reader gets the lowest number that is free."""
    system = agent.simulator.system
    with system.transaction():
        system.counters.remove(f"spool.{userid}")


def sent_by_a_stranger(agent: Agent, userid: str) -> str:
    """A file that comes to a reader without the agent; its number."""
    system = agent.simulator.system
    with system.transaction():
        return spool.create(system, userid, "MAINT", b"a stranger's", name="ONE", filetype="TXT").spoolid


async def test_a_number_that_another_guests_file_has_by_now_is_not_ours_to_give(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(agent.guest("LINUX02"))
    punch = PunchFiles(userid="LINUX01", files=(file("ONE"),))
    secret = ReaderFile(name="ONE", type="TXT", class_="A", data=base64.b64encode(b"for LINUX02 only" * 9).decode())
    first, second = Dying(agent), None
    first.at_command("TRANSFER", after=True)
    await first.begin(punch, "first")
    give_numbers_again(agent)
    second = Dying(agent)
    second.at_note("punched-")
    await second.begin(PunchFiles(userid="LINUX02", files=(secret,)), "second")
    assert [mine.spoolid for mine in await agent.runner.machine.reader()] == ["0001"], "the number is given again"
    await agent.run(punch, step="first")
    assert await reader(agent) == {"ONE": "0001"}
    assert (await listed(agent))[0]["records"] == 1, "its own"
    await agent.run(PunchFiles(userid="LINUX02", files=(secret,)), step="second")
    assert [row["records"] for row in await listed(agent, "LINUX02")] == [2]
    assert await agent.runner.machine.reader() == ()
    await first.bury()
    await second.bury()


async def listed(agent: Agent, userid: str = "LINUX01") -> list[dict[str, Json]]:
    answer = await agent.client.ask("GET", f"/v1/guests/{userid}/reader")
    rows = answer["files"]
    assert isinstance(rows, list)
    return [row for row in rows if isinstance(row, dict)]


async def test_a_strangers_file_with_the_number_of_one_that_was_handed_over_stays(agent: Agent) -> None:
    await agent.run(agent.guest())
    first = Dying(agent)
    first.at_command("TRANSFER", after=True)
    punch = PunchFiles(userid="LINUX01", files=(file("ONE"),))
    await first.begin(punch, "first")
    give_numbers_again(agent)
    assert sent_by_a_stranger(agent, "ZHCP") == "0001"
    await agent.run(punch, step="first")
    assert len(await listed(agent)) == 1
    assert [mine.origin for mine in await agent.runner.machine.reader()] == ["MAINT"]
    await first.bury()


async def test_a_file_that_was_refused_before_a_crash_is_not_taken_for_one_that_was_handed_over(agent: Agent) -> None:
    first = Dying(agent)
    first.at_command("PURGE", after=True)
    punch = PunchFiles(userid="NOBODY", files=(file("ONE"),))
    await first.begin(punch, "first")
    refused = await agent.refused(punch, step="first")
    assert (refused.status, refused.code) == (404, "guest-unknown")
    assert await agent.runner.machine.reader() == ()
    await first.bury()


async def test_a_file_whose_hand_over_is_not_answered_was_handed_over(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.run(agent.guest())
    cp = agent.runner.machine.cp

    async def unanswered(command: str) -> CpAnswer:
        answer = await cp(command)
        if command.startswith("TRANSFER"):
            raise AgentError(503, "machine-unreachable", "no answer", retryable=True)
        return answer

    monkeypatch.setattr(agent.runner.machine, "cp", unanswered)
    await agent.run(PunchFiles(userid="LINUX01", files=(file("ONE"),)))
    assert list(await reader(agent)) == ["ONE"]


@pytest.mark.parametrize("moment", ["arrived", "read"])
async def test_a_file_that_another_operation_has_taken_is_not_what_a_crash_left(agent: Agent, moment: str) -> None:
    """It has the name of what is punched, and was made by us; but there it is on its way."""
    before = await three(agent)
    longer = ReaderFile(name="TWO", type="TXT", class_="A", data=base64.b64encode(b"a longer one" * 20).decode())
    punch, receive = (
        PunchFiles(userid="LINUX02", files=(longer,)),
        ReceiveFile(userid="LINUX01", spoolid=before["TWO"]),
    )
    first = Dying(agent)
    first.at_note("punched-")
    await first.begin(punch, "punch")
    second = Dying(agent)
    if moment == "read":
        second.after_reading()
    else:
        second.after_function("System_RDR_File_Manage")
    await second.begin(receive, "receive")
    await agent.run(punch, step="punch")
    assert len(await listed(agent, "LINUX02")) == 1
    done = await agent.run(receive, step="receive")
    assert done.result is not None
    assert base64.b64decode(str(done.result["data"])) == b"the content of TWO"
    assert await agent.runner.machine.reader() == (), "what the crash left is gone"
    await first.bury()
    await second.bury()


@pytest.mark.parametrize("moment", ["read", "journaled", "purged"])
async def test_a_file_is_received_whole_whenever_the_agent_dies(agent: Agent, moment: str) -> None:
    before = await three(agent)
    first = Dying(agent)
    if moment == "read":
        first.after_reading()
    else:
        first.at_command("PURGE", after=moment == "purged")
    receive = ReceiveFile(userid="LINUX01", spoolid=before["TWO"])
    await first.begin(receive, "first")
    give_numbers_again(agent)
    strangers = {sent_by_a_stranger(agent, "ZHCP"), sent_by_a_stranger(agent, "ZHCP")}
    assert (before["TWO"] in strangers) is (moment == "purged"), "the number is given again"
    done = await agent.run(receive, step="first")
    assert done.result is not None
    assert base64.b64decode(str(done.result["data"])) == b"the content of TWO"
    assert list(await reader(agent)) == ["ONE", "THREE"]
    assert {mine.spoolid for mine in await agent.runner.machine.reader()} == strangers
    await first.bury()


async def test_a_file_that_was_read_goes_back_ready_to_be_read_when_that_is_cancelled(agent: Agent) -> None:
    before = await three(agent)
    first = Dying(agent)
    first.after_reading()
    receive = ReceiveFile(userid="LINUX01", spoolid=before["TWO"])
    await first.runner.submit("job", "first", 1, receive.kind, operation_json(receive))
    await asyncio.wait_for(first.there.wait(), 60)
    assert [row.name for row in await agent.runner.machine.reader()] == ["TWO"]
    assert (await agent.client.cancel("job", "first", epoch=1)).state == "failed"
    assert {row["name"]: row["hold"] for row in await listed(agent)} == dict.fromkeys(("ONE", "TWO", "THREE"), "NONE")
    assert await agent.runner.machine.reader() == ()


async def test_a_cancel_between_the_journal_and_the_end_comes_too_late(agent: Agent) -> None:
    before = await three(agent)
    first = Dying(agent)
    first.at_command("PURGE", after=True)
    receive = ReceiveFile(userid="LINUX01", spoolid=before["TWO"])
    await first.runner.submit("job", "first", 1, receive.kind, operation_json(receive))
    await asyncio.wait_for(first.there.wait(), 60)
    cancelling = asyncio.create_task(agent.client.cancel("job", "first", epoch=1))
    await asyncio.sleep(0.1)
    first.over.set()
    ended = await cancelling
    assert ended.state == "done", "its file is gone, and the content is what is left of it"


async def test_a_purge_that_a_crash_cut_off_deletes_no_file_that_came_since(agent: Agent) -> None:
    await three(agent)
    first = Dying(agent)
    first.after_function("System_RDR_File_Manage")
    await first.begin(PurgeFiles(userid="LINUX01"), "first")
    await agent.run(PunchFiles(userid="LINUX01", files=(file("FOUR"),)))
    done = await agent.run(PurgeFiles(userid="LINUX01"), step="first")
    assert done.result == {"userid": "LINUX01", "purged": ["0001", "0002", "0003"]}
    assert list(await reader(agent)) == ["FOUR"]
    await first.bury()


async def test_a_withdrawal_that_a_crash_cut_off_takes_no_file_that_has_the_number_by_now(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(PunchFiles(userid="LINUX01", files=(file("ONE"),)))
    first = Dying(agent)
    first.after_function("System_RDR_File_Manage")
    withdraw = WithdrawFile(userid="LINUX01", name="ONE", type="TXT")
    await first.begin(withdraw, "first")
    give_numbers_again(agent)
    await agent.run(PunchFiles(userid="LINUX01", files=(file("NEW"),)))
    done = await agent.run(withdraw, step="first")
    assert done.result == {"userid": "LINUX01", "withdrawn": ["0001"]}
    assert await reader(agent) == {"NEW": "0001"}
    await first.bury()


async def test_a_file_that_has_the_number_of_one_that_was_taken_is_not_taken_too(agent: Agent) -> None:
    await three(agent)
    first = Dying(agent)
    first.after_function("System_RDR_File_Manage")
    transfer = TransferFiles(userid="LINUX01", to="LINUX02", spoolids=("0001",))
    await first.begin(transfer, "first")
    assert sent_by_a_stranger(agent, "LINUX01") == "0001"
    await agent.run(transfer, step="first")
    assert {row["name"]: row["origin"] for row in await listed(agent, "LINUX02")} == {"ONE": "ZHCP"}
    assert {row["name"]: row["origin"] for row in await listed(agent)} == {
        "ONE": "MAINT", "TWO": "ZHCP", "THREE": "ZHCP"
    }  # fmt: skip
    await first.bury()


async def test_what_a_console_said_is_not_lost_when_it_cannot_be_kept(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError("the disk is full")

    await running(agent)
    with monkeypatch.context() as patch:
        patch.setattr(queries, "_write", full)
        with pytest.raises(ZhcpError):
            await agent.client.console("LINUX01")
    assert "login:" in await agent.client.console("LINUX01")
    assert await agent.runner.machine.reader() == ()
