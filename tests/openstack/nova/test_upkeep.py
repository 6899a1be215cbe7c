"""What nova-compute does beside servers: maintenance of the host, and the image cache."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Iterator

import nova.conf
import pytest
from nova import exception, objects
from nova.virt import driver as virt

from nova_world import IMAGE, Compute, NoNotifications, VirtApi
from zvmcloud.client import ImageUpload
from zvmcloud.openstack.nova.maintenance import DISABLED, MAINTENANCE

CONF = nova.conf.CONF


@pytest.fixture
def service(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> Iterator[objects.Service]:
    """Nova's record of this compute service, in nova's database."""
    monkeypatch.setattr("nova.rpc.NOTIFIER", NoNotifications())
    made = objects.Service(compute.context, host=CONF.host, binary="nova-compute", topic="compute")
    made.create()
    yield made
    made.destroy()


def state(compute: Compute) -> tuple[bool, str | None]:
    """Whether the scheduler may not use this host, and why."""
    found = objects.Service.get_by_compute_host(compute.context, CONF.host)
    return found.disabled, found.disabled_reason


def by_hand(service: objects.Service, reason: str) -> None:
    """`openstack compute service set --disable`; nova tells the driver next."""
    service.disabled, service.disabled_reason = True, reason
    service.save()


@pytest.mark.usefixtures("service")
def test_maintenance_keeps_new_servers_away(compute: Compute) -> None:
    assert compute.driver.host_maintenance_mode(CONF.host, True) == "on_maintenance"
    assert state(compute) == (True, MAINTENANCE)
    assert compute.driver.host_maintenance_mode(CONF.host, False) == "off_maintenance"
    assert state(compute) == (False, None)


def test_an_operators_reason_outlasts_maintenance(compute: Compute, service: objects.Service) -> None:
    by_hand(service, "new OSA cards")
    assert compute.driver.set_host_enabled(False) == "disabled"
    assert state(compute) == (True, "new OSA cards")
    for mode in (True, False):
        compute.driver.host_maintenance_mode(CONF.host, mode)
        assert state(compute) == (True, "new OSA cards"), "it was not maintenance that disabled it"


@pytest.mark.usefixtures("service")
def test_a_host_is_disabled_and_enabled(compute: Compute) -> None:
    assert compute.driver.set_host_enabled(False) == "disabled"
    assert state(compute) == (True, DISABLED)
    assert compute.driver.set_host_enabled(True) == "enabled"
    assert state(compute) == (False, None)
    compute.driver.host_maintenance_mode(CONF.host, True)
    assert compute.driver.set_host_enabled(True) == "enabled"
    assert state(compute) == (False, None), "an operator ends maintenance too"


def test_a_host_that_nova_does_not_know_is_told(compute: Compute) -> None:
    with pytest.raises(exception.ComputeHostNotFound):
        compute.driver.host_maintenance_mode(CONF.host, True)
    with pytest.raises(exception.ComputeHostNotFound):
        compute.driver.set_host_enabled(False)


@pytest.fixture
def unused(compute: Compute) -> Iterator[str]:
    """An image of glance that is in the manager's repository, and of which no server was made."""
    image = compute.glance.add(str(uuid.uuid4()), compute.glance.images[IMAGE])
    assert compute.driver.cache_image(compute.context, image) is True
    yield image
    if kept(compute, image):
        compute.client.call("DELETE", f"/images/openstack-{image}")


@pytest.fixture
def aged() -> Iterator[None]:
    """Every image is old enough to be removed."""
    CONF.set_override("remove_unused_original_minimum_age_seconds", 0, group="image_cache")
    yield
    CONF.clear_override("remove_unused_original_minimum_age_seconds", group="image_cache")


def kept(compute: Compute, image: str) -> bool:
    return f"openstack-{image}" in {item["name"] for item in compute.client.images()}


def clean(compute: Compute, *servers: objects.Instance) -> None:
    """What nova-compute does every `[image_cache] manager_interval`, with the servers of its host and its peers'."""
    compute.driver.manage_image_cache(compute.context, list(servers))


def test_images_that_nobody_uses_are_removed_after_their_age(
    compute: Compute, unused: str, request: pytest.FixtureRequest
) -> None:
    clean(compute)
    assert kept(compute, unused), "too young"
    compute.driver.cache_image(compute.context, IMAGE)
    request.getfixturevalue("aged")
    clean(compute, compute.instance())
    assert not kept(compute, unused)
    assert kept(compute, IMAGE), "a server was made of it"


@pytest.mark.usefixtures("aged")
def test_images_that_are_not_glances_stay(compute: Compute, unused: str, sample: bytes) -> None:
    about = {"name": "own", "bytes": len(sample), "os_version": "linux", "sha256": hashlib.sha256(sample).hexdigest()}
    upload = ImageUpload(compute.client, about)
    upload.write(sample)
    upload.finish()
    clean(compute)
    assert not kept(compute, unused)
    compute.client.call("DELETE", "/images/own")


@pytest.mark.usefixtures("aged")
def test_an_operator_can_forbid_the_clean_up(compute: Compute, unused: str) -> None:
    CONF.set_override("remove_unused_base_images", False, group="image_cache")
    try:
        clean(compute)
        assert kept(compute, unused)
    finally:
        CONF.clear_override("remove_unused_base_images", group="image_cache")


def test_a_fetch_that_a_dead_nova_compute_began_is_begun_anew(
    compute: Compute, monkeypatch: pytest.MonkeyPatch, sample: bytes
) -> None:
    image = compute.glance.add(str(uuid.uuid4()), sample)
    about = {"name": f"openstack-{image}", "bytes": len(sample), "os_version": "linux", "sha256": "0" * 64}
    ImageUpload(compute.client, about).write(sample[:1])
    monkeypatch.setattr("zvmcloud.openstack.nova.imagecache._STALLED", 0.0)
    monkeypatch.setattr(compute.driver._connected().images, "_sleep", lambda _seconds: None)
    assert compute.driver.cache_image(compute.context, image) is True
    assert compute.glance.downloads.count(image) >= 1
    assert not list(compute.client.pages("/uploads", {}))
    compute.client.call("DELETE", f"/images/openstack-{image}")


def test_a_clean_up_without_a_manager_says_so(compute: Compute, monkeypatch: pytest.MonkeyPatch) -> None:
    here = CONF.zvmcloud.url
    CONF.set_override("url", "http://127.0.0.1:1", group="zvmcloud")
    driver = virt.load_compute_driver(VirtApi(), "zvmcloud.ZVMCloudDriver")
    monkeypatch.setattr(driver._connected().client, "_sleep", lambda _seconds: None)
    try:
        with pytest.raises(exception.NovaException, match="clean the image cache: the manager is not to be reached"):
            driver.manage_image_cache(compute.context, [])
    finally:
        driver.cleanup_host("compute1")
        CONF.set_override("url", here, group="zvmcloud")
