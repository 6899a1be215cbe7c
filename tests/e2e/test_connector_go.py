"""What the Go client of terraform-provider-feilong does, request by request, with Go's rules for reading JSON.

Go takes a number only where the structure says int or float64, an integer without a fraction for int, a string for
string; null is anything's zero value, keys that the structure does not name are ignored. The structures are those of
the client (connector/clients.md section 3); any status but 200 is an error to it.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from e2e.conftest import Cloud
from e2e.stack import zvm

STRING, INT, FLOAT, BOOL = "string", "int", "float64", "bool"
RESULT = {"overallRC": INT, "rc": INT, "rs": INT, "errmsg": STRING, "modID": INT}

VERSION = {"version": STRING, "api_version": STRING, "max_version": STRING, "min_version": STRING}
HOST = {
    "zvm_host": STRING, "zcc_userid": STRING, "ipl_time": STRING, "hypervisor_hostname": STRING,
    "hypervisor_type": STRING, "hypervisor_version": INT, "disk_total": INT, "disk_used": INT, "disk_available": INT,
    "vcpus": INT, "vcpus_used": INT, "memory_mb": FLOAT, "memory_mb_used": FLOAT,
    "cpu_info": {"cec_model": STRING, "architecture": STRING},
}  # fmt: skip
CREATED = [{"vdev": STRING, "size": STRING, "format": STRING, "disk_pool": STRING}]
INFO = {
    "max_mem_kb": INT, "num_cpu": INT, "cpu_time_us": INT, "power_state": STRING, "mem_kb": INT, "online_cpu_num": INT,
    "os_distro": STRING, "kernel_info": STRING,
}  # fmt: skip
ADAPTERS = {
    "adapters": [
        {
            "lan_owner": STRING, "lan_name": STRING, "adapter_address": STRING, "adapter_status": STRING,
            "mac_address": STRING, "mac_ip_address": STRING, "mac_ip_version": STRING,
        }
    ]
}  # fmt: skip
DISKS = {
    "minidisks": [
        {
            "vdev": STRING, "rdev": STRING, "access_type": STRING, "device_type": STRING, "device_size": INT,
            "device_units": STRING, "volume_label": STRING,
        }
    ]
}  # fmt: skip
STATS = {
    "*": {
        "guest_cpus": INT, "used_cpu_time_us": INT, "elapsed_cpu_time_us": INT, "min_cpu_count": INT,
        "max_cpu_limit": INT, "samples_cpu_in_use": INT, "samples_cpu_delay": INT, "used_mem_kb": INT,
        "max_mem_kb": INT, "min_mem_kb": INT, "shared_mem_kb": INT,
    }
}  # fmt: skip
IMAGES = [
    {
        "imagename": STRING, "imageosdistro": STRING, "md5sum": STRING, "disk_size_units": STRING,
        "image_size_in_bytes": STRING, "type": STRING, "comments": STRING, "last_access_time": FLOAT,
    }
]  # fmt: skip
_TEXTS = (
    "switch_name", "switch_type", "switch_status", "port_type", "transport_type", "isolation_status",
    "user_port_based", "vlan_awareness", "vlan_id", "native_vlan_id", "queue_memory_limit", "mac_address",
    "MAC_protect", "gvrp_request_attribute", "gvrp_enabled_attribute", "link_ag", "lag_interval", "lag_group",
    "IP_timeout", "routing_value", "VLAN_counters",
)  # fmt: skip
SWITCH = {
    **dict.fromkeys(_TEXTS, STRING),
    "real_devices": {
        "*": dict.fromkeys(("vdev", "controller", "port_name", "dev_status", "dev_err"), STRING),
    },
    "authorized_users": {
        "*": {"port_num": STRING, "prom_mode": STRING, "osd_sim": STRING, "vlan_count": STRING, "vlan_ids": [STRING]}
    },
    "adapters": {"*": {"mac": STRING, "type": STRING}},
}


def unmarshal(value: Any, wanted: Any, where: str = "output") -> None:
    """Fail as Go's json.Unmarshal does."""
    if value is None:
        return
    if isinstance(wanted, list):
        assert isinstance(value, list), f"{where}: {value!r} into a slice"
        for item in value:
            unmarshal(item, wanted[0], f"{where}[]")
    elif isinstance(wanted, dict):
        assert isinstance(value, dict), f"{where}: {value!r} into a struct"
        for key, item in value.items():
            if "*" in wanted:
                unmarshal(item, wanted["*"], f"{where}.{key}")
            elif key in wanted:
                unmarshal(item, wanted[key], f"{where}.{key}")
    elif wanted == STRING:
        assert isinstance(value, str), f"{where}: {value!r} into a string"
    elif wanted == BOOL:
        assert isinstance(value, bool), f"{where}: {value!r} into a bool"
    else:
        number = isinstance(value, int) and not isinstance(value, bool)
        assert number or (wanted == FLOAT and isinstance(value, float)), f"{where}: {value!r} into {wanted}"


class Go:
    """The Go client: one token, JSON bodies, 200 or an error."""

    def __init__(self, http: httpx.Client, token: str) -> None:
        self._http = http
        self._headers = {"X-Auth-Token": token, "Content-Type": "application/json"}

    def __call__(self, method: str, path: str, body: object = None, output: object = STRING) -> Any:
        content = None if body is None else json.dumps(body)
        answer = self._http.request(method, path, content=content, headers=self._headers)
        assert answer.status_code == 200, f"status: {answer.status_code}, body: {answer.text}"
        document = answer.json()
        unmarshal(document, {**RESULT, "output": output}, "result")
        return document["output"]


@pytest.fixture
def go(cloud: Cloud) -> Iterator[Go]:
    with httpx.Client(base_url=cloud.stack.facts["connector"], timeout=300) as http:
        secret = (cloud.stack.state / "manager" / "connector.token").read_text().strip()
        answer = http.post("/token", headers={"X-Admin-Token": secret})
        assert answer.status_code == 200
        yield Go(http, answer.headers["X-Auth-Token"])


def test_the_provider_is_configured_when_the_version_is_1_0(go: Go) -> None:
    assert go("GET", "/", None, VERSION)["api_version"] == "1.0"


def test_a_guest_as_the_provider_makes_it(go: Go, cloud: Cloud, tmp_path: Any) -> None:
    drive = tmp_path / "cfgdrive.iso"
    assert zvm("image", "config-drive", str(drive), "--hostname", "terra").returncode == 0
    go("POST", "/vswitches", {"vswitch": {"name": "TERRASW", "rdev": "0600"}})
    guest = {
        "userid": "terra", "vcpus": 1, "memory": 512, "loaddev": {}, "comment_list": ["made by terraform"],
        "disk_list": [{"size": "10", "is_boot_disk": True}], "max_cpu": 2, "max_mem": "1G",
    }  # fmt: skip
    made = go("POST", "/guests", {"guest": guest}, CREATED)
    assert made[0]["vdev"] == "0100"
    assert any("made by terraform" in line.lower() for line in cloud.stack.entry("TERRA"))
    network = {"method": "static", "nic_vdev": "1000", "ip_addr": "192.0.2.41", "cidr": "192.0.2.0/24"}
    interface = {"os_version": "rhel8.6", "guest_networks": [network]}
    go("POST", "/guests/terra/interface", {"interface": interface}, [{"nic_vdev": STRING, "ip_addr": STRING}])
    go("PUT", "/guests/terra/nic/1000", {"info": {"couple": True, "vswitch": "TERRASW"}})
    go("PUT", "/vswitches/TERRASW", {"vswitch": {"grant_userid": "terra"}})
    deploy = {
        "action": "deploy",
        "image": "shared-sample",
        "transportfiles": str(drive),
        "remotehost": "root@127.0.0.1",
    }
    go("POST", "/guests/terra/action", deploy)
    go("POST", "/guests/terra/action", {"action": "start"})

    deadline = time.monotonic() + 60
    polls = 0
    while True:
        adapters = go("GET", "/guests/terra/adapters", None, ADAPTERS)["adapters"]
        assert adapters, "an empty list makes the provider give up"
        polls += 1
        if adapters[0].get("mac_ip_address"):
            break
        assert time.monotonic() < deadline, "no address within 60 s"
        time.sleep(0.05)
    assert adapters[0]["mac_ip_address"] == "192.0.2.41"
    assert adapters[0]["lan_name"] == "TERRASW"

    info = go("GET", "/guests/terra/info", None, INFO)
    assert (info["num_cpu"], info["max_mem_kb"]) == (1, 512 * 1024)
    (disk,) = go("GET", "/guests/terra/disks", None, DISKS)["minidisks"]
    assert (disk["device_units"], disk["device_size"]) == ("Cylinders", 10)
    go("GET", "/guests/stats?userid=terra", None, STATS)
    go("GET", "/guests/interfacestats?userid=terra", None, {"*": [{"nic_vdev": STRING, "nic_rx": INT}]})
    go("GET", "/guests/terra", None, {"user_direct": [STRING]})
    go("POST", "/guests/terra/action", {"action": "live_resize_cpus", "cpu_cnt": 2})
    go("POST", "/guests/terra/action", {"action": "live_resize_mem", "size": "1g"})
    go("DELETE", "/guests/terra")
    go("DELETE", "/vswitches/TERRASW")
    assert not cloud.stack.exists("TERRA")


def test_a_guest_without_disks_is_an_empty_list_and_not_an_empty_text(go: Go) -> None:
    guest = {"userid": "terra2", "vcpus": 1, "memory": 512, "loaddev": {}, "disk_list": []}
    assert go("POST", "/guests", {"guest": guest}, CREATED) == []
    go("DELETE", "/guests/terra2")


@pytest.mark.parametrize("vid", [None, 100])
def test_a_virtual_switch_has_one_device_and_its_numbers_are_texts_of_digits(go: Go, vid: int | None) -> None:
    wanted = {"name": "TERRAS2", "rdev": "0600", **({"vid": vid} if vid else {})}
    go("POST", "/vswitches", {"vswitch": wanted})
    go("PUT", "/vswitches/TERRAS2", {"vswitch": {"grant_userid": "maint"}})
    assert "TERRAS2" in go("GET", "/vswitches", None, [STRING])
    found = go("GET", "/vswitches/TERRAS2", None, SWITCH)
    assert len(found["real_devices"]) == 1
    for name in ("vlan_id", "native_vlan_id", "queue_memory_limit"):
        assert found[name].isdecimal(), f"strconv.Atoi of {name}: {found[name]!r}"
    assert int(found["vlan_id"]) == (vid or 0)
    assert found["authorized_users"]["MAINT"]["vlan_count"].isdecimal()
    go("DELETE", "/vswitches/TERRAS2")


def test_lists_and_the_host_are_what_the_structures_say(go: Go) -> None:
    go("GET", "/host", None, HOST)
    go("GET", "/host/guests", None, [STRING])
    go("GET", "/host/diskpool?poolname=ECKD:POOL1", None, {"disk_total": INT, "disk_used": INT, "disk_available": INT})
    go("GET", "/guests", None, [STRING])
    go("GET", "/images", None, IMAGES)
    go("GET", "/guests/nics", None, [dict.fromkeys(("userid", "interface", "switch", "port", "comments"), STRING)])
    health = {"totalSuccess": INT, "totalFail": INT, "continuousFail": INT, "healthy": BOOL}
    go("GET", "/smapi_health", None, health)


def test_every_refusal_can_be_read_by_go_too(cloud: Cloud) -> None:
    """The original has a text as modID of 501, which no int takes."""
    for path, body in (
        ("/guests/nobody/action", {"action": "start"}),
        ("/guests/nobody/action", {"action": "capture", "image": "x", "capture_type": "alldisks"}),
        ("/guests", {"guest": {}}),
        ("/nothing", {}),
    ):
        answer = httpx.post(f"{cloud.stack.facts['connector']}{path}", json=body)
        assert answer.status_code != 200
        unmarshal(answer.json(), RESULT, "result")
