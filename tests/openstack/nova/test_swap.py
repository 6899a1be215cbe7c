"""Another volume in place of one: the agent, whose machine has FCP devices, copies the bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nova_world import LUNS, PORTS
from zvm_world import World, served
from zvmcloud.client import Client
from zvmcloud.openstack.nova.servers import Guest, Servers
from zvmcloud.openstack.nova.volumes import Volumes
from zvmcloud.simulator import luns
from zvmcloud.simulator.cp import execute
from zvmcloud.simulator.model_devices import Lun

AGENTS = ("1A03", "1B03")
GUEST = Guest("ZVM1", "WEB1", "", "web1")


def equipped(zvm: World) -> None:
    """LUNs in a pool, FCP devices of guests and of the agent."""

    def work() -> None:
        for number in LUNS:
            for port in PORTS:
                zvm.system.luns.put(f"{port} {number}", Lun(port, number, f"6005076307FFC5E3{number}", 2**21))

    zvm.edit(work)
    rows = "".join(f"free,{';'.join(PORTS).lower()},{number},1G,,,,\n" for number in LUNS)
    zvm.client.call("PUT", "/systems/ZVM1/volume-pools/p/file", content=rows.encode(), media="text/plain")
    template = {"name": "guests", "devices": "1a00-1a02;1b00-1b02", "host_default": True}
    zvm.client.call("POST", "/systems/ZVM1/fcp-templates", body=template)
    zvm.client.call("GET", "/systems/ZVM1/host")
    for device in AGENTS:
        answer = zvm.edit(lambda device=device: execute(zvm.system, "ZHCP", f"ATTACH {device} TO * AS {device}"))  # type: ignore[misc]
        assert answer.rc == 0, answer.lines


def connection(zvm: World, name: str) -> dict[str, Any]:
    zvm.do("POST", "/systems/ZVM1/volumes", name=name, pool="p", size_gb=1)
    return {"driver_volume_type": "fibre_channel", "data": {"zvm_volume": name, "zvm_template": ""}}


def file_of(zvm: World, client: Client, name: str) -> Path:
    number = client.ask("GET", f"/systems/ZVM1/volumes/{name}")["lun"]
    (found,) = {lun.uuid: lun for lun in zvm.system.luns.values() if lun.lun == number}.values()
    path: Path = zvm.edit(lambda: luns.file(zvm.system, found))
    return path


def test_a_swapped_volume_has_the_bytes_of_the_old_one(tmp_path: Path) -> None:
    with served(tmp_path, fcps=AGENTS) as zvm:
        equipped(zvm)
        zvm.do("POST", "/systems/ZVM1/guests", userid=GUEST.userid, vcpus=1, memory_mb=512)
        volumes = Volumes(Servers(zvm.client, "ZVM1"))
        old, new = connection(zvm, "old"), connection(zvm, "new")
        volumes.attach(GUEST, old, "/dev/vdb")
        with file_of(zvm, zvm.client, "old").open("r+b") as file:
            file.write(b"written by the server")
        volumes.swap(GUEST, old, new, "/dev/vdb")
        assert [item["name"] for item in volumes.of(GUEST)] == ["new"]
        with file_of(zvm, zvm.client, "new").open("rb") as file:
            assert file.read(21) == b"written by the server"
