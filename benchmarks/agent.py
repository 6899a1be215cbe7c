"""The agent's round trips: SMAPI requests and CP commands of common operations, on a simulated z/VM.

Compared with what Feilong sends for the same (reference/connector/golden/traces.txt, of 1.6.7): each of its smcli
processes is counted as one SMAPI request, though it opens a second connection for Query_API_Functional_Level.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from benchmarks.table import Row
from zvmcloud.images.sample import write_sample_image
from zvmcloud.simulator.embed import Simulator
from zvmcloud.zhcp import samples
from zvmcloud.zhcp import settings as settings_module
from zvmcloud.zhcp.disk_messages import AddDisks, NewDisk
from zvmcloud.zhcp.guest_messages import CreateGuest, StartGuest
from zvmcloud.zhcp.image_messages import ImageSource, WriteImage
from zvmcloud.zhcp.kinds import Operation
from zvmcloud.zhcp.messages import operation_json
from zvmcloud.zhcp.network_messages import AttachNic, CreateVswitch
from zvmcloud.zhcp.program import runner_of

ROOT = NewDisk(vdev="0100", size_units=10, pool="POOL1", boot=True)
DATA = NewDisk(vdev="0101", size_units=20, pool="POOL1", format="ext4")
MORE = NewDisk(vdev="0102", size_units=20, pool="POOL1", format="ext4")
GUEST = CreateGuest(userid="LINUX01", vcpus=1, memory_mb=512, profile="LNXDFLT", ipl="0100", disks=(ROOT, DATA))
OFF = AttachNic(userid="LINUX01", vdev="1000", network="VSW1", vlans=("12",))
ON = AttachNic(userid="LINUX01", vdev="2000", network="VSW1", vlans=("13",), active=True)


@dataclass(frozen=True, slots=True)
class Feilong:
    """What Feilong sends: smcli calls, and vmcp commands with those of its link and detach scripts."""

    smapi: int
    cp: int


CREATE = Feilong(4, 5)
"""Image_Create_DM, twice Image_Disk_Create_DM, Name_List_Add; query user, and four of linking and detaching."""
NIC_OFF = Feilong(1 + 2 + 1 + 3, 2 + 4 + 3 + 2)
"""create_nic, grant, VLAN, couple."""
NIC_ON = Feilong(2 + 2 + 1 + 4, 3 + 4 + 3 + 3)
"""The same with active=True."""
DISK_ON = Feilong(3, 3 + 4)
"""create_disks, one formatted, of a guest that is on."""


async def _rows(folder: Path) -> list[Row]:
    image = write_sample_image(folder / "sample", cylinders=5)
    async with Simulator(state=folder / "zvm") as simulator:
        settings = settings_module.read(
            {
                "smapi": {"port": simulator.smapi_port, "userid": "ZHCP", "password": "ZHCP"},
                "machine": {"port": simulator.machine_port},
                "storage": {"image_folders": [str(folder)]},
            },
            folder,
        )
        runner = runner_of(settings)

        async def run(operation: Operation) -> Counter[str]:
            step = str(id(operation))
            key = await runner.submit("bench", step, 1, operation.kind, operation_json(operation))
            outcome = await runner.outcome(key, 60)
            if outcome.state != "done":
                raise RuntimeError(f"{operation.kind}: {outcome.error.detail if outcome.error else outcome.state}")
            return Counter(call.kind for call in outcome.calls)

        rows = _compared("guest.create, two disks, one formatted", await run(GUEST), CREATE)
        source = ImageSource(url=image.path.as_uri(), sha256=image.sha256)
        await run(WriteImage(userid="LINUX01", vdev="0100", source=source))
        await run(CreateVswitch(name="VSW1", rdev=("0500",), vid="AWARE"))
        rows += _compared("nic.attach with grant and VLAN, guest off", await run(OFF), NIC_OFF)
        await run(StartGuest(userid="LINUX01"))
        rows += _compared("nic.attach with grant and VLAN, guest on", await run(ON), NIC_ON)
        rows += _compared("disk.add, formatted, guest on", await run(AddDisks("LINUX01", (MORE,))), DISK_ON)
        sample = await samples.sample(runner.context())
        rows.append(Row("one sample of all guests: SMAPI and CP calls", float(str(sample["calls"])), "calls"))
        await runner.stop()
        return rows


def _compared(what: str, calls: Counter[str], feilong: Feilong) -> list[Row]:
    return [
        Row(f"{what}: SMAPI", calls["smapi"], "calls", feilong.smapi, "Feilong", less_is_better=True),
        Row("    CP", calls["cp"], "calls", feilong.cp, "Feilong", less_is_better=True),
    ]


def run() -> list[Row]:
    """Every operation once."""
    with tempfile.TemporaryDirectory() as folder:
        return asyncio.run(_rows(Path(folder)))
