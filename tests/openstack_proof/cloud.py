"""The whole cloud: services on a database and a bus, one nova-compute and one neutron agent for each z/VM system."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from openstack_proof import catalogue, databases, environment, zvm
from openstack_proof.daemons import Daemons, wait_until
from openstack_proof.programs import programs
from openstack_proof.settings import HOST, Places, ini
from openstack_proof.zvm import FLAT, SYSTEMS, TAGGED, Zvm

PATIENCE = 300.0
MODULES = {
    "keystone": "keystone.wsgi.api", "glance": "glance.wsgi.api", "placement": "placement.wsgi.api",
    "nova": "nova.wsgi.osapi_compute", "neutron": "neutron.wsgi.api",
}  # fmt: skip
Told = Callable[[str], None]


class Cloud:
    """What runs, and where. ``hosts``: the name of each system's nova-compute and agent."""

    def __init__(self, places: Places, daemons: Daemons, found: Zvm) -> None:
        self.places = places
        self.daemons = daemons
        self.zvm = found
        self.hosts = {system: system.lower() for system in SYSTEMS}


@contextlib.asynccontextmanager
async def running(told: Told, keep: Path | None) -> AsyncIterator[Cloud]:
    """A cloud from nothing; stopped and removed with the block. ``keep``: a folder that gets the logs."""
    installed = await asyncio.to_thread(environment.prepare)
    needed = await asyncio.to_thread(programs, environment.cache())
    with environment.held(installed.with_suffix(".used")), _folder(keep) as folder:
        await asyncio.to_thread(_install, installed)
        told("drivers installed")
        places = Places.make(folder, installed)
        places.write()
        daemons = Daemons(folder / "logs")
        end_infrastructure = await asyncio.to_thread(databases.start, places, needed, daemons)
        try:
            async with zvm.started(folder / "zvm", daemons) as found:
                cloud = Cloud(places, daemons, found)
                await asyncio.to_thread(_start, cloud, told)
                yield cloud
                told("stopping")
                await asyncio.to_thread(daemons.stop)
        finally:
            await asyncio.to_thread(daemons.stop)
            end_infrastructure()


@contextlib.contextmanager
def _folder(keep: Path | None) -> Iterator[Path]:
    """A folder with a short path, as Unix sockets need it."""
    folder = Path(tempfile.mkdtemp(prefix="zvm-os-"))
    (folder / "zvm").mkdir()
    try:
        yield folder
    finally:
        if keep is not None:
            shutil.copytree(folder / "logs", keep, dirs_exist_ok=True)
        shutil.rmtree(folder, ignore_errors=True)


def _install(installed: Path) -> None:
    """Our wheel as an operator installs it: beside nova and neutron, not as a link to the sources."""
    root = Path(__file__).parents[2]
    pip: list[str | Path] = [
        installed / "bin" / "python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ]
    options = ["--no-deps", "--force-reinstall", "--no-build-isolation"]
    subprocess.run([*pip, *options, root], check=True, stdout=subprocess.DEVNULL)


def _start(cloud: Cloud, told: Told) -> None:
    places, daemons = cloud.places, cloud.daemons
    databases.await_infrastructure(places, daemons)
    told("database and message bus run")
    databases.migrate(places)
    told("schemas are made")
    _api(cloud, "keystone", {"OS_KEYSTONE_CONFIG_DIR": str(places.folder / "keystone")})
    _answers(cloud, "keystone", "/v3")
    catalogue.fill(places)
    told("keystone answers")
    for system in SYSTEMS:
        cloud.zvm.ask("POST", f"/systems/{system}/vswitches", {"name": FLAT, "rdev": ["1004"], "vid": "UNAWARE"})
    _drivers(cloud)
    _services(cloud)
    with ThreadPoolExecutor(4) as pool:
        for work in [pool.submit(_answers, cloud, name, "/") for name in ("glance", "placement", "nova", "neutron")]:
            work.result()
    told("glance, placement, nova and neutron answer")
    for system, host in cloud.hosts.items():
        settings = places.folder / "nova" / f"compute-{system}.conf"
        daemons.add(f"nova-compute-{host}", [places.program("nova-compute"), "--config-file", settings])
    _map_hosts(cloud)
    wait_until(lambda: _agents_ready(cloud), "the agents make their VSWITCH", PATIENCE, daemons)
    told("nova-compute of both systems is known")


def _agents_ready(cloud: Cloud) -> bool:
    return all(TAGGED in member.system.vswitches for member in cloud.zvm.simulator.members)


def _api(cloud: Cloud, name: str, variables: dict[str, str]) -> None:
    command: list[str | Path] = [
        cloud.places.program("uwsgi"), "--master", "--processes", "1", "--threads", "4", "--enable-threads",
        "--lazy-apps", "--need-app", "--die-on-term", "--buffer-size", "65535", "--disable-logging",
        "--http-socket", f"{HOST}:{cloud.places.ports[name]}", "--module", f"{MODULES[name]}:application",
        "--chunked-input-limit", "10485760", "--add-header", "Connection: close",
        "--hook-master-start", "unix_signal:15 gracefully_kill_them_all", "--worker-reload-mercy", "10",
    ]  # fmt: skip
    cloud.daemons.add(name, command, variables)


def _answers(cloud: Cloud, name: str, path: str) -> None:
    def asked() -> bool:
        with contextlib.suppress(httpx.TransportError):
            return httpx.get(cloud.places.url(name) + path, timeout=30).status_code in {200, 300, 401}
        return False

    wait_until(asked, f"{name} answers", PATIENCE, cloud.daemons)


def _services(cloud: Cloud) -> None:
    folder, places, daemons = cloud.places.folder, cloud.places, cloud.daemons
    _api(cloud, "glance", {"OS_GLANCE_CONFIG_DIR": str(folder / "glance")})
    _api(cloud, "placement", {"OS_PLACEMENT_CONFIG_DIR": str(folder / "placement")})
    files = ("neutron.conf", "ml2_conf.ini")
    variables = {"OS_NEUTRON_CONFIG_DIR": str(folder / "neutron"), "OS_NEUTRON_CONFIG_FILES": ";".join(files)}
    _api(cloud, "neutron", variables)
    neutron = [word for name in files for word in ("--config-file", str(folder / "neutron" / name))]
    for name in ("neutron-rpc-server", "neutron-periodic-workers"):
        daemons.add(name, [places.program(name), *neutron])
    _answers(cloud, "placement", "/")
    _api(cloud, "nova", {"OS_NOVA_CONFIG_DIR": str(folder / "nova")})
    for name in ("nova-conductor", "nova-scheduler"):
        daemons.add(name, [places.program(name), "--config-file", folder / "nova" / "nova.conf"])
    for system, host in cloud.hosts.items():
        settings = folder / "neutron" / f"agent-{system}.ini"
        daemons.add(f"neutron-zvm-agent-{host}", [places.program("neutron-zvm-agent"), "--config-file", settings])


def _drivers(cloud: Cloud) -> None:
    """Settings of the drivers: what `zvm openstack render` prints, over what the services need anyway."""
    folder, places = cloud.places.folder, cloud.places
    ml2 = {
        "ml2": {
            "type_drivers": "flat,vlan", "tenant_network_types": "vlan", "mechanism_drivers": "zvmcloud",
            "extension_drivers": "port_security",
        },
        "ml2_type_flat": {"flat_networks": "physnet1"},
        "ml2_type_vlan": {"network_vlan_ranges": "physnet2:100:199"},
    }  # fmt: skip
    (folder / "neutron" / "ml2_conf.ini").write_text(ini(ml2))
    for system, host in cloud.hosts.items():
        manager = {"url": cloud.zvm.url, "token_file": cloud.zvm.token_file, "system": system}
        state = folder / f"nova-{system}"
        state.mkdir()
        nova = places.nova_common()
        nova["DEFAULT"] = {
            **nova["DEFAULT"], "host": host, "state_path": state, "compute_driver": "zvmcloud.ZVMCloudDriver",
            "vif_plugging_timeout": 120, "vif_plugging_is_fatal": True, "force_config_drive": True,
        }  # fmt: skip
        nova["compute"] = {"live_migration_wait_for_vif_plug": False}
        (folder / "nova" / f"compute-{system}.conf").write_text(ini({**nova, "zvmcloud": manager}))
        agent = places.neutron_agent()
        agent["DEFAULT"] = {**agent["DEFAULT"], "host": host}
        own = {
            **manager, "physical_networks": f"physnet1:{FLAT},physnet2:{TAGGED}",
            "vswitch_devices": f"{TAGGED}:1000+1F00", "polling_interval": 1, "repair_interval": 5,
        }  # fmt: skip
        text = ini({**agent, "agent": {"report_interval": 10}, "zvmcloud": own})
        (folder / "neutron" / f"agent-{system}.ini").write_text(text)


def _map_hosts(cloud: Cloud) -> None:
    """nova knows a host when its compute node is there; then it has to be told to look."""
    command: list[str | Path] = [
        cloud.places.program("nova-manage"),
        "--config-file",
        cloud.places.folder / "nova" / "nova.conf",
    ]
    deadline = time.monotonic() + PATIENCE
    while True:
        cloud.daemons.check()
        done = subprocess.run(
            [*command, "cell_v2", "discover_hosts", "--verbose"], capture_output=True, text=True, check=True
        )
        listed = subprocess.run([*command, "cell_v2", "list_hosts"], capture_output=True, text=True, check=True)
        if all(f" {host} " in listed.stdout for host in cloud.hosts.values()):
            return
        if time.monotonic() > deadline:
            raise TimeoutError(f"nova does not know both hosts: {done.stdout}{done.stderr}{listed.stdout}")
        time.sleep(3)
