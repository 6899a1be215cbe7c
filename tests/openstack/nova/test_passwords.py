"""The administrator's password, set in a running server."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

import nova.conf
import pytest
from nova import exception

from nova_world import Compute
from zvmcloud.openstack.nova.failures import ZVMError

CONF = nova.conf.CONF
pytestmark = pytest.mark.usefixtures("nothing_left")


@pytest.fixture
def impatient() -> Iterator[None]:
    CONF.set_override("reachable_timeout", 0, group="zvmcloud")
    yield
    CONF.clear_override("reachable_timeout", group="zvmcloud")


def shadow(compute: Compute, userid: str) -> str:
    """What the guest has of root's password: the simulated chpasswd writes a digest."""
    with compute.stack.machine() as zhcp:
        return zhcp.guest(userid, "cat /etc/shadow").split(":")[1]


def test_the_administrators_password_is_changed_inside(compute: Compute) -> None:
    server = compute.spawn(compute.instance())
    userid = compute.userid(server)
    compute.driver.set_admin_password(server, "n3w-s3cret")  # waits for its boot
    assert shadow(compute, userid) == hashlib.sha256(b"n3w-s3cret").hexdigest()
    compute.driver.set_admin_password(server, "quote ' and $HOME")
    assert shadow(compute, userid) == hashlib.sha256(b"quote ' and $HOME").hexdigest()
    assert "n3w-s3cret" not in str(compute.client.jobs(userid=userid))
    assert b"n3w-s3cret" not in compute.driver.get_console_output(compute.context, server)


def test_the_user_is_the_images_and_one_that_is_not_there_is_told(compute: Compute) -> None:
    server = compute.spawn(compute.instance(system_metadata={"image_os_admin_user": "cloud"}))
    userid = compute.userid(server)
    compute.up(userid)
    before = shadow(compute, userid)
    with pytest.raises(exception.InstancePasswordSetFailed, match="user 'cloud' does not exist") as refused:
        compute.driver.set_admin_password(server, "n3w-s3cret")
    assert "n3w-s3cret" not in str(refused.value)
    assert shadow(compute, userid) == before


def test_a_password_of_two_lines_is_refused(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), power_on=False)
    with pytest.raises(exception.SetAdminPasswdNotSupported):
        compute.driver.set_admin_password(server, "two\nlines")


@pytest.mark.usefixtures("impatient")
def test_a_server_that_is_off_says_so(compute: Compute) -> None:
    server = compute.spawn(compute.instance(), power_on=False)
    with pytest.raises(ZVMError, match=r"set the password: .*(off|not logged on).*To do: ") as refused:
        compute.driver.set_admin_password(server, "n3w-s3cret")
    assert "n3w-s3cret" not in str(refused.value)
