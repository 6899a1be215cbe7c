"""The other half of each recorded pair, behind the recorded half or on the recorded system as it is."""

from __future__ import annotations

from pathlib import Path

from simulator.counterparts import BEFORE, COUNTERPARTS
from simulator.support import codes
from zvmcloud.simulator import Simulator
from zvmcloud.simulator.presets import PRESETS
from zvmcloud.smapi.client import IMPATIENT, Client


async def test_each_counterpart_gets_the_codes_that_the_function_gave_on_the_recorded_system(tmp_path: Path) -> None:
    found = {}
    async with Simulator(state=tmp_path / "state", model=PRESETS["recorded71"]) as simulator:
        client = Client("127.0.0.1", simulator.smapi_port, userid="maint", password="maint", patience=IMPATIENT)
        for name, request, wanted in COUNTERPARTS:
            for needed in BEFORE.get(name, ()):
                assert (await codes(client, needed))[0] == 0, (name, needed)
            got = await codes(client, request)
            if got != wanted:
                found[name] = (got, wanted)
    assert found == {}
