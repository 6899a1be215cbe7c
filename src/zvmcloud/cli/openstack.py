"""`zvm openstack render`: the settings of nova-compute, neutron and cinder-volume for one z/VM system, and their
systemd units.

What the manager knows is filled in: its URL, the system, the system's VSWITCHes. What only OpenStack knows (its message
bus, its passwords) is in the files that OpenStack has already; ours are read behind them.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from zvmcloud.cli import output, profiles
from zvmcloud.cli.failures import BAD_INPUT, fail, refuse
from zvmcloud.client import ClientError

app = typer.Typer(add_completion=False, no_args_is_help=True, help="Settings of OpenStack's services for z/VM.")

TOKEN_FILE = "/etc/zvmcloud/openstack.token"  # noqa: S105  a path
_LIVE = "live_migration_wait_for_vif_plug"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the files are made of. ``switches``: VSWITCH of each physical network; ``devices``: of VSWITCHes that the
    agent makes."""

    system: str
    host: str
    url: str
    token_file: str
    ca: str
    switches: dict[str, str]
    devices: dict[str, str]
    unaware: tuple[str, ...]


@app.callback()
def openstack() -> None:
    """Settings of OpenStack's services for z/VM."""


@app.command()
def render(
    system: Annotated[str, typer.Option("--system", "-s", help="The z/VM system.")] = "",
    host: Annotated[str, typer.Option(help="What nova and neutron call it. Default: its name in lower case.")] = "",
    physical_network: Annotated[
        list[str] | None,
        typer.Option(help="PHYSNET=VSWITCH, or PHYSNET=VSWITCH:1000+1F00 for one that the agent makes with these "
                     "devices when it is missing; repeat. Default: the VSWITCHes of the system, physnet1 and so on."),
    ] = None,
    token_file: Annotated[str, typer.Option(help="Where the services find their token.")] = TOKEN_FILE,
    folder: Annotated[
        Path | None, typer.Option(help="Write the files below this folder instead of printing them.")
    ] = None,
) -> None:  # fmt: skip
    """Print the pieces of nova.conf, ml2_conf.ini and cinder.conf, the agent's settings and the systemd units for one
    z/VM system."""
    profile = profiles.current()
    name = (system or profile.system).upper()
    if not name:
        fail("which z/VM system?", BAD_INPUT, "name it with --system; `zvm system list` shows them")
    try:
        with profile.client() as client:
            client.call("GET", f"/systems/{name}")
            known: Any = client.call("GET", f"/systems/{name}/vswitches")
    except ClientError as error:
        refuse(error)
    switches, devices = _mapping(physical_network or [], [item["name"] for item in known])
    facts = Facts(
        system=name,
        host=host or name.lower(),
        url=profile.url,
        token_file=token_file,
        ca=str(profile.ca),
        switches=switches,
        devices=devices,
        unaware=tuple(item["name"] for item in known if not item["vlan_aware"]),
    )
    for path, text in files(facts).items():
        if folder is None:
            output.screen.print(f"# ==> {path}\n{text}", markup=False, highlight=False, soft_wrap=True)
            continue
        target = folder / path.lstrip("/")
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(text)
        except OSError as error:
            fail(f"{target}: {error.strerror}", BAD_INPUT, "choose a folder that you may write to with --folder")
        output.screen.print(str(target), markup=False, highlight=False, soft_wrap=True)


def _mapping(given: list[str], known: list[str]) -> tuple[dict[str, str], dict[str, str]]:
    """VSWITCHes and their devices from the options; ends the program for what makes no sense."""
    if not given:
        return {f"physnet{number}": name for number, name in enumerate(sorted(known), 1)}, {}
    switches: dict[str, str] = {}
    devices: dict[str, str] = {}
    for item in given:
        physnet, _, rest = item.partition("=")
        name, _, real = rest.upper().partition(":")
        if not physnet or not name or physnet in switches:
            fail(f"--physical-network {item!r} makes no sense", BAD_INPUT, "write PHYSNET=VSWITCH, each physnet once")
        if name not in known and not real:
            there = ", ".join(known) or "none"
            fail(
                f"there is no VSWITCH {name} (there are: {there})",
                BAD_INPUT,
                f"give its devices: {physnet}={name}:1000+1F00",
            )
        switches[physnet] = name
        if real:
            devices[name] = real
    return switches, devices


def files(facts: Facts) -> dict[str, str]:
    """Text of each file by its path."""
    return {
        f"/etc/nova/zvm-{facts.host}.conf": _nova(facts),
        f"/etc/neutron/zvm-agent-{facts.host}.ini": _agent(facts),
        "/etc/neutron/plugins/ml2/zvm.ini": _ml2(facts),
        f"/etc/cinder/zvm-volumes-{facts.host}.conf": _cinder(facts),
        f"/etc/systemd/system/nova-compute-{facts.host}.service": _unit(
            f"OpenStack Nova Compute for z/VM {facts.system}",
            "nova",
            f"nova-compute --config-file /etc/nova/nova.conf --config-file /etc/nova/zvm-{facts.host}.conf",
            facts,
        ),
        f"/etc/systemd/system/neutron-zvm-agent-{facts.host}.service": _unit(
            f"OpenStack Neutron agent for z/VM {facts.system}",
            "neutron",
            "neutron-zvm-agent --config-file /etc/neutron/neutron.conf "
            f"--config-file /etc/neutron/zvm-agent-{facts.host}.ini",
            facts,
        ),
        f"/etc/systemd/system/cinder-volume-{facts.host}.service": _unit(
            f"OpenStack Cinder volumes of z/VM {facts.system}",
            "cinder",
            "cinder-volume --config-file /etc/cinder/cinder.conf "
            f"--config-file /etc/cinder/zvm-volumes-{facts.host}.conf",
            facts,
        ),
    }


def _manager(facts: Facts) -> str:
    ca = f"ca_file = {facts.ca}\n" if facts.ca else ""
    return f"[zvmcloud]\nurl = {facts.url}\ntoken_file = {facts.token_file}\n{ca}"


def _system(facts: Facts) -> str:
    return f"{_manager(facts)}system = {facts.system}\n"


def _nova(facts: Facts) -> str:
    return f"""[DEFAULT]
host = {facts.host}
compute_driver = zvmcloud.ZVMCloudDriver
# each nova-compute has its own: the identity of its node is kept there
state_path = /var/lib/nova/{facts.host}
# guests have no DHCP server; they read their addresses from the config drive
force_config_drive = true
vif_plugging_is_fatal = true
vif_plugging_timeout = 300

[compute]
# the agent sees a guest when it has arrived, not before
{_LIVE} = false

{_system(facts)}"""


def _agent(facts: Facts) -> str:
    switches = ",".join(f"{physnet}:{name}" for physnet, name in facts.switches.items())
    devices = ",".join(f"{name}:{real}" for name, real in facts.devices.items())
    made = f"vswitch_devices = {devices}\n" if devices else ""
    return f"[DEFAULT]\nhost = {facts.host}\n\n{_system(facts)}physical_networks = {switches}\n{made}"


def _ml2(facts: Facts) -> str:
    flat = ",".join(facts.switches)
    vlans = ",".join(f"{physnet}:1:4094" for physnet, name in facts.switches.items() if name not in facts.unaware)
    vlan = f"\n[ml2_type_vlan]\nnetwork_vlan_ranges = {vlans}\n" if vlans else ""
    return f"""# for neutron's API, neutron-rpc-server and neutron-periodic-workers; the same for all z/VM systems
[ml2]
type_drivers = flat,vlan
tenant_network_types = {"vlan" if vlans else ""}
# add those of other hypervisors behind a comma
mechanism_drivers = zvmcloud
extension_drivers = port_security

[ml2_type_flat]
flat_networks = {flat}
{vlan}"""


def _cinder(facts: Facts) -> str:
    return f"""# one cinder-volume for several systems: give it the files of all, and a last one that enables all
[DEFAULT]
enabled_backends = {facts.host}

[{facts.host}]
volume_driver = zvmcloud.openstack.cinder.driver.ZVMVolumeDriver
volume_backend_name = {facts.host}
zvm_system = {facts.system}

{_manager(facts)}"""


def _unit(description: str, user: str, command: str, facts: Facts) -> str:
    state = f"StateDirectory=nova/{facts.host}\n" if user == "nova" else ""
    return f"""[Unit]
Description={description}
After=network-online.target
Wants=network-online.target

[Service]
User={user}
ExecStart=/usr/bin/env {command}
{state}Restart=on-failure
RestartSec=5
TimeoutStopSec=90
NoNewPrivileges=yes
ProtectSystem=full
PrivateTmp=yes

[Install]
WantedBy=multi-user.target
"""


def example() -> dict[str, str]:
    """The files of etc/openstack: those of a system ZVM1 with two VSWITCHes."""
    return files(
        Facts(
            system="ZVM1",
            host="zvm1",
            url="https://manager.example.com:8080",
            token_file=TOKEN_FILE,
            ca="/etc/zvmcloud/ca.pem",
            switches={"physnet1": "VSW1", "physnet2": "VSW2"},
            devices={"VSW2": "1000+1F00"},
            unaware=("VSW1",),
        )
    )
