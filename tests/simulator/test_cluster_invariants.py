"""Whatever happens in a cluster, in whichever order: a guest is on one member at most, and everything agrees."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cluster_support import add_guest
from zvmcloud.simulator import guests, relocation
from zvmcloud.simulator.clock import ManualClock
from zvmcloud.simulator.cluster import Cluster
from zvmcloud.simulator.errors import CpRefused, ModelError
from zvmcloud.simulator.installation import open_cluster
from zvmcloud.simulator.presets import Model

GUESTS = ("LINUX01", "LINUX02")
MEMBERS = ("VM1", "VM2", "VM3")
SMALL = Model(ssi="SSI", members=MEMBERS)

steps = st.one_of(
    st.tuples(st.just("move"), st.sampled_from(GUESTS), st.sampled_from(MEMBERS)),
    st.tuples(st.just("on"), st.sampled_from(GUESTS), st.sampled_from(MEMBERS)),
    st.tuples(st.sampled_from(("cancel", "off")), st.sampled_from(GUESTS), st.just("")),
    st.tuples(st.sampled_from(("down", "abend", "up", "bury")), st.just(""), st.sampled_from(MEMBERS)),
    st.tuples(st.just("wait"), st.sampled_from(("0.05", "0.16", "1")), st.just("")),
)


def do(cluster: Cluster, clock: ManualClock, step: tuple[str, str, str]) -> None:
    word, first, second = step
    member = cluster.systems.get(second)
    holder = next((system for system in cluster.up() if first in system.machines), None)
    if word == "wait":
        clock.advance(float(first))
    elif word in ("down", "abend"):
        cluster.take_down(second, abend=word == "abend")
    elif word == "up":
        cluster.bring_up(second)
    elif word == "bury":
        cluster.bury(second)
    elif word == "on" and member is not None and cluster.is_up(second):
        with cluster.transaction():
            guests.log_on(member, first)
    elif word == "off" and holder is not None:
        with cluster.transaction():
            guests.log_off(holder, first)
    elif word == "move" and cluster.up():
        with cluster.transaction():
            relocation.begin(cluster.up()[0], first, second, "OPERATOR")
    elif word == "cancel" and cluster.up():
        with cluster.transaction():
            relocation.cancel(cluster.up()[0], first)


def agrees(cluster: Cluster) -> None:
    for name in GUESTS:
        holders = [system for system in cluster.systems.values() if name in system.machines]
        assert len(holders) <= 1
        for system in cluster.systems.values():
            here = system in holders
            assert ((name, "1000") in system.coupled.get("VSW1", set())) == here
            assert ((name, "0100") in system.links.get((name, "0100"), set())) == here
        move = cluster.relocations.get(name)
        if move is not None:
            assert [system.name for system in holders] == [move.source]
            assert cluster.is_up(move.source)
            assert cluster.is_up(move.destination)
        elif holders:
            assert not holders[0].machines[name].paused
    for system in cluster.systems.values():
        assert cluster.is_up(system.name) or len(system.machines) == 0
    assert len(cluster.watchers) == 0


@settings(max_examples=25)
@given(st.lists(steps, max_size=20))
def test_a_guest_is_on_one_member_at_most(script: list[tuple[str, str, str]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        clock = ManualClock()
        cluster = open_cluster(Path(folder), SMALL, clock=clock)
        try:
            add_guest(cluster, "LINUX01", on="VM1")
            add_guest(cluster, "LINUX02", on="VM2")
            for step in script:
                with contextlib.suppress(CpRefused, ModelError):
                    do(cluster, clock, step)
                agrees(cluster)
            cluster.close()
            cluster = open_cluster(Path(folder), clock=clock)
            agrees(cluster)
        finally:
            cluster.close()
