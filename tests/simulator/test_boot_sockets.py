"""An agent installs and deploys over the wire alone: files into a reader, blocks onto a SCSI disk, then IPL."""

from __future__ import annotations

import asyncio
import base64

from simulator.support import Agent
from zvmcloud.images import kernel
from zvmcloud.images.diskfile import FbaDisk
from zvmcloud.images.sample import write_sample_blocks
from zvmcloud.simulator import Simulator
from zvmcloud.smapi import functions as f
from zvmcloud.smapi.client import Client

ENTRY = ("MACHINE ESA 4", "SPOOL 000C 2540 READER *", "CONSOLE 0009 3215 T")


async def ping(agent: Agent, userid: str) -> bool:
    """Whether the agent inside a guest answers within some seconds."""
    for _ in range(200):
        answer = await agent.ask(op="guest", userid=userid, command="echo 'ping'")
        if answer["ok"]:
            return True
        await asyncio.sleep(0.02)
    return False


async def test_an_installer_is_punched_and_loaded(sim: Simulator, client: Client, agent: Agent) -> None:
    entry = ("USER INST01 LBYONLY 1G 2G G", "IPL 000C", *ENTRY)
    await client.call(f.ImageCreateDM(target="INST01", image_record_array=entry))
    files = {"etc/os-release": b"ID=rhel\nVERSION_ID=9.4\n", "usr/bin/iucvserv": b"agent"}
    for name, data in (
        ("KERNEL", kernel.sample()),
        ("PARM", b"inst.repo=http://192.0.2.9/ hostname=inst01"),
        ("INITRD", kernel.sample_initial(files)),
    ):
        request = {"op": "punch", "name": name, "type": "IMG", "class": "A", "data": base64.b64encode(data).decode()}
        spoolid = (await agent.ask(**request))["spoolid"]
        assert (await agent.cp(f"TRANSFER * RDR {spoolid} TO INST01 RDR"))[0] == 0
    await client.call(f.ImageActivate(target="INST01"))
    assert await ping(agent, "INST01")
    answer = await agent.ask(
        op="guest", userid="INST01", command="hostname; cat /proc/cmdline; grep ^ID= /etc/os-release"
    )
    assert answer["output"] == 'inst01\ninst.repo=http://192.0.2.9/ hostname=inst01\nID="rhel"\n'


async def test_a_scsi_disk_is_written_and_loaded(sim: Simulator, client: Client, agent: Agent) -> None:
    port, number = "500507630708d3b3", "4000400300000000"
    answer = await client.call(f.SystemFCPFreeQuery(target="MAINT", fcp_dev="1B00"))
    assert answer.data is not None
    assert any(f"{port};{number}" in row.lower() for row in answer.data.fcp_array)
    await client.call(
        f.ImageDeviceDedicate(target="ZHCP", image_device_number="1A00", real_device_number="1A00", readonly=0)
    )
    found = await agent.ask(op="scsi", fcp="1a00", wwpn=port, lun=number, online=True)
    assert found == {"ok": True, "device": f"ccw-0.0.1a00-zfcp-0x{port}:0x{number}", "changed": True}
    with FbaDisk(agent.devices / str(found["device"]), writable=True) as disk:
        write_sample_blocks(disk, scsi=True)
        disk.flush()
    assert (await agent.ask(op="scsi", fcp="1a00", wwpn=port, lun=number, online=False))["ok"]
    assert not (agent.devices / str(found["device"])).is_symlink()
    loaddev = (f"LOADDEV PORTNAME {port.upper()}", f"LOADDEV LUN {number}")
    entry = ("USER SCSI01 LBYONLY 1G 2G G", "IPL 1B00", *ENTRY, *loaddev, "DEDICATE 1B00 1B00")
    await client.call(f.ImageCreateDM(target="SCSI01", image_record_array=entry))
    await client.call(f.ImageActivate(target="SCSI01"))
    assert await ping(agent, "SCSI01")
    answer_ = await agent.ask(op="guest", userid="SCSI01", command="lszfcp -D | cut -d / -f 3; cat /proc/mounts")
    assert str(answer_["output"]).split()[:3] == [f"0x{number}", "0:0:0:0", "/dev/mapper/mpatha1"]
