"""The driver over a manager, agents and a z/VM cluster in software."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import nova.conf
import pytest
from nova import context as nova_context
from nova import objects
from nova.db.main import api as database
from nova.db.main import models
from nova.image import glance
from nova.network import security_group_api
from nova.virt import driver as virt

from e2e.stack import Stack, running, zvm
from nova_world import IMAGE, Compute, Glance, VirtApi, give_pool, lun_tables
from zvmcloud.client import Client

CONF = nova.conf.CONF


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """An image of ten cylinders that boots."""
    path = tmp_path_factory.mktemp("sample") / "sample.img"
    made: Mapping[str, Any] = json.loads(zvm("image", "sample", str(path)).stdout)
    return Path(made["path"]).read_bytes()


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """A running `zvm up` with a cluster, whose first members have the VSWITCH NOVASW."""
    folder = tmp_path_factory.mktemp("nova")
    model = folder / "model.toml"
    model.write_text('ssi = "SSI"\nmembers = ["VM1", "VM2"]\n' + lun_tables())
    with running(folder / "state", "--model", str(model)) as stack:
        yield stack


@pytest.fixture(scope="session")
def client(cluster: Stack) -> Iterator[Client]:
    url = cluster.facts["connector"].rstrip("/")
    with Client(url, cluster.admin_token) as found:
        for system in ("VM1", "VM2"):
            job = found.ask("POST", f"/systems/{system}/vswitches", body={"name": "NOVASW", "connection": "DISCONNECT"})
            assert found.wait(job["id"])["state"] == "done"
        give_pool(found)
        yield found


@pytest.fixture(scope="session")
def configured(
    cluster: Stack, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[str], None]]:
    objects.register_all()
    CONF([], default_config_files=[])
    database.context_manager.configure(connection=f"sqlite:///{tmp_path_factory.mktemp('db') / 'nova.sqlite'}")
    models.BASE.metadata.create_all(database.get_engine(context=nova_context.get_admin_context()))

    def choose(system: str) -> None:
        for name, value in (
            ("url", client.url), ("token_file", cluster.facts["admin_token_file"]), ("system", system), ("retries", 3),
        ):  # fmt: skip
            CONF.set_override(name, value, group="zvmcloud")

    yield choose
    CONF.reset()


@pytest.fixture
def compute_of(
    configured: Callable[[str], None], cluster: Stack, client: Client, sample: bytes, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[str], Compute]]:
    """Makes the driver of a system, which nova would load."""
    service, made = Glance(), []
    service.add(IMAGE, sample)
    monkeypatch.setattr(security_group_api, "get_instance_security_groups", lambda *_: [])
    monkeypatch.setattr(glance, "get_remote_image_service", lambda _context, image: (service, image))

    def make(system: str) -> Compute:
        configured(system)
        api = VirtApi()
        driver = virt.load_compute_driver(api, "zvmcloud.ZVMCloudDriver")
        driver.init_host("compute1")
        made.append(driver)
        return Compute(driver, cluster.system(system), service, api, client, nova_context.get_admin_context())

    yield make
    for driver in made:
        driver.cleanup_host("compute1")


@pytest.fixture
def compute(compute_of: Callable[[str], Compute]) -> Compute:
    return compute_of("VM1")


@pytest.fixture
def nothing_left(compute: Compute) -> Iterator[None]:
    """What a test leaves is taken away, and then z/VM is as it was before."""
    before = compute.userids()
    yield
    for guest in compute.client.pages("/guests", {}):
        job = compute.client.ask("DELETE", f"/guests/{guest['system']}/{guest['userid']}")
        assert compute.client.wait(job["id"])["state"] == "done"
    assert compute.userids() == before
