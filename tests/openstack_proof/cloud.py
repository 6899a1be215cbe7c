"""The whole cloud: services on a database and a bus, one nova-compute and one neutron agent for each z/VM system."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import subprocess
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx

from openstack_proof import catalogue, databases, environment, units, zvm
from openstack_proof.client import Transcript
from openstack_proof.daemons import Daemons, wait_until
from openstack_proof.guide import Guide
from openstack_proof.programs import programs
from openstack_proof.settings import HOST, Places, Section, ini
from openstack_proof.zvm import FLAT, SYSTEMS, TAGGED, Zvm

PATIENCE = 300.0
MODULES = {
    "keystone": "keystone.wsgi.api", "glance": "glance.wsgi.api", "placement": "placement.wsgi.api",
    "nova": "nova.wsgi.osapi_compute", "neutron": "neutron.wsgi.api",
    "cinder": "cinder.wsgi.api",
}  # fmt: skip
Told = Callable[[str], None]


class Cloud:
    """What runs, and where. ``hosts``: the name of each system's nova-compute and agent."""

    def __init__(self, places: Places, daemons: Daemons, found: Zvm) -> None:
        self.places = places
        self.daemons = daemons
        self.zvm = found
        self.transcript = Transcript(places.folder / "logs" / "commands.txt")
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
    guide = Guide(places, cloud.zvm, cloud.transcript)
    guide.token()
    guide.storage()
    guide.settings()
    _settings(cloud)
    _services(cloud)
    with ThreadPoolExecutor(4) as pool:
        for work in [pool.submit(_answers, cloud, name, "/") for name in list(MODULES)[1:]]:
            work.result()
    told("glance, placement, nova, neutron and cinder answer")
    for host in cloud.hosts.values():
        _start_compute(cloud, host)
    guide.hosts(cloud.hosts, PATIENCE, daemons)
    wait_until(lambda: _agents_ready(cloud), "the agents make their VSWITCH", PATIENCE, daemons)
    told("nova-compute of both systems is known")


def _agents_ready(cloud: Cloud) -> bool:
    return all(TAGGED in member.system.vswitches for member in cloud.zvm.simulator.members)


def _api(cloud: Cloud, name: str, variables: dict[str, str], arguments: str = "") -> None:
    command: list[str | Path] = [
        cloud.places.program("uwsgi"), "--master", "--processes", "1", "--threads", "4", "--enable-threads",
        "--lazy-apps", "--need-app", "--die-on-term", "--buffer-size", "65535", "--disable-logging",
        "--http-socket", f"{HOST}:{cloud.places.ports[name]}", "--module", f"{MODULES[name]}:application",
        "--chunked-input-limit", "10485760", "--socket-timeout", "120", "--add-header", "Connection: close",
        "--hook-master-start", "unix_signal:15 gracefully_kill_them_all", "--worker-reload-mercy", "10",
    ]  # fmt: skip
    command += ["--pyargv", arguments] if arguments else []
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
    neutron = _config(folder / "neutron", files)
    for name in ("neutron-rpc-server", "neutron-periodic-workers"):
        daemons.add(name, [places.program(name), *neutron])
    _answers(cloud, "placement", "/")
    _api(cloud, "nova", {"OS_NOVA_CONFIG_DIR": str(folder / "nova")})
    for name in ("nova-conductor", "nova-scheduler"):
        daemons.add(name, [places.program(name), "--config-file", folder / "nova" / "nova.conf"])
    for host in cloud.hosts.values():
        _start_agent(cloud, host)
    cinder = folder / "cinder" / "cinder.conf"
    _api(cloud, "cinder", {}, f"--config-file {cinder}")
    daemons.add("cinder-scheduler", [places.program("cinder-scheduler"), "--config-file", cinder])
    for host in cloud.hosts.values():
        _start_unit(cloud, f"cinder-volume-{host}", {})


def _settings(cloud: Cloud) -> None:
    """What the services need anyway, beside what was rendered for the drivers."""
    folder, places = cloud.places.folder, cloud.places
    _write(folder / "etc" / "nova" / "nova.conf", places.nova_common())
    _write(folder / "etc" / "neutron" / "neutron.conf", places.neutron_agent())
    _write(folder / "etc" / "cinder" / "cinder.conf", places.cinder())
    (folder / "neutron" / "ml2_conf.ini").write_text((folder / "etc/neutron/plugins/ml2/zvm.ini").read_text())


def _write(path: Path, sections: Mapping[str, Section]) -> None:
    path.write_text(ini(sections))


def _start_compute(cloud: Cloud, host: str) -> None:
    """A system's nova-compute, by its unit. The image cache is cleaned often enough for a step of the proof."""
    state = cloud.places.folder / f"nova-{host}"
    state.mkdir()
    cleaning = {"manager_interval": 20, "remove_unused_original_minimum_age_seconds": 40}
    _start_unit(cloud, f"nova-compute-{host}", {"DEFAULT": {"state_path": state}, "image_cache": cleaning})


def _start_agent(cloud: Cloud, host: str) -> None:
    """A system's neutron agent, by its unit; impatient."""
    own = {"agent": {"report_interval": 10}, "zvmcloud": {"polling_interval": 1, "repair_interval": 5}}
    _start_unit(cloud, f"neutron-zvm-agent-{host}", own)


def _start_unit(cloud: Cloud, name: str, own: Mapping[str, Section]) -> None:
    places = cloud.places
    cloud.daemons.add(name, units.command(places.folder, name), units.variables(places.environment, own))


def _config(folder: Path, names: Sequence[str]) -> list[str | Path]:
    return [word for name in names for word in ("--config-file", folder / name)]
