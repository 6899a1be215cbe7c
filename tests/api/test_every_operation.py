"""Every native operation, in each state it has a case for: z/VM gets exactly what the plan showed, and what is declared
to be undone is as before when it was undone."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from api.native import ok, refused
from api.operation_rig import CASES, Rig, rig, states, told
from e2e.kill_cases import Case
from e2e.kill_states import Ask
from zvmcloud.manager.errors import NotFound
from zvmcloud.manager.identity.roles import SYSTEM
from zvmcloud.manager.operations import OPERATIONS
from zvmcloud.simulator.faults import Rule

LEFT = {
    "guest.deploy": ("content of GUEST02.0100",),  # undone by emptying the disk: what was on it is lost
    "guest.start": ("memories LINUX01", "spool file"),  # a guest that has booted has read its reader
    "reader.transfer": ("spool file",),  # files go back behind those that are there
    "guest.resize_cpus": ("hardware LINUX01", "machines LINUX01"),  # CP takes no processor from a guest that runs
    "guest.resize_memory": ("hardware LINUX01", "machines LINUX01"),  # nor storage
}
"""What z/VM may tell differently after an undo, as the operations say."""
WITHOUT = {
    "vswitch.delete": r'"connected": false, |DISCONNECT|CONNECT',  # whether one without devices is to connect
    "nic.detach": r'"qeths": \[[^]]*\](, )?',  # what the guest's Linux knew of an adapter that it lost
}
"""Parts of texts that may differ after an undo: z/VM does not tell them, or they are the guest's."""
GIVEN = {"guest.relocate", "system.evacuate"}
"""What has z/VM choose FCP devices, which the entry is to name then: the plan cannot tell which."""
NOT_NOW = {"disk.attach (live)": "disks are removed from a guest that is off"}
"""Cases whose undo is refused in the state that they lead to, with the reason."""


def statement(text: str) -> str:
    """A statement as it can be foretold: where a minidisk lies is the directory manager's choice."""
    words = text.split()
    if words[0] == "MDISK":
        return " ".join((*words[:3], words[4], words[-1]))
    return " ".join(words)


async def entries(zvm: Rig, plan: Mapping[str, Any]) -> dict[str, list[str]]:
    """The entries that a plan changes, as they are now."""
    found: dict[str, list[str]] = {}
    for userid in {entry["userid"] for step in plan["steps"] for entry in step["entries"]}:
        try:
            facts = await zvm.zvm.node.guests.facts("ZVM1", userid)
        except NotFound:
            found[userid] = []
        else:
            found[userid] = sorted(statement(text) for text in facts.texts("entry"))
    return found


def foretold(plan: Mapping[str, Any], before: Mapping[str, list[str]]) -> dict[str, list[str]]:
    """The entries as the plan says they will be."""
    found = {userid: list(texts) for userid, texts in before.items()}
    for step in plan["steps"]:
        for entry in step["entries"]:
            for text in entry["removed"]:
                found[entry["userid"]].remove(statement(text))
            found[entry["userid"]] += [statement(text) for text in entry["added"]]
    return {userid: sorted(texts) for userid, texts in found.items()}


@pytest.mark.parametrize("cluster", [False, True], ids=["alone", "cluster"])
async def test_a_plan_shows_what_z_vm_gets_and_an_undo_leaves_what_was(cluster: bool, tmp_path: Path) -> None:
    async with rig(tmp_path, cluster=cluster) as zvm:
        for case in (case for state in states(cluster) for case in CASES[state]):
            await as_planned(zvm, case)


async def as_planned(zvm: Rig, case: Case) -> None:
    before = await zvm.bring(case.state)
    plan = await ok(await zvm.send(case.ask, dry_run="true"))
    await refused_when_stale(zvm, case, str(plan["id"]))
    was, files = await entries(zvm, plan), zvm.files()
    with zvm.listening() as heard:
        job = await zvm.job(await zvm.client.post(f"/v1/plans/{plan['id']}/apply"))
    assert job["state"] == "done", (case.name, job)
    calls = []
    for step, did in zip(plan["steps"], job["steps"], strict=True):
        unforeseeable = step["kind"] == "fcp.follow" and case.of in GIVEN
        assert unforeseeable or told(step["calls"], files) == told(did["calls"], files), (case.name, step["title"])
        calls += told((did if unforeseeable else step)["calls"], files)
    assert heard.calls == calls, case.name
    assert await entries(zvm, plan) == foretold(plan, was), case.name
    await undone(zvm, case, job, before)


async def refused_when_stale(zvm: Rig, case: Case, plan: str) -> None:
    """A plan is refused while anything that it was made from is another; then it is as it was shown again."""
    kept = await zvm.zvm.node.plans.get(SYSTEM, plan)
    assert kept.entries or any(not name.startswith("nics ") for name in kept.seen), case.name
    for name in (*kept.entries, *(name for name in kept.seen if name.startswith(("vswitch ", "lan ")))):
        with zvm.changed(name):
            problem = await refused(await zvm.client.post(f"/v1/plans/{plan}/apply"), 409, "plan-stale")
            assert problem["detail"].startswith(f"since plan {plan} was made: "), (case.name, name)


async def undone(zvm: Rig, case: Case, job: Mapping[str, Any], before: Mapping[str, str]) -> None:
    """What the declaration says of an undo holds."""
    declared = OPERATIONS[case.of]
    answer = await zvm.client.post(f"/v1/jobs/{job['id']}/undo")
    if declared.no_undo:
        problem = await refused(answer, 409, "job-not-undoable")
        assert declared.no_undo in problem["detail"]
        return
    back = await zvm.job(answer)
    if case.name in NOT_NOW:
        assert (back["state"], back["error"]["code"]) == ("failed", "not-undone"), case.name
        assert any(NOT_NOW[case.name] in step["detail"] for step in back["steps"]), (case.name, back)
        return
    assert back["state"] == "undone", (case.name, back)
    left = await zvm.becomes(dict(before))
    assert not unexpected(case, left), "\n".join((case.name, *left))


def unforeseen(text: str, pattern: str) -> bool:
    """Whether a difference is more than what the pattern says of the two texts."""
    _, before, now = (re.sub(pattern, "", line.strip()) for line in text.splitlines())
    same = min(len(before), len(now))
    return before[:same] != now[:same]


def unexpected(case: Case, left: Sequence[str]) -> list[str]:
    """Differences that the declaration does not name."""
    if pattern := WITHOUT.get(case.of):
        left = [text for text in left if unforeseen(text, pattern)]
    return [text for text in left if not any(name in text.partition("\n")[0] for name in LEFT.get(case.of, ()))]


async def evacuated(zvm: Rig) -> dict[str, Any]:
    """The job that moves GUEST02 and LINUX01, in this order, from ZVM1 to ZVM2."""
    await zvm.bring("moving")
    other = {"userid": "GUEST02", "disks": [], "vcpus": 1, "memory_mb": 512}
    await zvm.run(Ask("POST", "/v1/systems/ZVM1/guests", other))
    await zvm.run(Ask("POST", "/v1/guests/ZVM1/GUEST02/start", {}))
    return await zvm.job(await zvm.send(Ask("POST", "/v1/systems/ZVM1/evacuate", {"destinations": ["ZVM2"]})))


async def test_an_evacuation_that_fails_takes_back_the_guest_that_it_was_at_and_goes_on_with_it(tmp_path: Path) -> None:
    async with rig(tmp_path, cluster=True) as zvm:
        zvm.zvm.simulator.faults.add(Rule(function="VMRELOCATE", target="LINUX01", skip=1, rc=620, rs=77))
        job = await evacuated(zvm)
        assert {step["name"]: step["state"] for step in job["steps"]} == {
            "keep-guest02": "done", "relocate-guest02": "done", "record-guest02": "done",
            "keep-linux01": "undone", "relocate-linux01": "failed", "record-linux01": "pending",
        }  # fmt: skip
        assert (job["state"], job["error"]["code"]) == ("failed", "not-relocatable")
        zvm.zvm.simulator.faults.clear()
        job = await zvm.job(await zvm.client.post(f"/v1/jobs/{job['id']}/retry"))
        assert job["state"] == "done", job
        recorded = (await ok(await zvm.client.get("/v1/guests")))["items"]
        assert {row["userid"]: row["system"] for row in recorded} == {"LINUX01": "ZVM2", "GUEST02": "ZVM2"}


async def test_an_evacuation_brings_back_who_can_go_and_says_why_another_cannot(tmp_path: Path) -> None:
    async with rig(tmp_path, cluster=True) as zvm:
        job = await evacuated(zvm)
        assert job["state"] == "done", job
        one, two, _ = (member.system for member in zvm.zvm.simulator.members)
        assert {"LINUX01", "GUEST02"} <= set(two.machines)
        await zvm.run(Ask("POST", "/v1/guests/ZVM2/GUEST02/stop", {}))
        back = await zvm.job(await zvm.client.post(f"/v1/jobs/{job['id']}/undo"))
        assert (back["state"], back["error"]["code"]) == ("failed", "not-undone")
        told = {step["name"]: step["detail"] for step in back["steps"]}
        assert "is off" in told["relocate-guest02"]
        assert "GUEST02 is still with ZVM2" in told["keep-guest02"]
        assert (told["relocate-linux01"], told["keep-linux01"]) == ("undone", "undone")
        assert "LINUX01" in one.machines
        recorded = (await ok(await zvm.client.get("/v1/guests")))["items"]
        assert {row["userid"]: row["system"] for row in recorded} == {"LINUX01": "ZVM1", "GUEST02": "ZVM2"}


async def test_the_undo_of_a_change_of_an_entry_leaves_the_statements_that_came_since(tmp_path: Path) -> None:
    async with rig(tmp_path) as zvm:
        await zvm.bring("off")
        entry = zvm.zvm.simulator.system.entries["LINUX01"]
        own = {item.records for item in entry.entry.statements}
        jobs = [
            await zvm.job(await zvm.send(Ask("POST", f"/v1/guests/ZVM1/LINUX01/{verb}", body)))
            for verb, body in (
                ("reconfigure", {"account": "DEPT7", "share": "RELATIVE 250"}),
                ("nics", {"vdev": "1100"}),
                ("reconfigure", {"share": "RELATIVE 300"}),
            )
        ]
        early = await zvm.job(await zvm.client.post(f"/v1/jobs/{jobs[0]['id']}/undo"))
        assert (early["state"], early["error"]["code"]) == ("failed", "not-undone")
        assert "SHARE of LINUX01" in early["steps"][0]["detail"]
        for job in (jobs[2], jobs[0]):
            assert (await zvm.job(await zvm.client.post(f"/v1/jobs/{job['id']}/undo")))["state"] == "undone"
        entry = zvm.zvm.simulator.system.entries["LINUX01"]
        since = [item for item in entry.entry.statements if item.records not in own and not item.is_comment]
        assert {item.words[:2] for item in since} == {("NICDEF", "1100")}


async def test_a_guest_that_moved_while_it_was_off_is_moved_back_only_when_it_is_off(tmp_path: Path) -> None:
    async with rig(tmp_path, cluster=True) as zvm:
        await zvm.bring("moving")
        await zvm.run(Ask("POST", "/v1/guests/ZVM1/LINUX01/stop", {}))
        job = await zvm.job(await zvm.send(Ask("POST", "/v1/guests/ZVM1/LINUX01/move", {"destination": "ZVM2"})))
        await zvm.run(Ask("POST", "/v1/guests/ZVM2/LINUX01/start", {}))
        await ok(await zvm.client.post("/v1/systems/ZVM2/look"))
        back = await zvm.job(await zvm.client.post(f"/v1/jobs/{job['id']}/undo"))
        assert back["state"] == "failed"
        assert "LINUX01 is on at ZVM2" in back["steps"][0]["detail"]
        await zvm.run(Ask("POST", "/v1/guests/ZVM2/LINUX01/stop", {}))
        await ok(await zvm.client.post("/v1/systems/ZVM2/look"))
        back = await zvm.job(await zvm.client.post(f"/v1/jobs/{job['id']}/undo"))
        assert back["state"] == "undone"
        await zvm.run(Ask("POST", "/v1/guests/ZVM1/LINUX01/start", {}))
