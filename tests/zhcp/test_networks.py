"""Adapters with all that belongs to them in one call, guest LANs, changes of a VSWITCH."""

import pytest

from zhcp.conftest import Agent
from zhcp.test_resize import entry, running
from zvmcloud.cp import commands
from zvmcloud.simulator import guest_lans
from zvmcloud.simulator.faults import Rule
from zvmcloud.zhcp.errors import FieldError, Json
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import OperationOutcome, parse_operation
from zvmcloud.zhcp.network_messages import (
    AccessLan,
    AttachNic,
    ChangeVswitch,
    CreateLan,
    CreateVswitch,
    DeleteLan,
    GrantVswitch,
    RestoreVswitch,
    RevokeVswitch,
    Right,
    SetVswitchVlan,
)
from zvmcloud.zhcp.operations import context as operation_context
from zvmcloud.zhcp.switch_queries import ranges


async def nicdefs(agent: Agent) -> list[str]:
    return [line for line in await entry(agent) if line.startswith("NICDEF")]


def grants(agent: Agent, name: str = "VSW1") -> dict[str, tuple[tuple[str, ...], str]]:
    switch = agent.simulator.system.vswitches[name]
    return {grant.userid: (grant.vlans, grant.port_type) for grant in switch.grants}


async def live_nics(agent: Agent) -> list[tuple[object, object]]:
    found = await agent.client.adapters("LINUX01")
    return [(nic["adapter_address"], nic.get("lan_name")) for nic in found if isinstance(nic, dict)]


async def test_an_adapter_is_one_operation_of_three_calls(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    done = await agent.run(
        AttachNic(userid="LINUX01", vdev="1000", network="VSW1", vlans=("12",), mac="02:00:00:12:34:56")
    )
    assert [call.name for call in done.calls] == [
        "Virtual_Network_Vswitch_Query_Extended", "Image_Definition_Update_DM", "Virtual_Network_Vswitch_Set_Extended",
    ]  # fmt: skip
    assert await nicdefs(agent) == [
        "NICDEF 1000 TYPE QDIO LAN SYSTEM VSW1 DEVICES 3 MACID 123456 VLAN 12 PORTTYPE ACCESS"
    ]
    assert grants(agent) == {"LINUX01": (("12",), "ACCESS")}
    taken = await agent.refused(AttachNic(userid="LINUX01", vdev="1000", network="VSW1"))
    assert (taken.status, taken.code) == (409, "device-exists")
    assert grants(agent) == {"LINUX01": (("12",), "ACCESS")}


async def test_a_trunk_port_has_a_set_of_vlans(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    trunk = AttachNic(userid="LINUX01", vdev="1000", network="VSW1", port_type="TRUNK", vlans=("10", "20-29"))
    await agent.run(trunk)
    assert grants(agent) == {"LINUX01": (("10", "20-29"), "TRUNK")}
    assert "PORTTYPE TRUNK" in (await nicdefs(agent))[0]


async def test_a_running_guest_gets_the_adapter_at_once(agent: Agent) -> None:
    await running(agent)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    done = await agent.run(AttachNic(userid="LINUX01", vdev="1000", network="VSW1", active=True))
    assert len(done.calls) == 6
    assert await live_nics(agent) == [("1000", "VSW1")]


@pytest.mark.parametrize(
    ("function", "action"),
    [
        ("Virtual_Network_Vswitch_Set_Extended", "refuse"),
        ("Virtual_Network_Adapter_Create_Extended", "refuse"),
        ("Virtual_Network_Adapter_Create_Extended", "drop-after-work"),
        ("Virtual_Network_Adapter_Connect_Vswitch", "refuse"),
        ("Virtual_Network_Adapter_Connect_Vswitch", "drop-after-work"),
    ],
)
async def test_whichever_part_fails_nothing_is_left(agent: Agent, function: str, action: str) -> None:
    await running(agent)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    before = await entry(agent)
    agent.simulator.faults.add(Rule(function=function, action=action, rc=396, rs=1, count=1))
    agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
    await agent.refused(AttachNic(userid="LINUX01", vdev="1000", network="VSW1", active=True))
    assert await entry(agent) == before
    assert grants(agent) == {}
    assert await live_nics(agent) == []


async def test_a_right_of_before_stays_when_a_later_part_fails(agent: Agent) -> None:
    await running(agent)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    await agent.run(SetVswitchVlan(name="VSW1", userid="LINUX01", vlan=7))
    agent.simulator.faults.add(Rule(function="Virtual_Network_Adapter_Connect_Vswitch", rc=396, rs=1, count=1))
    await agent.refused(AttachNic(userid="LINUX01", vdev="1000", network="VSW1", vlans=("8",), active=True))
    assert grants(agent)["LINUX01"][0] == ("7",)


def before_of(done: OperationOutcome) -> dict[str, Json]:
    """What an undo takes."""
    assert done.result is not None
    before = done.result["before"]
    assert isinstance(before, dict)
    return before


def rights(agent: Agent) -> dict[str, object]:
    return {grant.userid: grant for grant in agent.simulator.system.vswitches["VSW1"].grants}


@pytest.mark.parametrize(
    "change",
    [
        GrantVswitch(name="VSW1", userid="LINUX01"),
        SetVswitchVlan(name="VSW1", userid="LINUX01", vlan=8),
        RevokeVswitch(name="VSW1", userid="LINUX01"),
    ],
    ids=["grant", "VLAN", "revoke"],
)
@pytest.mark.parametrize("was", ["", "VLANs", "promiscuous"])
async def test_a_changed_right_tells_the_one_of_before_which_comes_back_whole(
    agent: Agent, change: Operation, was: str
) -> None:
    await running(agent)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    if was:
        right = Right("LINUX01", ("7", "20-22"), promiscuous=was == "promiscuous", osd_sim=was == "promiscuous")
        await agent.run(RestoreVswitch(name="VSW1", defined=False, grants=(right,)))
    before = rights(agent)
    assert bool(before) == bool(was)
    done = await agent.run(change)
    assert rights(agent) != before or not was
    await agent.run(parse_operation("vswitch.restore", {"name": "VSW1", **before_of(done)}))
    assert rights(agent) == before


async def test_a_right_that_comes_back_couples_what_its_loss_uncoupled(agent: Agent) -> None:
    await running(agent)
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(AttachNic(userid="LINUX01", vdev="1000", network="VSW1", active=True))
    done = await agent.run(RevokeVswitch(name="VSW1", userid="LINUX01"))
    assert await live_nics(agent) == [("1000", None)]
    await agent.run(parse_operation("vswitch.restore", {"name": "VSW1", **before_of(done)}))
    assert await live_nics(agent) == [("1000", "VSW1")]


async def test_an_adapter_that_goes_again_leaves_the_right_of_before_whole(agent: Agent) -> None:
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
    right = Right("LINUX01", ("7",), promiscuous=True)
    await agent.run(RestoreVswitch(name="VSW1", defined=False, grants=(right,)))
    before = rights(agent)
    done = await agent.run(AttachNic(userid="LINUX01", vdev="1000", network="VSW1", vlans=("8",)))
    assert rights(agent) != before
    await agent.run(parse_operation("nic.delete", {"userid": "LINUX01", "vdev": "1000", **before_of(done)}))
    assert rights(agent) == before


@pytest.mark.parametrize("action", ["drop-after-id", "drop-after-work"])
async def test_a_change_of_a_right_whose_answer_is_lost_is_looked_for(
    agent: Agent, monkeypatch: pytest.MonkeyPatch, action: str
) -> None:
    monkeypatch.setattr(operation_context, "OBSERVE_PAUSES", (0, 0.05))
    await agent.run(agent.guest())
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    agent.hurry()
    for change, left in ((GrantVswitch, {"LINUX01"}), (RevokeVswitch, set())):
        agent.simulator.faults.add(Rule(function="Virtual_Network_Vswitch_Set_Extended", action=action, count=1))
        agent.simulator.faults.add(Rule(function="Response_Recovery", rc=4, rs=4))
        await agent.run(change(name="VSW1", userid="LINUX01"))
        assert set(rights(agent)) == left


async def test_a_right_on_a_vswitch_that_has_gone_is_left_alone(agent: Agent) -> None:
    await agent.run(agent.guest())
    right = Right("LINUX01", ("7",))
    await agent.run(RestoreVswitch(name="NOSW", defined=False, grants=(right,), revoked=("MAINT",)))
    with pytest.raises(FieldError, match="revoked"):
        parse_operation("vswitch.restore", {"name": "VSW1", "defined": False, "revoked": ["NOT A USERID"]})


def test_vlans_are_granted_as_ranges() -> None:
    assert ranges([10, 22, 20, 21, 4094]) == ("10", "20-22", "4094")
    assert ranges([]) == ()


async def test_an_unknown_vswitch_and_a_guest_that_is_off_change_nothing(agent: Agent) -> None:
    await agent.run(agent.guest())
    before = await entry(agent)
    missing = await agent.refused(AttachNic(userid="LINUX01", vdev="1000", network="NOSW"))
    assert (missing.status, missing.code) == (404, "vswitch-unknown")
    await agent.run(CreateVswitch(name="VSW2"))
    unaware = await agent.refused(AttachNic(userid="LINUX01", vdev="1000", network="VSW2", vlans=("8",)))
    assert (unaware.status, unaware.code) == (409, "vlan-unaware")
    off = await agent.refused(AttachNic(userid="LINUX01", vdev="1000", network="NOSW", active=True))
    assert (off.status, off.code) == (409, "guest-inactive")
    assert await entry(agent) == before
    unknown = await agent.refused(AttachNic(userid="NOBODY", vdev="1000", network="VSW2"))
    assert (unknown.status, unknown.code) == (404, "guest-unknown")


@pytest.mark.parametrize(
    ("kind", "parameters", "named"),
    [
        ("nic.attach", {"vlans": ["4095"]}, "parameters.vlans[0]"),
        ("nic.attach", {"vlans": ["20-10"], "port_type": "TRUNK"}, "parameters.vlans[0]"),
        ("nic.attach", {"vlans": ["10", "11"]}, "parameters.vlans"),
        ("nic.attach", {"vlans": ["10-11"]}, "parameters.vlans"),
        ("nic.attach", {"vlans": ["1000", "1001", "1002", "1003", "1004"], "port_type": "TRUNK"}, "parameters.vlans"),
        ("nic.attach", {"vlans": ["10"], "lan_owner": "LINUX02"}, "parameters.lan_owner"),
        ("nic.attach", {"mac": "12345"}, "parameters.mac"),
        ("lan.create", {"adapter_type": "HIPERSOCKETS", "transport": "ETHERNET"}, "parameters.transport"),
        ("lan.create", {"users": ["LINUX01"]}, "parameters.users"),
        ("vswitch.change", {}, "parameters"),
        ("vswitch.change", {"rdev": ["1", "2", "3", "4"]}, "parameters.rdev"),
        ("vswitch.change", {"queue_mem": 9}, "parameters.queue_mem"),
    ],
)
def test_what_a_network_does_not_take_is_named(kind: str, parameters: dict[str, object], named: str) -> None:
    needed = {"nic.attach": {"userid": "LINUX01", "vdev": "1000", "network": "NET1"}}.get(kind, {"name": "NET1"})
    with pytest.raises(FieldError) as caught:
        parse_operation(kind, {**needed, **parameters})
    assert caught.value.field == named


async def test_guests_meet_on_a_guest_lan(agent: Agent) -> None:
    await running(agent)
    made = await agent.run(CreateLan(name="LAN1", restricted=True, users=("LINUX02",)))
    assert made.result == {"name": "LAN1", "owner": "SYSTEM", "created": True}
    assert (await agent.run(CreateLan(name="LAN1", restricted=True))).result["created"] is False  # type: ignore[index]
    differs = await agent.refused(CreateLan(name="LAN1"))
    assert (differs.status, differs.code) == (409, "lan-differs")
    lan = agent.simulator.system.guest_lans[guest_lans.key("SYSTEM", "LAN1")]
    assert [grant.userid for grant in lan.grants] == ["LINUX02"]
    await agent.run(AccessLan(name="LAN1", userid="LINUX01"))
    await agent.run(AccessLan(name="LAN1", userid="LINUX02", allow=False))
    lan = agent.simulator.system.guest_lans[guest_lans.key("SYSTEM", "LAN1")]
    assert [grant.userid for grant in lan.grants] == ["LINUX01"]
    unknown = await agent.refused(AccessLan(name="LAN9", userid="LINUX01"))
    assert (unknown.status, unknown.code) == (404, "lan-unknown")
    await agent.run(DeleteLan(name="LAN1"))
    assert (await agent.run(DeleteLan(name="LAN1"))).result["existed"] is False  # type: ignore[index]


async def test_an_adapter_on_a_guest_lan_and_a_lan_in_use(agent: Agent) -> None:
    await running(agent)
    await agent.run(CreateLan(name="LAN1", owner="LINUX01", restricted=True))
    attach = AttachNic(userid="LINUX01", vdev="1000", network="LAN1", lan_owner="LINUX01", active=True)
    await agent.run(attach)
    assert await live_nics(agent) == [("1000", "LAN1")]
    assert "LAN LINUX01 LAN1" in (await nicdefs(agent))[0]
    busy = await agent.refused(DeleteLan(name="LAN1", owner="LINUX01"))
    assert (busy.status, busy.code) == (409, "lan-in-use")
    assert "LINUX01 1000" in busy.detail
    await agent.run(DeleteLan(name="LAN1", owner="LINUX01", force=True))


async def test_a_vswitch_changes_what_is_named(agent: Agent) -> None:
    await agent.run(CreateVswitch(name="VSW1", rdev=("0500",)))
    await agent.run(ChangeVswitch(name="VSW1", isolation="ON", queue_mem=4, connection="DISCONNECT"))
    switch = agent.simulator.system.vswitches["VSW1"]
    assert (switch.isolation, switch.queue_memory, switch.connected, switch.rdevs) == (True, 4, False, ("0500",))
    missing = await agent.refused(ChangeVswitch(name="NOSW", isolation="ON"))
    assert (missing.status, missing.code) == (404, "vswitch-unknown")


async def test_names_of_vswitches_are_asked_of_cp_which_lists_no_guests(
    agent: Agent, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def smapi_calls() -> int:
        return int((await agent.http.get("/v1/smapi")).json()["total_success"])

    async def names() -> tuple[list[str], int]:
        before = await smapi_calls()
        found = (await agent.http.get("/v1/vswitches", params={"fields": "name"})).json()["vswitches"]
        assert all(set(item) == {"name"} for item in found)
        return [item["name"] for item in found], await smapi_calls() - before

    assert (await names())[0] == []
    await agent.run(CreateVswitch(name="VSW2", rdev=("0500",)))
    await agent.run(CreateVswitch(name="VSW1"))
    assert await names() == (["VSW1", "VSW2"], 0)
    monkeypatch.setattr(commands, "query_vswitch", lambda: "QUERY NOTHING")
    assert await names() == (["VSW1", "VSW2"], 1)
    answer = await agent.http.get("/v1/vswitches", params={"fields": "name,status"})
    assert answer.status_code == 400
    assert "fields" in answer.json()["detail"]
