"""With an asynchronous directory manager every change of the directory is a work unit: 592, and done later."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from simulator.support import codes, linux
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.smapi.registry import HANDLERS
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import IMPATIENT, Client
from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.registry import REGISTRY

NAME = "LINUX01"
CHANGES = (
    f.ImagePasswordSetDM(target=NAME, image_password="TOPSECRT"),
    f.ImageIPLSetDM(target=NAME, saved_system="CMS", load_parameter="", parameter_string=""),
    f.VirtualNetworkAdapterCreateExtendedDM(target=NAME, image_device_number="2000", adapter_type="QDIO", devices="3"),
    f.ImageDeviceDedicateDM(target=NAME, image_device_number="0F00", real_device_number="1A00", readonly=0),
    f.ImageCPUSetMaximumDM(target=NAME, max_cpu=4),
    f.ImageCPUDefineDM(target=NAME, cpu_address="01", base_cpu=0, cpuid="", dedicate_cpu=0, crypto=0),
    f.ProfileCreateDM(target="OTHERPRF", profile_record_array=("PROFILE OTHERPRF", "IPL CMS")),
    f.DirectoryManagerLocalTagDefineDM(target="MAINT", tag_name="OWNER", tag_ordinal=1, define_action=1),
)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.spec.name)
async def test_a_change_is_answered_with_its_number_and_done_later(tmp_path: Path, change: Request[Any]) -> None:
    async with Simulator(state=tmp_path, asynchronous=True) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)
        await client.call(f.ImageCreateDM(target=NAME, image_record_array=linux(NAME)))
        before = dict(sim.system.entries.items()), dict(sim.system.local_tags.items())
        begun = await client.call(change, follow=False)
        assert begun.rc == 592
        assert begun.rs > 0
        query = f.QueryAsynchronousOperationDM(target="MAINT", operation_id=begun.rs)
        assert (await codes(client, query)) == (0, 104)
        assert (dict(sim.system.entries.items()), dict(sim.system.local_tags.items())) == before
        await asyncio.sleep(0.2)
        assert (await codes(client, query)) == (0, 100)
        assert (dict(sim.system.entries.items()), dict(sim.system.local_tags.items())) != before


async def test_what_cannot_be_done_is_refused_at_once_and_makes_no_work_unit(tmp_path: Path) -> None:
    async with Simulator(state=tmp_path, asynchronous=True) as sim:
        client = Client("127.0.0.1", sim.smapi_port, userid="MAINT", password="MAINT", patience=IMPATIENT)
        assert await codes(client, f.ImageIPLDeleteDM(target="NOBODY")) == (400, 4)
        assert len(sim.system.operations) == 0


def test_every_function_that_changes_an_entry_is_one_of_the_directory_manager() -> None:
    changing = {name for name, item in HANDLERS.items() if item.changes_directory}
    own = {function.name.upper() for function in REGISTRY if function.directory_manager}
    assert changing - own == set()
