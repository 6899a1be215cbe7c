"""Figures in Prometheus' text format, read by its own parser."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest
import sqlalchemy as sa
from prometheus_client.parser import text_string_to_metric_families

from api.native import As, ok, refused, token_of
from api.test_inventory import foreign
from manager.over_simulator import Managed, managed
from manager.support import settings
from zvmcloud.api.connector.tokens import make_secret
from zvmcloud.api.program import doors
from zvmcloud.manager.metrics.exposition import Page, labels
from zvmcloud.manager.node import Node
from zvmcloud.manager.tables import jobs
from zvmcloud.simulator import guests
from zvmcloud.simulator.faults import Rule

Samples = dict[tuple[str, frozenset[tuple[str, str]]], float]


@pytest.fixture
async def zvm(tmp_path: Path) -> AsyncIterator[Managed]:
    make_secret(tmp_path / "state" / "connector.token")
    found = settings(tmp_path / "state", metrics={"open_from": ["192.0.2.128/25"]})
    async with managed(tmp_path, found) as opened:
        yield opened


@pytest.fixture
def node(zvm: Managed) -> Node:
    return zvm.node


async def samples(client: httpx.AsyncClient) -> Samples:
    answer = await client.get("/metrics")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    return read(answer.text)


def read(text: str) -> Samples:
    found: Samples = {}
    for family in text_string_to_metric_families(text):
        assert family.documentation, family.name
        assert family.type != "unknown", family.name
        for sample in family.samples:
            key = (sample.name, frozenset(sample.labels.items()))
            assert key not in found, "a series is told once"
            found[key] = sample.value
    return found


def value(found: Samples, name: str, **labels: str) -> float:
    return found[name, frozenset(labels.items())]


def userids(found: Samples) -> set[str]:
    return {dict(key)["userid"] for name, key in found if name == "zvm_guest_cpu_seconds_total"}


def test_the_format_is_prometheus_own() -> None:
    page = Page({"a_total": ("counter", "Help with \\ and\nlines."), "b": ("gauge", "b"), "c": ("summary", "Empty.")})
    page["a_total"].add(3, labels(name='quoted "x"\\\n'))
    page["b"].add(0.5)
    text = "".join(page.parts())
    assert text == (
        "# HELP a_total Help with \\\\ and\\nlines.\n# TYPE a_total counter\n"
        'a_total{name="quoted \\"x\\"\\\\\\n"} 3\n'
        "# HELP b b\n# TYPE b gauge\nb 0.5\n"
    )
    assert read(text) == {("a_total", frozenset({("name", 'quoted "x"\\\n')})): 3, ("b", frozenset()): 0.5}


async def test_manager_systems_and_guests_have_their_figures(zvm: Managed, admin: httpx.AsyncClient) -> None:
    foreign(zvm, "OLDBOX")
    await ok(await admin.post("/systems/ZVM1/look"))
    await ok(await admin.post("/guests/ZVM1/OLDBOX/adopt", json={}), 202)
    found = await samples(admin)
    assert value(found, "zvm_up", system="ZVM1") == 1
    assert value(found, "process_resident_memory_bytes") > 10**6
    assert value(found, "zvm_system_memory_bytes", system="ZVM1") > 2**30
    assert value(found, "zvm_space_bytes", system="ZVM1", space="page") > 0
    assert value(found, "zvm_pool_bytes", system="ZVM1", pool="POOL1", state="free") > 0
    assert value(found, "zvm_inventory_failed", system="ZVM1") == 0
    assert value(found, "zvm_jobs", kind="guest.adopt", state="done") == 1
    assert value(found, "zvm_job_duration_seconds_count", kind="guest.adopt") == 1
    took = value(found, "zvm_job_duration_seconds_sum", kind="guest.adopt")
    async with zvm.node.core.database.write() as connection:
        await connection.execute(sa.delete(jobs))
    pruned = await samples(admin)
    assert value(pruned, "zvm_job_duration_seconds_count", kind="guest.adopt") == 1, "a counter never falls"
    assert value(pruned, "zvm_job_duration_seconds_sum", kind="guest.adopt") == took
    on = set(zvm.simulator.system.machines)
    assert userids(found) == on
    assert "zvm_drift" in {name for name, _ in found}


async def test_a_reader_of_a_project_sees_its_own_guests_only(
    zvm: Managed, admin: httpx.AsyncClient, client: As
) -> None:
    reader = client(await token_of(admin, "sam", "reader", shop="reader"))
    userid = "OLDBOX"
    foreign(zvm, userid)
    with zvm.simulator.system.transaction():
        guests.log_on(zvm.simulator.system, userid, ipl=False)
    await ok(await admin.post("/systems/ZVM1/look"))
    assert userids(await samples(reader)) == set()
    await ok(await admin.post(f"/guests/ZVM1/{userid}/adopt", json={"project": "shop"}), 202)
    found = await samples(reader)
    assert userids(found) == {userid}
    assert value(found, "zvm_up", system="ZVM1") == 1


async def test_a_system_that_does_not_answer_is_down_and_comes_back(
    zvm: Managed, admin: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zvmcloud.manager.metrics.collect._KEPT", 0)
    zvm.simulator.faults.add(Rule(function="System_Image_Performance_Query", rc=396, rs=99, count=1))
    found = await samples(admin)
    assert value(found, "zvm_up", system="ZVM1") == 0
    assert userids(found) == set(), "and no figures of before"
    found = await samples(admin)
    assert value(found, "zvm_up", system="ZVM1") == 1


async def test_scrapes_that_follow_closely_ask_z_vm_once(zvm: Managed, admin: httpx.AsyncClient) -> None:
    before = zvm.node.core.agents["ZVM1"]
    first = await before.get("/v1/smapi")
    await samples(admin)
    between = await before.get("/v1/smapi")
    await samples(admin)
    after = await before.get("/v1/smapi")
    assert isinstance(first, dict)
    assert isinstance(between, dict)
    assert isinstance(after, dict)
    assert between["total_success"] > first["total_success"]
    assert after["total_success"] == between["total_success"]


@pytest.mark.parametrize(("address", "open_"), [("192.0.2.200", True), ("192.0.2.7", False), ("", False)])
async def test_a_scraper_without_token_comes_from_a_known_address(zvm: Managed, address: str, open_: bool) -> None:
    transport = httpx.ASGITransport(doors(zvm.node), client=(address, 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://manager/v1") as scraper:
        answer = await scraper.get("/metrics")
        if open_:
            assert "zvm_up" in answer.text
            bad = await scraper.get("/metrics", headers={"authorization": "Bearer wrong"})
            await refused(bad, 401, "unauthorized")
        else:
            await refused(answer, 401, "unauthorized")
        await refused(await scraper.get("/systems"), 401, "unauthorized")


async def test_readiness_names_no_system_and_needs_no_token(zvm: Managed, client: As, admin: httpx.AsyncClient) -> None:
    stranger = client("")
    assert await ok(await stranger.get("/ready")) == {
        "ready": True,
        "database": True,
        "agents": 1,
        "agents_well": 0,
    }
    await ok(await admin.post("/systems/ZVM1/look"))
    assert (await ok(await stranger.get("/ready")))["agents_well"] == 1
