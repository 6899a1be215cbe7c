"""The proof: zVMCloudConnector 1.6.3 as its authors published it, in REST mode, deploys and starts a Linux guest.

After each call the z/VM behind the door is looked at through SMAPI and CP, not through the connector.
"""

from __future__ import annotations

import json
import random
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from e2e.stack import Stack, running, zvm
from zvmcloud.smapi import functions as f

Call = Callable[..., dict[str, Any]]

SMALL = """
[pool.TINY]
type = "3390"
volumes = 1
size = 200
prefix = "TN"
"""


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with running(tmp_path_factory.mktemp("up") / "state") as found:
        yield found


@pytest.fixture(scope="module")
def call(stack: Stack) -> Call:
    """The unmodified client; a call gives the answer's envelope."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from zvmconnector.connector import ZVMConnector
    client = ZVMConnector(ip_addr="127.0.0.1", port=stack.connector_port, connection_type="rest")

    def send(api: str, *args: object, **kwargs: object) -> dict[str, Any]:
        answer: dict[str, Any] = client.send_request(api, *args, **kwargs)
        return answer

    return send


def done(answer: dict[str, Any]) -> Any:
    assert answer["overallRC"] == 0, answer
    return answer["output"]


def wait_for(condition: Callable[[], bool], what: str, seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, f"{what} did not happen within {seconds} s"
        time.sleep(0.1)


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("image") / "sample.img"
    made: dict[str, Any] = json.loads(zvm("image", "sample", str(path)).stdout)
    return made


@pytest.mark.usefixtures("need_mkfs")
def test_an_unmodified_client_deploys_and_starts_a_linux_guest(
    stack: Stack, call: Call, image: dict[str, Any], tmp_path: Path
) -> None:
    hostname, number = f"web{random.randrange(10**6):06}", random.randrange(2, 250)
    address, mac = f"192.0.2.{number}", f"02:00:00:12:34:{number:02x}"
    host = done(call("host_get_info"))
    assert host["hypervisor_hostname"]
    assert host["vcpus"] > 0
    assert host["memory_mb"] > 0
    assert host["disk_total"] > 0

    done(call("image_import", "sample", f"file://{image['path']}", {"os_version": "rhel8.6"}))
    (listed,) = done(call("image_query", imagename="sample"))
    assert listed["imagename"] == "sample"
    assert listed["imageosdistro"] == "rhel8.6"
    assert done(call("image_get_root_disk_size", "sample")) == "5"

    disks = done(
        call(
            "guest_create",
            "linux01",
            2,
            2048,
            disk_list=[{"size": "10", "is_boot_disk": True}, {"size": "20", "format": "ext4"}],
        )
    )
    assert [disk["vdev"] for disk in disks] == ["0100", "0101"]
    entry = stack.entry("LINUX01")
    assert entry[0].split()[:2] == ["USER", "LINUX01"]
    assert [line.split()[1] for line in entry if line.startswith("MDISK")] == ["0100", "0101"]
    assert done(call("guest_list")) == ["LINUX01"]
    assert not stack.is_on("LINUX01")

    network = {
        "ip_addr": address,
        "gateway_addr": "192.0.2.1",
        "cidr": "192.0.2.0/24",
        "mac_addr": mac,
        "nic_id": "port-1",
    }
    done(call("guest_create_network_interface", "linux01", "rhel8.6", [network]))
    (nicdef,) = [line for line in stack.entry("LINUX01") if line.startswith("NICDEF")]
    assert nicdef.split()[1] == "1000"
    assert mac.replace(":", "").upper()[6:] in nicdef

    done(call("vswitch_create", "VSW1", rdev="0600"))
    assert "VSW1" in done(call("vswitch_get_list"))
    done(call("guest_nic_couple_to_vswitch", "linux01", "1000", "VSW1"))
    assert any(line.startswith("NICDEF 1000") and "LAN SYSTEM VSW1" in line for line in stack.entry("LINUX01"))
    done(call("vswitch_grant_user", "VSW1", "linux01"))
    assert "LINUX01" in done(call("vswitch_query", "VSW1"))["authorized_users"]

    drive = tmp_path / "cfgdrive.iso"
    made = zvm(
        "image", "config-drive", str(drive), "--hostname", hostname, "--address", f"{address}/24",
        "--mac", mac, "--gateway", "192.0.2.1",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    done(call("guest_deploy", "linux01", "sample", transportfiles=str(drive)))
    assert stack.disk_digest("LINUX01", "0100", cylinders=5) == image["content_sha256"]

    done(call("guest_start", "linux01"))
    assert stack.is_on("LINUX01")
    assert done(call("guest_get_power_state", "linux01")) == "on"
    wait_for(lambda: "login:" in done(call("guest_get_console_output", "linux01")), "the login line")
    console = done(call("guest_get_console_output", "linux01"))
    assert f"{hostname} login:" in console
    assert address in console

    info = done(call("guest_get_info", "linux01"))
    assert info["power_state"] == "on"
    assert info["num_cpu"] == 2
    assert info["max_mem_kb"] > 0
    with stack.machine() as zhcp:
        assert zhcp.guest("LINUX01", "hostname").strip() == hostname
    adapters = stack.smapi(f.VirtualNetworkAdapterQueryExtended(target="LINUX01", image_device_number="*"))
    assert any(address in line for line in adapters.reply.virtual_network_adapter_data)

    done(call("guest_softstop", "linux01", timeout=30, poll_interval=1))
    assert not stack.is_on("LINUX01")
    assert done(call("guest_get_power_state", "linux01")) == "off"

    done(call("guest_delete", "linux01"))
    assert not stack.exists("LINUX01")
    assert done(call("guest_list")) == []
    done(call("image_delete", "sample"))
    assert call("image_query", imagename="sample")["overallRC"] == 404


@pytest.fixture
def need_mkfs(need: Callable[[str, str], str]) -> None:
    need("mkfs.ext4", "e2fsprogs")


def test_creating_a_guest_twice_is_a_conflict_and_changes_nothing(stack: Stack, call: Call) -> None:
    done(call("guest_create", "twice", 1, 512, disk_list=[{"size": "10", "is_boot_disk": True}]))
    before = stack.entry("TWICE")
    answer = call("guest_create", "twice", 4, 4096, disk_list=[])
    assert answer["overallRC"] != 0
    assert stack.entry("TWICE") == before
    raw = httpx.post(
        f"{stack.facts['connector']}/guests",
        json={"guest": {"userid": "twice", "vcpus": 1, "memory": 512, "disk_list": []}},
    )
    assert raw.status_code == 409
    done(call("guest_delete", "twice"))


@pytest.mark.parametrize(
    ("api", "args"),
    [
        ("guest_start", ("nobody",)),
        ("guest_get_info", ("nobody",)),
        ("guest_get_power_state", ("nobody",)),
        ("guest_deploy", ("nobody", "sample")),
        ("guest_create_nic", ("nobody",)),
        ("image_get_root_disk_size", ("nothing",)),
    ],
)
def test_what_does_not_exist_is_404(call: Call, api: str, args: tuple[str, ...]) -> None:
    answer = call(api, *args)
    assert answer["overallRC"] == 404, answer
    assert args[-1].upper() in answer["errmsg"].upper() or args[0].upper() in answer["errmsg"].upper()


def test_deploying_an_unknown_image_is_404_and_leaves_the_disk_alone(stack: Stack, call: Call) -> None:
    done(call("guest_create", "noimage", 1, 512, disk_list=[{"size": "10", "is_boot_disk": True}]))
    before = stack.disk_digest("NOIMAGE", "0100")
    answer = call("guest_deploy", "noimage", "nothing")
    assert answer["overallRC"] == 300 or answer["overallRC"] == 404, answer
    raw = httpx.post(
        f"{stack.facts['connector']}/guests/noimage/action", json={"action": "deploy", "image": "nothing"}, timeout=60
    )
    assert raw.status_code == 404
    assert stack.disk_digest("NOIMAGE", "0100") == before
    done(call("guest_start", "noimage"))
    time.sleep(1)
    assert "login:" not in done(call("guest_get_console_output", "noimage"))
    done(call("guest_delete", "noimage"))


@pytest.mark.parametrize(
    ("body", "named"),
    [
        (b"{not json", "Malformed JSON"),
        (b"{}", "guest"),
        (b'{"guest": {"userid": "x", "vcpus": 1}}', "memory"),
        (b'{"guest": {"userid": "toolonguserid", "vcpus": 1, "memory": 512}}', "userid"),
        (b'{"guest": {"userid": "x", "vcpus": 65, "memory": 512, "max_cpu": 65}}', "max_cpu"),
        (b'{"guest": {"userid": "x", "vcpus": 1, "memory": 512, "disk_list": [{"format": "ext4"}]}}', "size"),
        (b'{"guest": {"userid": "x", "vcpus": 1, "memory": 512, "colour": "red"}}', "colour"),
    ],
)
def test_a_malformed_body_is_400_and_names_what_is_wrong(stack: Stack, body: bytes, named: str) -> None:
    answer = httpx.post(
        f"{stack.facts['connector']}/guests", content=body, headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 400
    assert answer.headers["content-type"].startswith("application/json")
    assert named in answer.json()["errmsg"]
    assert not stack.exists("X")


def test_a_full_pool_is_refused_and_leaves_nothing_behind(tmp_path: Path) -> None:
    model = tmp_path / "small.toml"
    model.write_text(SMALL)
    with running(tmp_path / "state", "--model", str(model)) as small:
        url = f"{small.facts['connector']}/guests"
        guest = {"userid": "big", "vcpus": 1, "memory": 512}
        disks = [{"size": "100", "disk_pool": "ECKD:TINY"}, {"size": "150", "disk_pool": "ECKD:TINY", "format": "none"}]
        answer = httpx.post(url, json={"guest": {**guest, "disk_list": disks}}, timeout=60)
        assert answer.status_code >= 400
        assert answer.json()["overallRC"] != 0
        assert "TINY" in answer.json()["errmsg"]
        assert not small.exists("BIG")
        fits = httpx.post(url, json={"guest": {**guest, "disk_list": [{"size": "190", "disk_pool": "ECKD:TINY"}]}})
        assert fits.json()["overallRC"] == 0, fits.text


def test_deleting_an_unknown_image_is_done_already_as_in_feilong(call: Call) -> None:
    assert done(call("image_delete", "nothing")) == ""
