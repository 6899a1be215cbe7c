"""Capturing with the unmodified client: the captured image deploys to another guest, which boots from it."""

from __future__ import annotations

from e2e.conftest import Cloud


def test_a_captured_guest_boots_somewhere_else_with_the_same_content(cloud: Cloud) -> None:
    cloud.started("capture1")
    cloud.done("guest_capture", "capture1", "captured", capture_type="rootonly", compress_level=1)
    cloud.up("CAPTURE1")
    assert cloud.done("guest_get_power_state", "capture1") == "on"
    (image,) = cloud.done("image_query", imagename="captured")
    assert image["disk_size_units"] == "10:CYL"
    assert image["imageosdistro"] == "rhel8.6"
    size = cloud.done("image_get_root_disk_size", "captured")
    cloud.done("guest_create", "capture2", 1, 512, disk_list=[{"size": size, "is_boot_disk": True}])
    cloud.done("guest_deploy", "capture2", "captured")
    first, second = (cloud.stack.disk_digest(userid, "0100") for userid in ("CAPTURE1", "CAPTURE2"))
    assert first == second
    assert cloud.stack.disk_digest("CAPTURE2", "0100", cylinders=5) == cloud.image["content_sha256"]
    cloud.done("guest_start", "capture2")
    cloud.up("CAPTURE2")
    assert cloud.inside("CAPTURE2", "uname -r") == cloud.inside("CAPTURE1", "uname -r")
    for userid in ("capture1", "capture2"):
        cloud.done("guest_delete", userid)
    cloud.done("image_delete", "captured")


def test_what_cannot_be_captured_is_refused_and_the_guest_stays_as_it_was(cloud: Cloud) -> None:
    cloud.deployed("capture3")
    assert cloud.refused("guest_capture", "capture3", "never") == (409, 409, 1)
    cloud.done("guest_start", "capture3")
    cloud.up("CAPTURE3")
    assert cloud.refused("guest_capture", "capture3", "shared-sample") == (300, 300, 13)
    assert cloud.refused("guest_capture", "capture3", "never", capture_type="alldisks")[0] == 501
    assert cloud.refused("guest_capture", "nobody", "never")[0] == 404
    assert cloud.done("guest_get_power_state", "capture3") == "on"
    assert cloud.refused("image_query", imagename="never")[0] == 404
    cloud.done("guest_delete", "capture3")
