"""Which system each of many equal new guests goes to."""

from __future__ import annotations

from collections.abc import Mapping

from zvmcloud.manager.errors import Conflict


def spread(count: int, need: int, free: Mapping[str, int]) -> tuple[str, ...]:
    """A system for each of ``count`` guests that take ``need`` bytes of disk space: the one that got the fewest so far
    of those with room, of several the one with the most room. So the systems copy images side by side for as long as
    they can. ``free``: bytes of the disk pool on each system that may be used.

    Room is counted as one piece; whether each disk finds one is seen when the plans are made for a dry run, or by the
    directory manager. Memory is not counted: z/VM lets more be defined than there is. Raises Conflict (no-room).
    """
    left, given, chosen = dict(free), dict.fromkeys(free, 0), []
    for number in range(count):
        fitting = [name for name in left if left[name] >= need]
        if not fitting:
            raise Conflict(
                f"{count} guests of {need // 2**20} MB of disk space do not fit: there is room for {number} on "
                f"{', '.join(sorted(free)) or 'no system'}",
                code="no-room",
                remedy="name more systems or another pool, or ask for fewer guests",
            )
        name = min(fitting, key=lambda one: (given[one], -left[one], one))
        chosen.append(name)
        given[name] += 1
        left[name] -= need
    return tuple(chosen)
