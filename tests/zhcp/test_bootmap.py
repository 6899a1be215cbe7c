"""Boot maps of SCSI volumes: the paths that z/VM sees, and the program that writes the map."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from zhcp.conftest import Agent
from zvmcloud.zhcp.fcp_messages import RefreshBootmap

DEVICES = ("1a00", "1b00")


def a_lun(agent: Agent) -> tuple[str, tuple[str, ...]]:
    """A LUN of the simulated fabric that both devices may see, with its ports."""
    lun = next(item for item in agent.simulator.system.luns.values() if not item.hosts)
    ports = {item.wwpn.lower() for item in agent.simulator.system.luns.values() if item.lun == lun.lun}
    return lun.lun.lower(), tuple(sorted(ports))


def program(agent: Agent, folder: Path, text: str) -> None:
    path = folder / "bootmap"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    agent.runner.settings = replace(
        agent.runner.settings, storage=replace(agent.runner.settings.storage, bootmap_program=str(path))
    )


async def test_the_paths_of_a_volume_are_found(agent: Agent) -> None:
    lun, ports = a_lun(agent)
    outcome = await agent.run(RefreshBootmap(lun=lun, devices=DEVICES, wwpns=ports, min_paths=2))
    assert outcome.result == {"paths": {device: list(ports) for device in DEVICES}, "written": False, "bootable": None}


async def test_a_lun_that_too_few_devices_see_is_refused(agent: Agent) -> None:
    lun, ports = a_lun(agent)
    for operation in (
        RefreshBootmap(lun="4fff4fff00000000", devices=DEVICES, wwpns=ports),
        RefreshBootmap(lun=lun, devices=DEVICES, wwpns=("5005076802100c1a",)),
        RefreshBootmap(lun=lun, devices=("9999", "1a00"), wwpns=ports, min_paths=2),
    ):
        problem = await agent.refused(operation)
        assert (problem.status, problem.code) == (409, "bootmap-failed")


async def test_the_program_gets_the_volume_and_its_words_are_the_result(agent: Agent, tmp_path: Path) -> None:
    lun, ports = a_lun(agent)
    program(agent, tmp_path, f'echo "$*" > {tmp_path}/words; echo "RESULT PATHS: 1a00:500a 500b,1b00:500c"')
    outcome = await agent.run(RefreshBootmap(lun=lun, devices=DEVICES, wwpns=ports, wwid="3600", min_paths=1))
    assert outcome.result == {"paths": {"1a00": ["500a", "500b"], "1b00": ["500c"]}, "written": True, "bootable": None}
    words = (tmp_path / "words").read_text().split()
    assert words == [
        "--fcpchannel=1a00,1b00", f"--wwpn={','.join(ports)}", f"--lun={lun}", "--wwid=3600", "--minfcp=1",
    ]  # fmt: skip


async def test_a_program_that_fails_says_why(agent: Agent, tmp_path: Path) -> None:
    lun, ports = a_lun(agent)
    program(agent, tmp_path, 'echo "Exit MSG: no multipath device"; exit 7')
    problem = await agent.refused(RefreshBootmap(lun=lun, devices=DEVICES, wwpns=ports))
    assert problem.code == "bootmap-failed"
    assert "ended with 7: no multipath device" in problem.detail
    (tmp_path / "bootmap").unlink()
    assert "cannot be run" in (await agent.refused(RefreshBootmap(lun=lun, devices=DEVICES, wwpns=ports))).detail
