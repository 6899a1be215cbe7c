"""Of several managers each system is followed by one, and stays with it as long as that one lives."""

from __future__ import annotations

from zvmcloud.manager.inventory.following import chosen

SYSTEMS = tuple(f"ZVM{number}" for number in range(40))
MEMBERS = ("one", "two", "three")


def test_each_system_is_followed_by_one_manager() -> None:
    found = {member: chosen(member, MEMBERS, SYSTEMS) for member in MEMBERS}
    assert sorted(name for names in found.values() for name in names) == sorted(SYSTEMS)
    assert all(found.values()), "and none of them has all the work"


def test_only_the_systems_of_a_manager_that_is_gone_change_hands() -> None:
    left = MEMBERS[:2]
    for member in left:
        assert set(chosen(member, MEMBERS, SYSTEMS)) <= set(chosen(member, left, SYSTEMS))
    assert sorted(name for member in left for name in chosen(member, left, SYSTEMS)) == sorted(SYSTEMS)


def test_a_manager_alone_follows_all() -> None:
    assert chosen("manager", (), SYSTEMS) == SYSTEMS
