"""Servers from spawn to destroy: what nova asks for, and what z/VM has then."""

from __future__ import annotations

import base64
import io
import json
import tarfile
import uuid
from typing import Any

import nova.conf
import pytest
from nova import exception, objects
from nova.compute import power_state, vm_states

from neutron_world import Ports
from nova_world import IMAGE, Compute, until, vif
from zvmcloud.client import ConnectionFailed, ProblemError, change
from zvmcloud.openstack.neutron.loop import Loop
from zvmcloud.openstack.neutron.network import Network, Wanted
from zvmcloud.openstack.nova import drives
from zvmcloud.smapi import functions as f

CONF = nova.conf.CONF
pytestmark = pytest.mark.usefixtures("nothing_left")


def test_a_server_is_a_guest_with_its_disks_adapters_and_config_drive(compute: Compute) -> None:
    ports = [vif(1), vif(2)]
    server = compute.instance(hostname="web01", ephemeral_gb=1, swap=64, vcpus=2, memory_mb=1024)
    files = [("/etc/motd.d/nova", b"hello from nova\n")]
    compute.spawn(server, ports, password="s3cret", files=files)
    userid = compute.userid(server)
    assert compute.api.waited == [("network-vif-plugged", port["id"]) for port in ports]
    assert compute.stack.is_on(userid)
    entry = compute.stack.entry(userid)
    assert [line.split()[1] for line in entry if line.startswith("MDISK")] == ["0100", "0101", "0102"]
    assert [line for line in entry if line.startswith("NICDEF 1000 TYPE QDIO DEVICES 3 MACID 001001")]
    assert [line for line in entry if line.startswith("NICDEF 1003 TYPE QDIO DEVICES 3 MACID 001002")]
    assert not any("NOVASW" in line for line in entry), "coupling is the agent's"
    assert compute.driver.get_info(server).state == power_state.RUNNING
    assert compute.driver.list_instance_uuids() == [server.uuid]
    assert compute.driver.list_instances() == [server.name]
    assert compute.driver.instance_exists(server)
    compute.up(userid)
    with compute.stack.machine() as zhcp:
        assert zhcp.guest(userid, "cat /etc/hostname").strip() == "web01.novalocal"
        assert zhcp.guest(userid, "cat /etc/motd.d/nova") == "hello from nova\n"
    assert b"web01" in compute.driver.get_console_output(compute.context, server)
    compute.driver.destroy(compute.context, server, ports)
    assert not compute.stack.exists(userid)
    assert compute.driver.list_instance_uuids() == []
    compute.driver.destroy(compute.context, server, ports)
    with pytest.raises(exception.InstanceNotFound):
        compute.driver.get_info(server)


def test_a_port_with_ipv6_is_served_as_any_other_and_the_guest_has_both_addresses(compute: Compute) -> None:
    port, ports = vif(1, ipv6="2001:db8::10"), Ports()
    fixed = [{"ip_address": address} for address in ("192.0.2.11", "2001:db8::10")]
    ports.add(port["id"], "physnet1", None, fixed_ips=fixed)
    agent = Loop(Network(compute.client, "VM1"), ports, {"physnet1": Wanted("NOVASW")})
    rounds: list[bool] = []
    compute.api.during = lambda: rounds.append(agent.round())
    server = compute.spawn(compute.instance(), [port])
    userid = compute.userid(server)
    assert rounds == [True]
    assert ports.told == [("up", port["id"])]
    compute.up(userid)
    console = compute.driver.get_console_output(compute.context, server).decode()
    assert "enc1000: 192.0.2.11/24\n" in console
    assert "enc1000: 2001:db8::10/64\n" in console


def test_an_image_is_fetched_from_glance_once(compute: Compute) -> None:
    first, second = compute.spawn(compute.instance()), compute.spawn(compute.instance())
    assert compute.glance.downloads.count(IMAGE) <= 1
    assert compute.userid(first) != compute.userid(second)
    again = len(compute.glance.downloads)
    assert compute.driver.cache_image(compute.context, IMAGE) is False
    assert len(compute.glance.downloads) == again


def test_power_reboot_and_pause(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), power_on=False)
    userid, driver, context = compute.userid(server), compute.driver, compute.context
    assert not compute.stack.is_on(userid)
    assert driver.get_info(server).state == power_state.SHUTDOWN
    driver.power_on(context, server, None)
    compute.up(userid)
    driver.reboot(context, server, None, "SOFT")
    compute.up(userid)
    driver.reboot(context, server, None, "HARD")
    assert driver.get_info(server).state == power_state.RUNNING
    driver.pause(server)
    server.vm_state = vm_states.PAUSED
    assert driver.get_info(server).state == power_state.PAUSED
    assert not compute.answers(userid), "its processors are stopped"
    driver.unpause(server)
    server.vm_state = vm_states.ACTIVE
    compute.up(userid)
    guest = f"/v1/guests/VM1/{userid}"
    asked = compute.asked(lambda: driver.power_off(server, timeout=60, retry_interval=10))
    assert f"POST {guest}/shutdown" in asked, "the system is given its time"
    assert not compute.stack.is_on(userid)
    driver.reboot(context, server, None, "SOFT")
    assert compute.stack.is_on(userid), "one that cannot restart from inside is logged on"
    assert f"POST {guest}/stop" in compute.asked(lambda: driver.power_off(server))
    assert not compute.stack.is_on(userid)
    driver.reboot(context, server, None, "HARD")
    assert compute.stack.is_on(userid), "a hard reboot works from any state"


def test_a_hard_reboot_gives_back_what_an_ipl_took(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), [vif(1)])
    userid = compute.userid(server)
    for path, body in (
        ("/systems/VM1/vswitches/NOVASW/grant", {"userid": userid}),
        (f"/guests/VM1/{userid}/nics/1000/couple", {"vswitch": "NOVASW"}),
        ("/systems/VM1/vswitches/NOVASW/revoke", {"userid": userid}),
    ):
        change(compute.client, "POST", path, body)
    compute.driver.reboot(compute.context, server, None, "HARD")
    switch = compute.client.ask("GET", "/systems/VM1/vswitches/NOVASW")
    assert userid in {right["userid"] for right in switch["rights"]}
    assert userid in {nic["userid"] for nic in switch["coupled"]}


def test_the_config_drive_has_password_files_and_network(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[str] = []
    real = drives.config_drive

    def noted(*args: Any) -> str:
        made.append(real(*args))
        return made[-1]

    monkeypatch.setattr(drives, "config_drive", noted)
    server = compute.spawn(
        compute.instance(hostname="web01"), [vif(1)], password="s3cret", files=[("/etc/x", b"y")], power_on=False
    )
    with tarfile.open(fileobj=io.BytesIO(base64.b64decode(made[0]))) as archive:
        held = {name: archive.extractfile(name).read() for name in archive.getnames()}  # type: ignore[union-attr]
    told = json.loads(held["openstack/latest/meta_data.json"])
    assert (told["uuid"], told["admin_pass"]) == (server.uuid, "s3cret")
    assert [item["path"] for item in told["files"]] == ["/etc/x"]
    (link,) = json.loads(held["openstack/latest/network_data.json"])["links"]
    assert link["ethernet_mac_address"] == "02:00:00:00:10:01"


def test_flavors_and_options_say_what_a_server_may_use(compute: Compute) -> None:
    options = {"max_cpus": 8, "max_memory_mb": 4096}
    for name, value in options.items():
        CONF.set_override(name, value, group="zvmcloud")
    try:
        server = compute.spawn(compute.instance(extra_specs={"zvm:share": "RELATIVE 200"}), power_on=False)
    finally:
        for name in options:
            CONF.clear_override(name, group="zvmcloud")
    facts = compute.client.ask("GET", f"/guests/VM1/{compute.userid(server)}")
    assert (facts["max_cpus"], facts["max_memory_mb"]) == (8, 4096)
    assert "SHARE RELATIVE 200" in {line.strip() for line in facts["entry"]}
    for spec in ({"zvm:disk_pool": "ECKD:NOPOOL"}, {"zvm:profile": "NOPROF"}):
        with pytest.raises(exception.NovaException, match=r"NOPOOL|no such profile"):
            compute.spawn(compute.instance(extra_specs=spec))


def test_the_end_of_a_long_console_is_what_nova_gets(compute: Compute) -> None:
    server = compute.spawn(compute.instance())
    compute.up(compute.userid(server))
    compute.driver.reboot(compute.context, server, None, "SOFT")
    compute.up(compute.userid(server))
    whole = compute.driver.get_console_output(compute.context, server)
    CONF.set_override("console_kilobytes", 1, group="zvmcloud")
    try:
        end = compute.driver.get_console_output(compute.context, server)
    finally:
        CONF.clear_override("console_kilobytes", group="zvmcloud")
    assert len(end) <= 1024 < len(whole)
    assert whole.rstrip().endswith(end.rstrip()[-200:])


def test_the_state_of_a_server_is_one_call_of_the_manager(compute: Compute) -> None:
    server = compute.spawn(compute.instance())
    path = f"/v1/guests/VM1/{compute.userid(server)}"
    assert compute.asked(lambda: compute.driver.get_info(server)) == [f"GET {path}"]
    with pytest.raises(exception.InstanceNotFound):
        compute.driver.get_info(compute.instance())


def test_a_server_whose_entry_an_administrator_deleted_is_not_found(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), power_on=False)
    compute.stack.smapi(f.ImageDeleteDM(target=compute.userid(server), data_security_erase=0))
    with pytest.raises(exception.InstanceNotFound):
        compute.driver.get_info(server)


def test_errors_name_what_zvm_said_and_the_instance_that_is_missing(compute: Compute) -> None:
    server = compute.instance()
    for call in (
        lambda: compute.driver.power_on(compute.context, server, None),
        lambda: compute.driver.power_off(server),
        lambda: compute.driver.reboot(compute.context, server, None, "HARD"),
        lambda: compute.driver.pause(server),
        lambda: compute.driver.get_console_output(compute.context, server),
        lambda: compute.driver.get_diagnostics(server),
        lambda: compute.driver.attach_interface(compute.context, server, None, vif(1)),
        lambda: compute.driver.unrescue(compute.context, server),
        lambda: compute.driver.set_admin_password(server, "x"),
    ):
        with pytest.raises(exception.InstanceNotFound):
            call()
    assert not compute.driver.instance_exists(server)


def test_a_spawn_that_fails_leaves_nothing(compute: Compute) -> None:
    driver = compute.driver
    full = compute.instance(root_gb=30)
    with pytest.raises(exception.NovaException, match=r"POOL1.*To do: "):
        compute.spawn(full)
    damaged = compute.glance.add(str(uuid.uuid4()), b"not what the digest says", os_hash_value="0" * 128)
    with pytest.raises(exception.ImageUnacceptable):
        compute.spawn(compute.instance(), image=damaged)
    half = compute.glance.add(str(uuid.uuid4()), compute.glance.images[IMAGE][:200_000])
    with pytest.raises(exception.ImageUnacceptable, match=r"ends early\. To do: import the image again"):
        compute.spawn(compute.instance(), image=half)
    foreign = {"mount_device": "/dev/vdb", "connection_info": {"driver_volume_type": "iscsi", "data": {}}}
    with pytest.raises(exception.BuildAbortException, match="Cinder driver only"):
        compute.spawn(compute.instance(), block_device_info={"block_device_mapping": [foreign]})
    assert driver.list_instance_uuids() == []
    assert not list(compute.client.pages("/uploads", {}))


def test_neutron_that_does_not_report_ends_the_build(compute: Compute) -> None:
    def late() -> None:
        raise exception.InstanceEventTimeout()

    compute.api.during = late
    server = compute.instance()
    with pytest.raises(exception.VirtualInterfaceCreateException):
        compute.spawn(server, [vif(1)])
    assert not compute.driver.instance_exists(server)


def test_what_a_dead_nova_compute_was_building_is_taken_away(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), power_on=False)
    other = compute.spawn(compute.instance())
    server.vm_state, other.vm_state = vm_states.BUILDING, vm_states.ACTIVE
    found = objects.InstanceList(objects=[server, other])
    assert compute.driver.process_instances_at_startup(compute.context, found) is found
    assert compute.driver.list_instance_uuids() == [other.uuid]


def test_a_manager_that_is_lost_does_not_keep_nova_compute_from_starting(
    compute: Compute, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def lost(_instance: object) -> None:
        raise ConnectionFailed("nobody answers")

    server = compute.instance(vm_state=vm_states.BUILDING)
    monkeypatch.setattr(compute.driver._servers, "drop", lost)
    found = objects.InstanceList(objects=[server])
    assert compute.driver.process_instances_at_startup(compute.context, found) is found
    assert "what was begun stays: the manager is not to be reached: nobody answers" in caplog.text


def test_a_job_that_still_runs_for_a_dead_nova_compute_is_cancelled(compute: Compute) -> None:
    server = compute.instance()
    userid = next(compute.driver._servers.userids(server))
    image = compute.driver._spawner._images.ensure(compute.context, IMAGE)
    with compute.stack.fault(function="Image_Create_DM", target=userid, action="delay", delay=3) as struck:
        job = compute.client.ask(
            "POST",
            "/systems/VM1/guests/provision",
            body={"userid": userid, "image": image["name"], "tags": compute.driver._servers.tags(server)},
        )
        until(lambda: struck() == 1, "z/VM is asked for the guest")
        assert compute.client.job(job["id"])["state"] == "running"
        compute.driver.process_instances_at_startup(compute.context, [server])
    assert compute.client.job(job["id"])["state"] == "cancelled"
    assert not compute.stack.exists(userid)


def test_a_userid_that_is_taken_is_another_ones(compute: Compute) -> None:
    server = compute.instance()
    taken = next(compute.driver._servers.userids(server))
    job = compute.client.ask("POST", "/systems/VM1/guests", body={"userid": taken, "disks": []})
    compute.client.wait(job["id"])
    compute.spawn(server, power_on=False)
    assert compute.userid(server) != taken
    assert compute.driver.get_info(server).internal_id == compute.userid(server)
    compute.driver.destroy(compute.context, server, None)
    assert compute.stack.exists(taken), "a guest of somebody else"
    compute.client.wait(compute.client.ask("DELETE", f"/guests/VM1/{taken}")["id"])


def test_interfaces_come_and_go_while_it_runs(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), [vif(1)])
    userid, extra = compute.userid(server), vif(5)
    compute.driver.attach_interface(compute.context, server, None, extra)
    assert any(line.startswith("NICDEF 1003") for line in compute.stack.entry(userid))
    compute.driver.detach_interface(compute.context, server, extra)
    entry = compute.stack.entry(userid)
    assert [line.split()[1] for line in entry if line.startswith("NICDEF")] == ["1000"], "the other one stays"
    compute.driver.detach_interface(compute.context, server, extra)
    with pytest.raises(exception.InterfaceAttachFailed):
        compute.driver.attach_interface(compute.context, server, None, {**extra, "address": "nonsense"})


def test_a_snapshot_is_an_image_that_boots(compute: Compute) -> None:
    server = compute.spawn(compute.instance(hostname="origin"))
    compute.up(compute.userid(server))
    states: list[dict[str, object]] = []
    image = str(uuid.uuid4())
    compute.driver.snapshot(compute.context, server, image, lambda **state: states.append(state))
    assert [state["task_state"] for state in states] == ["image_pending_upload", "image_uploading"]
    assert compute.glance.facts[image]["disk_format"] == "raw"
    assert compute.stack.is_on(compute.userid(server)), "it runs again"
    assert not [item for item in compute.client.images() if "snapshot" in item["name"]]
    copy = compute.spawn(compute.instance(hostname="copy"), image=image)
    compute.up(compute.userid(copy))
    gone = compute.instance()
    with pytest.raises(exception.InstanceNotFound):
        compute.driver.snapshot(compute.context, gone, image, lambda **_: None)


def test_a_paused_server_is_paused_again_after_a_snapshot(compute: Compute) -> None:
    server = compute.spawn(compute.instance())
    userid = compute.userid(server)
    compute.up(userid)
    compute.driver.pause(server)
    server.vm_state = vm_states.PAUSED
    compute.driver.snapshot(compute.context, server, str(uuid.uuid4()), lambda **_: None)
    assert compute.stack.is_on(userid)
    assert not compute.answers(userid)
    compute.driver.unpause(server)
    compute.up(userid)


def test_a_rescue_that_fails_leaves_the_server_as_it_was(compute: Compute) -> None:
    server = compute.spawn(compute.instance())
    userid = compute.userid(server)
    before = compute.stack.entry(userid)
    compute.driver.power_off(server)
    rescue = objects.ImageMeta.from_dict({"id": IMAGE, "properties": {}})
    with compute.stack.fault(function="Image_Activate", target=userid, rc=200, rs=16) as struck:
        with pytest.raises(exception.NovaException, match="rescue: "):
            compute.driver.rescue(compute.context, server, None, rescue, "s3cret", None, None)
        assert struck() > 0
    assert compute.stack.entry(userid) == before
    reader = compute.stack.smapi(f.SystemRDRFileQuery(target=userid), allow=((8, 4),))
    assert (reader.rc, reader.rs) == (8, 4), "the reader is empty: the rescue's config drive is not read later"
    compute.driver.power_on(compute.context, server, None)
    compute.up(userid)


def test_rescue_boots_another_image_and_unrescue_the_own_disk(compute: Compute) -> None:
    server = compute.spawn(compute.instance(hostname="broken"))
    userid = compute.userid(server)
    before = compute.stack.entry(userid)
    compute.driver.power_off(server)
    rescue = objects.ImageMeta.from_dict({"id": IMAGE, "properties": {}})
    compute.driver.rescue(compute.context, server, None, rescue, "s3cret", None, None)
    entry = compute.stack.entry(userid)
    assert any(line.startswith("MDISK 01FF") for line in entry)
    assert any(line.startswith("IPL 01FF") for line in entry)
    compute.up(userid)
    compute.driver.unrescue(compute.context, server)
    compute.up(userid)
    assert compute.stack.entry(userid) == before
    compute.driver.power_off(server)
    missing = objects.ImageMeta.from_dict({"id": str(uuid.uuid4()), "properties": {}})
    compute.glance.add(str(missing.id), b"not what the digest says", os_hash_value="0" * 128)
    with pytest.raises(exception.NovaException):
        compute.driver.rescue(compute.context, server, None, missing, "s3cret", None, None)
    assert compute.stack.entry(userid) == before


def test_a_rebuild_is_the_same_server_anew(compute: Compute) -> None:
    server = compute.spawn(compute.instance(hostname="anew"), [vif(1)])
    userid = compute.userid(server)
    compute.driver.power_off(server, timeout=0)
    compute.driver.destroy(compute.context, server, None, block_device_info=None)
    compute.spawn(server, [vif(1)])
    assert compute.userid(server) == userid


def test_user_data_and_keys_reach_the_config_drive(compute: Compute) -> None:
    server = compute.instance(user_data=base64.b64encode(b"#cloud-config\n").decode())
    compute.spawn(server)
    compute.up(compute.userid(server))


def test_wrong_options_are_refused_with_their_values(compute: Compute) -> None:
    image = compute.driver._spawner._images.ensure(compute.context, IMAGE)
    wish = {"userid": "x", "image": image["name"], "config_drive": "%"}
    with pytest.raises(ProblemError, match="base64"):
        compute.client.ask("POST", "/systems/VM1/guests/provision", body=wish)
    with pytest.raises(ProblemError, match="given without hostname"):
        compute.client.ask("POST", "/systems/VM1/guests/provision", body={**wish, "hostname": "x"})
