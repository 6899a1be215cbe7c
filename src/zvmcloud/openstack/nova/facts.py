"""What nova and placement are told of a z/VM system and its guests."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import nova.conf
import os_resource_classes as orc
from nova.compute.provider_tree import ProviderTree
from nova.objects import diagnostics, fields

from zvmcloud.client.http import Document
from zvmcloud.openstack.nova.servers import Guest, Servers

CONF = nova.conf.CONF
_GIB = 2**30
_OURS = "CUSTOM_ZVM_"
_STATES = {True: fields.InstancePowerState.RUNNING, False: fields.InstancePowerState.SHUTDOWN}

Inventory = dict[str, dict[str, Any]]


class Facts:
    """Asks the manager, each time anew."""

    def __init__(self, servers: Servers) -> None:
        self._servers = servers

    def host(self) -> Document:
        """The system, as GET /systems/{system}/host tells it."""
        return self._servers.client.ask("GET", f"/systems/{self._servers.system}/host")

    def resources(self) -> dict[str, Any]:
        """What ``get_available_resource`` returns. Processors are those that Linux guests run on: the IFLs, or the
        CPs of an LPAR without any; disk is the pool of the option ``disk_pool``."""
        host = self.host()
        pool = _pool(host)
        total, used = (pool["total"] // _GIB, pool["used"] // _GIB) if pool else (0, 0)
        seen = self._servers.client.pages("/inventory/guests", {"system": self._servers.system, "foreign": False})
        about = {
            "arch": "s390x", "vendor": "IBM", "model": f"{host['machine_type']}-{host['model']}",
            "topology": {"ifl": _count(host, "IFL"), "cp": _count(host, "CP")},
        }  # fmt: skip
        return {
            "vcpus": _processors(host),
            "vcpus_used": sum(item["vcpus"] for item in seen if item["gone"] is None),
            "memory_mb": host["memory_mb"],
            "memory_mb_used": host["memory_used_mb"],
            "local_gb": total,
            "local_gb_used": used,
            "disk_available_least": total - used,
            "hypervisor_type": fields.HVType.ZVM,
            "hypervisor_version": version(host["version"]),
            "hypervisor_hostname": self._servers.system,
            "cpu_info": json.dumps(about),
            "supported_instances": [(fields.Architecture.S390X, fields.HVType.ZVM, fields.VMMode.HVM)],
            "numa_topology": None,
            "stats": {"lpar": host["lpar"], "ssi_cluster": host["cluster"], "zvm_version": host["version"]},
        }

    def uptime(self) -> str:
        """When z/VM was started."""
        return f"IPL at {self.host()['ipl_time']}"

    def publish(self, tree: ProviderTree, node: str, ratios: Mapping[str, float], reserved_gb: int) -> None:
        """Bring the provider of the node up to date: processors, memory, disk of the pool that servers get, and each
        other pool as CUSTOM_ZVM_POOL_<NAME>_GB; traits for IFLs, the release and the SSI cluster."""
        host = self.host()
        inventory: Inventory = {
            orc.VCPU: _stock(_processors(host), CONF.reserved_host_cpus, ratios[orc.VCPU]),
            orc.MEMORY_MB: _stock(host["memory_mb"], CONF.reserved_host_memory_mb, ratios[orc.MEMORY_MB]),
        }
        for pool in host["pools"]:
            gigabytes, largest = pool["total"] // _GIB, pool["largest"] // _GIB
            if not gigabytes:
                continue
            mine = pool == _pool(host)
            name = orc.DISK_GB if mine else orc.normalize_name(f"ZVM_POOL_{pool['name']}_GB")
            stock = _stock(gigabytes, reserved_gb if mine else 0, ratios[orc.DISK_GB] if mine else 1.0)
            inventory[name] = {**stock, "max_unit": max(min(largest, gigabytes), 1)}
        tree.update_inventory(node, inventory)
        wanted = {f"{_OURS}{host['version'].split('.')[0]}"}
        if _count(host, "IFL"):
            wanted.add(f"{_OURS}IFL")
        if host["cluster"]:
            wanted.add(orc.normalize_name(f"ZVM_SSI_{host['cluster']}"))
        stale = {name for name in tree.data(node).traits if name.startswith(_OURS)} - wanted
        tree.remove_traits(node, *stale)
        tree.add_traits(node, *wanted)

    def diagnosed(self, guest: Guest, *, config_drive: bool) -> diagnostics.Diagnostics:
        """A guest's processors, memory, disks and adapters, with what it has used since its logon."""
        facts, usage = self._servers.facts(guest), self._usage(guest)
        found = diagnostics.Diagnostics(
            state=fields.InstancePowerState.RUNNING
            if facts["power_state"] == "on"
            else fields.InstancePowerState.SHUTDOWN,
            hypervisor="zvm",
            hypervisor_os="z/VM",
            uptime=int(usage["elapsed_seconds"]),
            config_drive=config_drive,
            memory_details=diagnostics.MemoryDiagnostics(
                maximum=facts["memory_mb"], used=usage["memory_used_kb"] // 1024
            ),
        )
        for number in range(facts["vcpus"]):
            share = int(usage["cpu_seconds"] * 1e9) // max(facts["vcpus"], 1)
            found.add_cpu(id=number, time=share)
        for nic in facts["nics"]:
            found.add_nic(mac_address=_mac(nic))
        for _ in facts["disks"]:
            found.add_disk()
        return found

    def figures(self, guest: Guest) -> dict[str, Any]:
        """The same as nova's API before 2.48 has it: any names."""
        facts, usage = self._servers.facts(guest), self._usage(guest)
        sizes = {f"disk_{disk['vdev']}_units": disk["size"] for disk in facts["disks"]}
        return {"userid": guest.userid, "power_state": facts["power_state"], "vcpus": facts["vcpus"], **usage, **sizes}

    def _usage(self, guest: Guest) -> Document:
        return self._servers.client.ask("GET", f"{guest.path}/usage")


def version(text: str) -> int:
    """7.2.0 as nova wants it: 720."""
    numbers = [int(word) for word in re.findall(r"\d+", text)][:3]
    return int("".join(str(number) for number in numbers) or "0")


def _stock(total: int, reserved: int, ratio: float) -> dict[str, Any]:
    return {
        "total": total, "reserved": min(reserved, total), "min_unit": 1, "max_unit": total, "step_size": 1,
        "allocation_ratio": ratio,
    }  # fmt: skip


def _processors(host: Document) -> int:
    return _count(host, "IFL") or _count(host, "CP")


def _count(host: Document, kind: str) -> int:
    return sum(1 for item in host["processors"] if item["type"] == kind)


def _pool(host: Document) -> Document | None:
    """The pool of servers: the option's, else the manager's default."""
    name = CONF.zvmcloud.disk_pool
    pools: list[Document] = host["pools"]
    return next(
        (item for item in pools if (f"{item['type']}:{item['name']}" == name if name else item["default"])), None
    )


def _mac(nic: Mapping[str, Any]) -> str | None:
    digits = str(nic.get("mac") or nic.get("mac_id") or "")
    return digits if len(digits) == 17 else None
