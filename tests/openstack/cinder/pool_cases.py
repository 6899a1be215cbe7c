"""Two Cinder drivers, each over a manager of its own, that share a pool of LUNs: none is handed out twice, and what a
driver that died had begun comes back."""

from __future__ import annotations

import asyncio
import threading
import uuid
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
from cinder import context as cinder_context
from cinder import exception, objects
from cinder.volume import configuration
from oslo_config import cfg

import postgres
from manager.fake_zhcp import FakeZhcp
from manager.support import running, settings
from manager.volume_support import POOL, SIZES
from zvm_world import Bridge
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.client import Client
from zvmcloud.openstack import connection
from zvmcloud.openstack.cinder import options
from zvmcloud.openstack.cinder.driver import ZVMVolumeDriver

BACKEND = "cinder1@both"
objects.register_all()


@contextmanager
def managers(folder: Path, url: str) -> Iterator[list[Client]]:
    """Clients of two managers of one database, over one system."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="managers", daemon=True)
    thread.start()

    def run(work: Any) -> Any:
        return asyncio.run_coroutine_threadsafe(work, loop).result(60)

    stack, zhcp, found = AsyncExitStack(), FakeZhcp(), []
    try:
        token = ""
        for name in ("one", "two"):
            make_secret(folder / name / "connector.token")
            given = settings(folder / name, node=name, database=url, shared=str(folder / "shared"))
            node = run(stack.enter_async_context(running(zhcp, given)))
            token = token or str(node.new_admin_token)
            found.append(Client("http://manager", token, transport=Bridge(run, doors(node))))
        found[0].call("PUT", "/systems/ZVM1/volume-pools/p1/file", content=POOL.encode(), media="text/plain")
        yield found
    finally:
        for client in found:
            client.close()
        run(stack.aclose())
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        loop.close()


def driver_of(client: Client, monkeypatch: pytest.MonkeyPatch) -> ZVMVolumeDriver:
    """The driver as a cinder-volume loads it that asks this manager."""
    given = configuration.Configuration(options.OPTIONS, config_group="both")
    for name, value in {"zvm_system": "zvm1", "zvm_volume_pools": ["p1"], "zvm_busy_timeout": 30}.items():
        cfg.CONF.set_override(name, value, group="both")
    monkeypatch.setattr(connection, "connect", lambda _conf: client)
    driver = ZVMVolumeDriver(configuration=given, host=BACKEND)
    driver.do_setup(cinder_context.RequestContext("user", "project", is_admin=True))
    return driver


def volume(size: int = 1) -> objects.Volume:
    return objects.Volume(
        cinder_context.RequestContext("user", "project", is_admin=True), id=str(uuid.uuid4()), size=size,
        host=f"{BACKEND}#p1", _name_id=None, multiattach=False, encryption_key_id=None, project_id="project",
        display_name="v", provider_location=None, volume_attachment=objects.VolumeAttachmentList(objects=[]),
    )  # fmt: skip


def test_two_drivers_that_share_a_pool_never_get_one_lun(
    tmp_path: Path, postgres_server: postgres.Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = postgres_server.database()
    try:
        with managers(tmp_path, url) as clients:
            drivers = [driver_of(client, monkeypatch) for client in clients]
            made = [(drivers[number % 2], volume()) for number in range(2 * len(SIZES))]
            with ThreadPoolExecutor(len(made)) as threads:
                begun = [threads.submit(driver.create_volume, one) for driver, one in made]
                errors = [task.exception() for task in begun]
            failed = [error for error in errors if error is not None]
            assert len(failed) == len(SIZES), "there are as many LUNs as volumes that were made"
            assert all(isinstance(error, exception.VolumeDriverException) for error in failed), failed
            listed = list(clients[0].pages("/systems/ZVM1/volumes", {}))
            assert max(Counter(item["lun_name"] for item in listed).values()) == 1
            assert {item["name"] for item in listed} == {
                one.name for (_, one), error in zip(made, errors, strict=True) if error is None
            }
            with ThreadPoolExecutor(len(made)) as threads:  # each deletes what the other has made
                list(threads.map(lambda item: drivers[item[0] is drivers[0]].delete_volume(item[1]), made))
            assert {lun["state"] for lun in clients[1].ask("GET", "/systems/ZVM1/volume-pools/p1")["luns"]} == {"free"}
    finally:
        postgres_server.drop(url)
