"""The model file: what it says is what the new system has; a running system can be written as one."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from typer.testing import CliRunner

from zvmcloud.simulator import Simulator, model_file
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.control import ControlPort
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.errors import ModelError
from zvmcloud.simulator.installation import open_installation
from zvmcloud.simulator.presets import Model, find_preset
from zvmcloud.simulator.program import app

PAGE = Path(__file__).parents[2] / "docs/reference/model-file.md"


def example() -> str:
    """The complete example of the reference page."""
    return PAGE.read_text().split("```toml\n")[1].split("```")[0]


def load(tmp_path: Path, text: str, preset: str = "lpar") -> Model:
    path = tmp_path / "model.toml"
    path.write_text(text)
    return model_file.load_model(path, find_preset(preset))


def written(tmp_path: Path, model: Model) -> list[str]:
    installation = open_installation(tmp_path, model, clock=ManualClock(1_600_000_000))
    try:
        return [model_file.written(system) for system in installation.systems]
    finally:
        installation.close()


def test_cp_shows_what_the_example_of_the_page_describes(tmp_path: Path) -> None:
    installation = open_installation(tmp_path / "state", load(tmp_path, example()), clock=ManualClock(1_600_000_000))
    (system,) = installation.systems

    def ask(command: str) -> str:
        result = execute(system, "OPERATOR", command)
        assert result.rc == 0, result.lines
        return "\n".join(result.lines)

    try:
        assert ask("Q USERID") == "OPERATOR AT ZVMTEST"
        assert ask("Q OSA ALL").count("OSA  060") == 3
        assert ask("Q FCP").split()[:3] == ["FCP", "5A00", "FREE"]
        assert "C05076DDF7005A00" in ask("Q FCP 5A00")
        assert ask("Q CHPID 50 PCHID") == "Path 50 is associated with physical channel 0150"
        assert ask("Q DASD 7100") == "DASD 7100 FREE"
        assert ask("Q DASD 7101") == "DASD 7101 OFFLINE"
        assert ask("VARY ON 9200").startswith("9200 varied online")
        assert ask("Q EDEV 9200").startswith("EDEV 9200 TYPE FBA ATTRIBUTES 2107")
        assert ask("Q EQID 0600") == "0600: EQID = NET1"
        assert ask("Q VSWITCH VSW1 ACCESSLIST").count("LINUX01  Porttype: Access VLAN: 0010") == 1
        assert ask("Q LAN HIPER").startswith("LAN SYSTEM HIPER")
        assert ask("Q DASD LXV001") == "DASD 6100 CP SYSTEM LXV001   0"
        assert "M01P01 5002" in ask("Q ALLOC PAGE")
        assert system.space.groups["FAST"].regions == ("LXV001",)
    finally:
        installation.close()


@pytest.mark.parametrize("preset", ["lpar", "small", "ssi4", "recorded71"])
def test_a_written_system_becomes_the_same_system(tmp_path: Path, preset: str) -> None:
    first = written(tmp_path / "first", find_preset(preset))[0]
    model = load(tmp_path, first)
    assert written(tmp_path / "second", model)[0] == first
    assert tomllib.loads(first)["storage"].endswith("G")


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("colour = 1", "colour"),
        ("cps = 65", "cps"),
        ("[pool.EAV]\ntype = '3390'\nsize = 1182007", "pool.EAV.size"),
        ("[lun]\nwwpn = 'X'", "lun"),
        ("lun = [1]", "lun[1]"),
        ("[[lun]]\nwwpn = '500507630708D3B3'\nlun = '4000400000000000'", "lun[1].uuid"),
        ("[[lun]]\nwwpn = '5005'\nlun = '4000400000000000'\nuuid = '1'\nblocks = 8", "lun[1].wwpn"),
        ("[[disk]]\nrdev = '7100'\ncolour = 'red'", "disk[1].colour"),
        ("[[disk]]\nrdev = '7100'\nsize = -1", "disk[1].size"),
        ("[[disk]]\nrdev = '7100'\nsize = true", "disk[1].size"),
        ("[[disk]]\nrdev = '7100'\nstatus = 'BROKEN'", "disk[1].status"),
        ("[[disk]]\nrdev = '7100'\n[[disk]]\nrdev = '7100'", "disk[2]"),
        ("[[disk]]\nrdev = '7100'\nshared = 1", "disk[1].shared"),
        ("[[disk]]\nrdev = '71000'", "disk[1].rdev"),
        ("[[osa_device]]\nrdev = '0600'\nchpid = '100'", "osa_device[1].chpid"),
        ("[[edev]]\nrdev = '9200'\npaths = ['1A00 5005']", "edev[1].paths[1]"),
        ("[[edev]]\nrdev = '9200'\npaths = '1A00'", "edev[1].paths"),
        ("[[vswitch]]\nname = 'TOOLONGNAME'", "vswitch[1].name"),
        ("[[vswitch]]\nname = 'VSW1'\nrdevs = ['1F0X']", "vswitch[1].rdevs[1]"),
        ("[[vswitch]]\nname = 'VSW1'\ngrants = [{ name = 'X' }]", "vswitch[1].grants[1].name"),
        ("[[vswitch]]\nname = 'VSW1'\ntransport = 'AIR'", "vswitch[1].transport"),
        ("[[lan]]\nname = 'LAN1'", "lan[1].owner"),
        ("[[channel_path]]\nchpid = '10'\nkind = 'SCSI'", "channel_path[1].kind"),
        ("[[volume]]\nvolser = 'TOOLONG'\nmodel = '3390-0A'\nsize = 100", "volume[1].volser"),
    ],
)
def test_a_bad_key_is_named(tmp_path: Path, text: str, field: str) -> None:
    with pytest.raises(ModelError) as caught:
        load(tmp_path, text)
    assert str(caught.value).startswith(f"{field}: "), caught.value


def test_two_devices_of_one_number_make_no_system(tmp_path: Path) -> None:
    model = load(tmp_path, "[[osa_device]]\nrdev = '7000'\nchpid = '10'")
    with pytest.raises(ModelError, match="device number 7000 is used twice"):
        open_installation(tmp_path / "state", model)


async def test_a_simulator_that_runs_is_written_by_its_program(tmp_path: Path) -> None:
    import asyncio

    async with Simulator(state=tmp_path / "state", model=find_preset("ssi4")) as sim:
        control = ControlPort(sim)
        port = await control.start(port=0)
        try:
            options = ["export", "--control", f"http://127.0.0.1:{port}"]
            result = await asyncio.to_thread(CliRunner().invoke, app, [*options, "--member", "vm2"])
            assert result.exit_code == 0
            assert result.stdout == model_file.written(sim.member("VM2").system)
            refused = await asyncio.to_thread(CliRunner().invoke, app, [*options, "--member", "VM9"])
            assert refused.exit_code == 2
        finally:
            await control.close()
