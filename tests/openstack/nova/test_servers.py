"""Which guests and jobs are an instance's, when it is deleted while others change guests; the manager is a table."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import nova.conf
import pytest

from zvmcloud.client import ClientError, ConnectionFailed, ProblemError
from zvmcloud.openstack.nova.servers import NAME, TAG, Servers
from zvmcloud.openstack.nova.spawning import Spawner

CONF = nova.conf.CONF
INSTANCE: Any = SimpleNamespace(uuid="0b0e6a3c-4b46-4d53-9f4c-4b2f1f7a1a01", name="NOVA0001")
FIRST, OTHER = "NOVA0001", "OSOTHER1"


@dataclass
class Manager:
    """Its guests and jobs by userid, and what it was asked for. ``gone``: how it refuses to delete a guest."""

    guests: list[str] = field(default_factory=list)
    making: dict[str, str] = field(default_factory=dict)
    gone: ProblemError | ConnectionFailed | None = None
    asked: list[str] = field(default_factory=list)

    def pages(self, _path: str, _query: Mapping[str, object]) -> Iterator[dict[str, Any]]:
        tags = {TAG: INSTANCE.uuid, NAME: INSTANCE.name}
        yield from ({"system": "ZVM1", "userid": userid, "tags": tags} for userid in self.guests)

    def jobs(self, *, userid: str, **_more: object) -> list[dict[str, str]]:
        return [{"id": f"of {userid}", "kind": kind, "state": "running"} for kind in [self.making.get(userid)] if kind]

    def cancel(self, job: str) -> None:
        self.asked.append(f"cancel {job}")

    def wait(self, job: str) -> dict[str, str]:
        self.asked.append(f"wait {job}")
        return {"id": job, "state": "done"}

    def ask(self, method: str, path: str, **_more: object) -> dict[str, str]:
        self.asked.append(f"{method} {path}")
        if self.gone is not None:
            raise self.gone
        return {"id": "deletion"}


def dropped(manager: Manager) -> list[str]:
    """What is asked of the manager when the instance is dropped."""
    client: Any = manager
    Servers(client, "ZVM1").drop(INSTANCE)
    return manager.asked


def test_what_makes_the_guest_is_cancelled_and_its_end_awaited_before_anything_else() -> None:
    assert dropped(Manager(making={FIRST: "guest.provision"})) == [f"cancel of {FIRST}", f"wait of {FIRST}"]


def test_another_instances_guest_of_the_userid_goes_on_being_made() -> None:
    assert dropped(Manager([OTHER], {FIRST: "guest.provision"})) == [f"DELETE /guests/ZVM1/{OTHER}", "wait deletion"]


def test_a_change_of_somebody_elses_guest_of_the_userid_goes_on() -> None:
    assert dropped(Manager(making={FIRST: "disk.create"})) == []


def test_what_is_under_way_for_the_guest_is_over_before_it_is_deleted() -> None:
    assert dropped(Manager([OTHER], {OTHER: "disk.create"})) == [
        f"cancel of {OTHER}", f"wait of {OTHER}", f"DELETE /guests/ZVM1/{OTHER}", "wait deletion",
    ]  # fmt: skip


def test_a_guest_that_went_meanwhile_is_gone() -> None:
    assert dropped(Manager([OTHER], gone=ProblemError({"code": "guest-unknown"}, 404)))[-1].startswith("DELETE")


@pytest.mark.parametrize("refusal", [ProblemError({"code": "role"}, 403), ConnectionFailed("nobody answers")])
def test_a_guest_that_cannot_be_deleted_is_told(refusal: ProblemError | ConnectionFailed) -> None:
    with pytest.raises(type(refusal)):
        dropped(Manager([OTHER], gone=refusal))


class Lost:
    """Servers whose manager is not there the first times that they are to be dropped."""

    def __init__(self, *refusals: ClientError) -> None:
        self.refusals = list(refusals)
        self.dropped = False

    def drop(self, _instance: object) -> None:
        if self.refusals:
            raise self.refusals.pop(0)
        self.dropped = True


def cleared(servers: Lost) -> list[float]:
    """The pauses until a build that failed is given up."""
    made: Any = servers
    pauses: list[float] = []
    Spawner(made, made, made, made, pauses.append).clear(INSTANCE)
    return pauses


def test_what_is_left_of_a_build_waits_for_a_manager_that_is_lost() -> None:
    servers = Lost(ConnectionFailed("nobody answers"), ProblemError({"code": "starting", "retryable": True}, 503))
    assert len(cleared(servers)) == 2
    assert servers.dropped


def test_and_is_told_when_it_cannot_be_taken_away(caplog: pytest.LogCaptureFixture) -> None:
    assert cleared(Lost(ProblemError({"code": "role"}, 403))) == []
    CONF.set_override("busy_timeout", 1, group="zvmcloud")
    try:
        made: Any = Lost(*[ConnectionFailed("nobody answers")] * 99)
        Spawner(made, made, made, made, lambda _seconds: time.sleep(0.3)).clear(INSTANCE)
    finally:
        CONF.clear_override("busy_timeout", group="zvmcloud")
    assert caplog.text.count("what is left of the build is not cleared") == 2
