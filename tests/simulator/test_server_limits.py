"""What unfinished requests of all clients together may hold is bounded."""

from __future__ import annotations

import asyncio

import pytest

from zvmcloud.simulator import Simulator, storage
from zvmcloud.simulator.smapi import server
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client
from zvmcloud.smapi.errors import SmapiError


async def test_a_client_that_would_pass_the_common_limit_is_cut_off_and_others_are_served(
    sim: Simulator, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(server, "MAX_HELD", 100_000)
    writers = []
    for _ in range(3):
        reader, writer = await asyncio.open_connection("127.0.0.1", sim.smapi_port)
        writer.write((1_000_000).to_bytes(4, "big") + bytes(40_000))
        await writer.drain()
        writers.append((reader, writer))
    async with asyncio.timeout(5):
        with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
            await writers[2][0].readexactly(1)
    for _, writer in writers[:2]:
        writer.close()
    await asyncio.sleep(0.05)
    assert (await client.call(f.ImageStatusQuery(target="MAINT"), allow=((0, 12),))).rc == 0


async def test_the_journal_is_for_its_owner_only(sim: Simulator) -> None:
    journal = next(sim.system.state.rglob("journal.jsonl"))
    assert journal.stat().st_mode & 0o077 == 0


async def test_the_device_folder_of_a_guest_goes_when_it_logs_off(sim: Simulator, client: Client) -> None:
    records = ("USER LEAVES LBYONLY 512M 1G G", "INCLUDE LNXDFLT")
    await client.call(f.ImageCreateDM(target="LEAVES", image_record_array=records))
    await client.call(
        f.ImageDiskCreateDM(
            target="LEAVES",
            image_disk_number="0100",
            image_disk_device_type="3390",
            image_disk_allocation_type="AUTOG",
            allocation_area_name_or_volser="POOL1",
            allocation_unit_size=1,
            image_disk_size=10,
            image_disk_mode="MR",
        )
    )
    folder = sim.system.device_folder / "LEAVES"
    await client.call(f.ImageActivate(target="LEAVES"))
    assert not folder.exists()
    storage.open_devices(sim.system, "LEAVES")
    assert [item.name for item in folder.iterdir()] == ["0.0.0100"]
    await client.call(f.ImageDeactivate(target="LEAVES", force_time="IMMED"))
    assert not folder.exists()


async def test_a_refusal_can_quote_what_the_wire_lacks_in_upper_case(client: Client) -> None:
    """The upper case of the micro sign is a Greek letter, which ISO 8859-15 does not have."""
    request = f.ImageDefinitionCreateDM(
        target="NOBODY", definition_create_directory_keyword_parameter_list=("\N{MICRO SIGN}",)
    )
    with pytest.raises(SmapiError) as caught:
        await client.call(request)
    assert (caught.value.rc, caught.value.rs) == (8, 3002)
    assert caught.value.text == ("UNKNOWN_DIRECTORY_KEYWORD_PARAMETER=?",)
