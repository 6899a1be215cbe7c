"""Entries from prototypes and texts, and changes of an entry: all of it in one replacement, or nothing."""

from typing import cast

import pytest

from zhcp.conftest import Agent
from zhcp.dying import Dying
from zhcp.test_resize import entry, running
from zvmcloud.simulator.faults import Rule
from zvmcloud.smapi import functions as f
from zvmcloud.zhcp import smapi_port
from zvmcloud.zhcp.entry_messages import ChangeGuest, DefineGuest, RestoreGuest
from zvmcloud.zhcp.errors import FieldError
from zvmcloud.zhcp.messages import OperationOutcome, parse_operation
from zvmcloud.zhcp.network_messages import CreateNic
from zvmcloud.zhcp.operations import context as operation_context

TEXT = ("USER LINUX02 SECRET1 1G 2G G", "INCLUDE LNXDFLT", "MACHINE ESA 4", "MDISK 0100 3390 AUTOG 10 POOL1 MR")


async def test_a_guest_is_defined_from_the_records_of_its_entry(agent: Agent) -> None:
    made = await agent.run(DefineGuest(userid="LINUX02", entry=TEXT, account="DEPT1", password="SECRET2"))
    facts = await agent.client.guest("LINUX02")
    assert facts["entry"][0] == "USER LINUX02 ******** 1G 2G G"  # type: ignore[index]
    assert "ACCOUNT DEPT1" in facts["entry"]  # type: ignore[operator]
    assert made.result is not None
    assert [disk["size_units"] for disk in made.result["disks"]] == [10]  # type: ignore[union-attr,index,call-overload]
    assert agent.simulator.system.entries["LINUX02"].entry.password == "SECRET2"
    assert "SECRET" not in str([call.to_json() for call in made.calls])
    again = await agent.refused(DefineGuest(userid="LINUX02", entry=TEXT))
    assert (again.status, again.code) == (409, "guest-exists")


async def test_a_guest_is_defined_from_a_prototype(agent: Agent) -> None:
    context = agent.runner.context("test")
    records = ("USER LINUX NOLOG 2G 4G G", "INCLUDE LNXDFLT", "MDISK 0100 3390 AUTOG 5 POOL1 MR")
    await context.call(f.PrototypeCreateDM(target="LINUX", prototype_record_array=records))
    made = await agent.run(DefineGuest(userid="LINUX03", prototype="LINUX", password="SECRET3", account="DEPT2"))
    facts = await agent.client.guest("LINUX03")
    assert (facts["memory_mb"], "ACCOUNT DEPT2" in facts["entry"]) == (2048, True)  # type: ignore[operator]
    assert "SECRET3" not in str([call.to_json() for call in made.calls])
    unknown = await agent.refused(DefineGuest(userid="LINUX04", prototype="NOSUCH"))
    assert (unknown.status, unknown.code) == (404, "prototype-unknown")
    assert {"userid": "LINUX04"} not in await agent.client.guests()


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"entry": ["USER LINUX02 A 1G 2G G"], "prototype": "P"}, "parameters.entry"),
        ({}, "parameters.entry"),
        ({"entry": ["USER LINUX02 A 1G 2G G", "x" * 73]}, "parameters.entry[1]"),
    ],
)
def test_a_definition_that_contradicts_itself_names_the_field(parameters: dict[str, object], named: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_operation("guest.define", {"userid": "LINUX02", **parameters})
    assert caught.value.field == named


async def test_a_text_of_another_guest_or_of_a_profile_is_refused_before_anything_is_sent(agent: Agent) -> None:
    for records in (("USER OTHER NOLOG 1G 2G G",), ("PROFILE LINUX02",), ("USER LINUX02 NOLOG 4G 2G G",)):
        problem = await agent.refused(DefineGuest(userid="LINUX02", entry=records))
        assert problem.status == 400
        assert problem.calls == ()


async def test_an_entry_is_changed_in_one_replacement(agent: Agent) -> None:
    await agent.run(agent.guest())
    changed = await agent.run(
        ChangeGuest(
            userid="LINUX01",
            password="NEWPASS1",
            privilege_classes="BG",
            max_cpus=16,
            max_memory_mb=8192,
            logonby=("MAINT", "OPERATOR"),
            account="DEPT7",
            comments=("Owner: web team", "cost centre 4711"),
            ipl="0100",
            ipl_parm="root=/dev/dasda1",
            share="rel 200 abs 20% limithard".upper(),
            cpu_pool="POOLA",
            relocation_domain="DOM1",
            dedicate=(("0500", "1F00"),),
        )
    )
    assert [call.name for call in changed.calls if call.kind == "smapi"].count("Image_Replace_DM") == 1
    lines = await entry(agent)
    assert lines[0] == "USER LINUX01 ******** 1G 8G BG"
    for line in (
        "LOGONBY MAINT OPERATOR", "ACCOUNT DEPT7", "MACHINE ESA 16", "IPL 0100 PARM ROOT=/DEV/DASDA1",
        "SHARE RELATIVE 200 ABSOLUTE 20% LIMITHARD", "COMMAND SCHEDULE * WITHIN POOL POOLA",
        "COMMAND SET VMRELOCATE * DOMAIN DOM1", "DEDICATE 0500 1F00", "INCLUDE LNXDFLT",
    ):  # fmt: skip
        assert line in lines
    assert sum(line.startswith("* ") for line in lines) == 2
    assert "NEWPASS1" not in str(changed.result) + str([call.to_json() for call in changed.calls])
    await agent.run(
        ChangeGuest(
            userid="LINUX01", logonby=(), account="", comments=(), cpu_pool="", ipl="", share="", undedicate=("0500",),
            loaddev={"portname": "5005076300C20B8E", "lun": "5241000000000000"}, relocation_domain="",
        )
    )  # fmt: skip
    lines = await entry(agent)
    gone = ("LOGONBY", "ACCOUNT", "* ", "IPL", "SHARE", "DEDICATE", "COMMAND SCHEDULE", "COMMAND SET VMRELOCATE")
    assert [line for line in lines if line.startswith(gone)] == []
    assert [line for line in lines if line.startswith("LOADDEV")] == [
        "LOADDEV PORTNAME 5005076300C20B8E", "LOADDEV LUN 5241000000000000",
    ]  # fmt: skip


def back(done: OperationOutcome) -> RestoreGuest:
    """What takes the change back later."""
    assert done.result is not None
    told = cast("dict[str, list[str]]", done.result["before"])
    return RestoreGuest(userid="LINUX01", entry=tuple(told["entry"]), left=tuple(told["left"]))


async def test_a_change_is_taken_back_and_what_was_changed_since_stays(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ChangeGuest(userid="LINUX01", password="OLDPASS1"))
    before = await entry(agent)
    wish = {"account": "DEPT7", "share": "RELATIVE 200", "max_memory_mb": 8192, "cpu_pool": "POOLA"}
    first = await agent.run(parse_operation("guest.change", {"userid": "LINUX01", **wish}))
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    await agent.run(ChangeGuest(userid="LINUX01", dedicate=(("0500", "1F00"),), password="NEWPASS1"))
    second = await agent.run(ChangeGuest(userid="LINUX01", account="DEPT8"))
    problem = await agent.refused(back(first))
    assert (problem.status, problem.code) == (409, "entry-changed")
    assert "ACCOUNT of LINUX01" in problem.detail
    assert "ACCOUNT DEPT8" in await entry(agent)
    await agent.run(back(second))
    for _ in range(2):  # the second time it is done already
        await agent.run(back(first))
        now = await entry(agent)
        since = [line for line in now if line.startswith(("NICDEF", "DEDICATE"))]
        assert [line for line in now if line not in since] == before
        assert {line.split()[1] for line in since} == {"1000", "0500"}
    assert agent.simulator.system.entries["LINUX01"].entry.password == "NEWPASS1"


@pytest.mark.parametrize("function", ["Image_Lock_DM", "Image_Replace_DM"])
async def test_what_came_between_a_crash_and_the_next_run_of_a_change_is_not_taken_back(
    agent: Agent, function: str
) -> None:
    await agent.run(agent.guest())
    before = await entry(agent)
    wish = ChangeGuest(userid="LINUX01", account="DEPT7")
    first = Dying(agent)
    first.after_function(function)
    await first.begin(wish, "dying")
    await agent.runner.recover()
    await agent.run(CreateNic(userid="LINUX01", vdev="1000"))
    done = await agent.run(wish, step="dying")
    await agent.run(back(done))
    now = await entry(agent)
    assert [line for line in now if not line.startswith("NICDEF 1000")] == before
    assert len(now) > len(before)
    await first.bury()


async def test_statements_come_back_before_those_of_devices(agent: Agent) -> None:
    await agent.run(agent.guest())
    late = {"account": "DEPT7", "logonby": ["MAINT"], "cpu_pool": "P1", "relocation_domain": "D1", "ipl": "0100"}
    await agent.run(parse_operation("guest.change", {"userid": "LINUX01", **late}))
    share = await agent.run(ChangeGuest(userid="LINUX01", share="RELATIVE 300"))
    gone = {name: type(value)() for name, value in late.items()}
    await agent.run(parse_operation("guest.change", {"userid": "LINUX01", **gone}))
    await agent.run(back(share))
    now = await entry(agent)
    devices = [number for number, line in enumerate(now) if line.startswith("MDISK")]
    assert now.index("SHARE RELATIVE 200") < devices[0]


async def test_comments_come_back_as_often_as_they_were_there(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ChangeGuest(userid="LINUX01", comments=("one", "one", "two")))
    before = await entry(agent)
    done = await agent.run(ChangeGuest(userid="LINUX01", comments=("one", "two")))
    await agent.run(back(done))
    assert await entry(agent) == before


async def test_disks_are_not_taken_back_by_their_statements(agent: Agent) -> None:
    await agent.run(agent.guest())
    now = await entry(agent)
    left = (*now, "MDISK 0777 3390 1 10 VOL001 MR")
    problem = await agent.refused(RestoreGuest(userid="LINUX01", entry=tuple(now), left=left))
    assert (problem.status, problem.code) == (409, "disks-differ")
    assert await entry(agent) == now


async def test_a_change_that_is_made_already_sends_no_replacement(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(ChangeGuest(userid="LINUX01", account="DEPT7", comments=("one",)))
    again = await agent.run(ChangeGuest(userid="LINUX01", account="DEPT7", comments=("one",)))
    assert "Image_Replace_DM" not in [call.name for call in again.calls]
    assert again.result is not None
    assert (again.result["added"], again.result["removed"]) == ([], [])


@pytest.mark.parametrize(
    ("parameters", "named"),
    [
        ({"share": "RELATIVE 10001"}, "parameters.share"),
        ({"share": "ABSOLUTE 101%"}, "parameters.share"),
        ({"share": "ABSOLUTE 10"}, "parameters.share"),
        ({"share": "RELATIVE 100#CP"}, "parameters.share"),
        ({"privilege_classes": "G7"}, "parameters.privilege_classes"),
        ({"loadparm": "A"}, "parameters.ipl"),
        ({"logonby": ["A"] * 9}, "parameters.logonby"),
        ({"max_cpus": 65}, "parameters.max_cpus"),
        ({"password": "TOOLONGPW"}, "parameters.password"),
        ({"dedicate": [["0500"]]}, "parameters.dedicate[0]"),
        ({"live": True}, "parameters.live"),
        ({"loaddev": ["x"]}, "parameters.loaddev"),
    ],
)
def test_a_change_beyond_a_limit_names_the_field(parameters: dict[str, object], named: str) -> None:
    with pytest.raises(FieldError) as caught:
        parse_operation("guest.change", {"userid": "LINUX01", **parameters})
    assert caught.value.field == named


async def test_a_change_that_the_entry_does_not_take_touches_nothing(agent: Agent) -> None:
    await agent.run(agent.guest())
    before = await entry(agent)
    wrong = {
        "max_cpus": ChangeGuest(userid="LINUX01", max_cpus=1, account="X"),
        "max_memory_mb": ChangeGuest(userid="LINUX01", max_memory_mb=512, account="X"),
        "device 0100": ChangeGuest(userid="LINUX01", dedicate=(("0100", "1F00"),), account="X"),
        "loaddev.disk": ChangeGuest(userid="LINUX01", loaddev={"disk": "1"}, account="X"),
    }
    for said, operation in wrong.items():
        problem = await agent.refused(operation)
        assert problem.status in (400, 409)
        assert said in problem.detail
        assert [call.name for call in problem.calls] == ["Image_Query_DM"]
    assert await entry(agent) == before
    assert (await agent.refused(ChangeGuest(userid="NOBODY", account="X"))).code == "guest-unknown"


async def test_the_share_of_a_running_guest_is_changed_where_the_agent_has_class_a(agent: Agent) -> None:
    await running(agent)
    operation = ChangeGuest(userid="LINUX01", share="RELATIVE 300", live=True)
    assert (await agent.run(operation)).result["live"] is False  # type: ignore[index]
    assert "SHARE RELATIVE 300" in await entry(agent)


async def test_an_entry_comes_back_when_the_running_guest_refuses(agent: Agent) -> None:
    await running(agent)
    before = await entry(agent)
    real = agent.runner.machine.cp

    async def cp(command: str) -> object:
        answer = await real(command)
        return type(answer)(31, ("HCPSHR031E refused",)) if command.startswith("SET SHARE") else answer

    agent.runner.machine.cp = cp  # type: ignore[method-assign,assignment]
    operation = ChangeGuest(userid="LINUX01", share="RELATIVE 300", live=True, account="DEPT7", comments=("x",))
    problem = await agent.refused(operation)
    assert problem.code == "cp-refused"
    assert await entry(agent) == before


@pytest.mark.parametrize("action", ["drop-before-id", "drop-after-work", "partial"])
async def test_a_replacement_whose_answer_is_lost_is_found_done_or_sent_again(
    agent: Agent, action: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operation_context, "OBSERVE_PAUSES", (0,))
    await agent.run(agent.guest())
    agent.simulator.faults.add(Rule(function="Image_Replace_DM", action=action, count=1))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
    changed = await agent.run(ChangeGuest(userid="LINUX01", account="DEPT7"))
    assert "ACCOUNT DEPT7" in await entry(agent)
    sent = [call.name for call in changed.calls].count("Image_Replace_DM")
    assert sent == (2 if action == "drop-before-id" else 1)
    assert agent.runner.journal.locks() == ()
    await agent.run(ChangeGuest(userid="LINUX01", account=""))


@pytest.mark.parametrize("codes", [(400, 12), (500, 8), (596, 6312), (900, 8)])
async def test_a_busy_directory_is_waited_for(
    agent: Agent, codes: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(smapi_port, "BUSY_PAUSES", (0, 0))
    await agent.run(agent.guest())
    rule = Rule(function="Image_Replace_DM", rc=codes[0], rs=codes[1], count=2)
    agent.simulator.faults.add(rule)
    changed = await agent.run(ChangeGuest(userid="LINUX01", account="DEPT7"))
    assert [call.name for call in changed.calls].count("Image_Replace_DM") == 3
    agent.simulator.faults.add(Rule(function="Image_Replace_DM", rc=codes[0], rs=codes[1], count=3))
    problem = await agent.refused(ChangeGuest(userid="LINUX01", account="DEPT8"))
    assert problem.retryable
    assert "ACCOUNT DEPT7" in await entry(agent)
