"""The connector door of `zvm up` on a z/VM without latency, at concurrency 1, 8 and 32, with 10 to 10,000 guests.

Simulated z/VM, agent, manager and load generator share the machine's processors, so beside each rate stands the
processor time that a call takes of each of them. The figures of Feilong 1.6.7 are given ones (docs/performance.md):
measured on another machine with two cores, with a back end without latency. Feilong 1.6.3 is measured here beside it,
without any z/VM (feilong.py).
"""

from __future__ import annotations

import itertools
import os
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from statistics import median

from benchmarks import feilong
from benchmarks.interpreter import UNDISTURBED, Processors
from benchmarks.load import Generator, Load, request
from benchmarks.stack import Stack, running
from benchmarks.table import Row

ROUNDS = {10: 40, 1_000: 10, 10_000: 10}
"""By number of guests: every case is measured so often, in turn with all others and, at the first, with the peer. The
speed of a shared machine changes within seconds, so one measurement says little, and a long one mixes what is fast and
what is slow."""
SECONDS = 0.2
PATIENCE = 3.0
"""Seconds that a round which is compared with the peer waits for processors that no neighbour disturbs."""
_SILENCE = 3.0
"""Seconds without a call after which the inventory has nothing to look at."""
CHANGES = {1: 40, 8: 100, 32: 100}
"""Guests made and deleted in a round, by concurrency."""


def _chosen(variable: str, known: Iterable[int]) -> tuple[int, ...]:
    """All of these, or those that the variable of the environment names."""
    words = os.environ.get(variable, "").split()
    found = tuple(number for number in known if not words or str(number) in words)
    if len(found) < len(words):
        raise SystemExit(f"{variable}={' '.join(words)}: there are {', '.join(str(number) for number in known)}")
    return found


GUESTS = _chosen("GUESTS", ROUNDS)
CLIENTS = _chosen("CLIENTS", CHANGES)
FEILONG = {
    ("GET /", 1): 1 / 0.0010, ("GET /", 8): 756.0, ("GET /guests", 1): 1 / 0.0017, ("GET /guests", 8): 637.0,
    ("POST /guests", 1): 1 / 0.054, ("POST /guests", 8): 31.0, ("DELETE /guests/U", 1): 1 / 0.116,
    ("DELETE /guests/U", 8): 10.2, ("GET /guests/U/info", 1): 1 / 0.178, ("GET /guests/U/info", 8): 7.4,
}  # fmt: skip
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Case:
    """Calls of one kind. Those that change something are each made once; others are repeated for SECONDS."""

    name: str
    requests: Sequence[bytes]
    once: bool = False


def _cases(guests: int, clients: int) -> Iterator[Case]:
    yield Case("GET /", (request("GET", "/"),))
    yield Case("GET /guests", (request("GET", "/guests"),))
    on = [f"L{number:05d}" for number in range(1, min(guests, 100) + 1)]
    yield Case("GET /guests/U/info", [request("GET", f"/guests/{userid}/info") for userid in on])
    yield Case("GET /vswitches", (request("GET", "/vswitches"),))
    new = [f"B{next(_numbers):07d}" for _ in range(CHANGES[clients])]
    yield Case("POST /guests", [request("POST", "/guests", guest(userid)) for userid in new], once=True)
    yield Case("GET /guests/U/info, off", [request("GET", f"/guests/{userid}/info") for userid in new[:100]])
    nics = [request("POST", f"/guests/{userid}/nic", {"nic": {"vdev": "1000"}}) for userid in new]
    yield Case("POST /guests/U/nic", nics, once=True)
    yield Case("DELETE /guests/U", [request("DELETE", f"/guests/{userid}") for userid in new], once=True)


def guest(userid: str) -> dict[str, object]:
    """The body of a POST of a small guest."""
    disks = [{"size": "10", "is_boot_disk": True}]
    return {"guest": {"userid": userid, "vcpus": 1, "memory": 512, "disk_list": disks}}


@dataclass(frozen=True, slots=True)
class Measured:
    """One round of a case: what was answered, and the processor time that it took of each program, in seconds."""

    load: Load
    spent: dict[str, float]
    elapsed: float
    speed: float
    """Thousand turns a second of the slowest processor, before or after, whichever was less."""
    peer: float = 0.0
    """The peer's rate right after ours."""

    @property
    def rate(self) -> float:
        return self.load.rate


def _measured(
    stack: Stack, generator: Generator, processors: Processors, clients: int, case: Case, peer: int | None
) -> Measured:
    """A round, and one of the peer behind it; never both at once."""
    seconds = None if case.once else SECONDS
    if (case.name, clients) not in FEILONG:
        peer = None
    speed = processors.slowest() if peer is None else processors.undisturbed(PATIENCE)
    before, began = stack.spent(), time.perf_counter()
    load = generator.run(stack.port, case.requests, clients, seconds)
    spent = {name: now - before[name] for name, now in stack.spent().items()}
    elapsed = time.perf_counter() - began
    speed = min(speed, processors.slowest())
    beside = 0.0
    if peer is not None:
        beside = generator.run(peer, case.requests, clients, seconds).rate
    return Measured(load, spent | {"generator": load.cpu}, elapsed, speed, beside)


def _rows(name: str, guests: int, clients: int, rounds: Sequence[Measured], best: float) -> list[Row]:
    """The median of the rounds, and what they were between, and of those that were undisturbed; latencies and processor
    time of all rounds together. `best`: the best speed of a processor in the whole benchmark."""
    rate = median(one.rate for one in rounds)
    latencies = [latency for one in rounds for latency in one.load.latencies]
    whole = Load(tuple(latencies), sum(one.load.elapsed for one in rounds), sum(one.load.cpu for one in rounds))
    spent = {who: sum(one.spent[who] for one in rounds) for who in rounds[0].spent}
    shares = ", ".join(f"{who} {seconds * 1000 / len(latencies):.2f}" for who, seconds in spent.items())
    reference = FEILONG.get((name, clients))
    label = f"{name}, {guests:,} guests, concurrency {clients}"
    rows = [
        Row(label, rate, "calls/s", reference, "Feilong" if reference else ""),
        Row("    lowest of the rounds", min(one.rate for one in rounds), "calls/s"),
        Row("    highest of the rounds", max(one.rate for one in rounds), "calls/s"),
        *_undisturbed(rounds, best, reference),
        Row("    p50", whole.percentile(0.5) * 1000, "ms"),
        Row("    p99", whole.percentile(0.99) * 1000, "ms"),
        Row(f"    processor time of a call: {shares}", sum(spent.values()) * 1000 / len(latencies), "ms"),
        Row("    processors kept busy", sum(spent.values()) / sum(one.elapsed for one in rounds), "of 2"),
    ]
    if any(one.peer for one in rounds):
        peer = median(one.peer for one in rounds)
        rows.append(Row("    beside Feilong without a z/VM", rate, "calls/s", peer, f"Feilong {feilong.VERSION} here"))
    return rows


def _undisturbed(rounds: Sequence[Measured], best: float, reference: float | None) -> list[Row]:
    """Those before and after which no neighbour took a processor's speed away."""
    rates = [one.rate for one in rounds if one.speed >= UNDISTURBED * best]
    rows = [Row("    undisturbed rounds", len(rates), f"of {len(rounds)}")]
    if rates:
        rows.append(Row("    median of these", median(rates), "calls/s", reference, "Feilong" if reference else ""))
    return rows


def _round_trips(stack: Stack, generator: Generator, guests: int) -> list[Row]:
    """What one call of each kind asks of the z/VM."""
    rows = []
    for case in _cases(guests, 1):
        before = _quiet(stack)
        generator.run(stack.port, case.requests[:1], 1)
        made = Counter(stack.calls()) - before
        kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(made.items())) or "none"
        rows.append(Row(f"{case.name}: round trips to z/VM ({kinds})", made.total(), "calls"))
    return rows


def _quiet(stack: Stack) -> Counter[str]:
    """The calls until now, once there are no others: the inventory looks at the system when it comes up, and at a guest
    within two seconds after a job."""
    calls, since = stack.calls(), time.monotonic()
    while time.monotonic() - since < _SILENCE:
        time.sleep(0.1)
        now = stack.calls()
        if now != calls:
            calls, since = now, time.monotonic()
    return calls


def run() -> list[Row]:
    rows: list[Row] = []
    found: dict[tuple[str, int, int], list[Measured]] = {}
    with Generator() as generator, Processors() as processors, feilong.running() as peer:
        known = [request("POST", "/guests", guest(f"L{number:05d}")) for number in range(1, GUESTS[0] + 1)]
        generator.run(peer, known, 1)
        for guests in GUESTS:
            with running(guests) as stack:
                if guests == GUESTS[0]:
                    rows += _round_trips(stack, generator, guests)
                beside = peer if guests == GUESTS[0] else None
                for clients, _ in itertools.product(CLIENTS, range(ROUNDS[guests])):
                    for case in _cases(guests, clients):
                        measured = _measured(stack, generator, processors, clients, case, beside)
                        found.setdefault((case.name, guests, clients), []).append(measured)
    for (name, guests, clients), rounds in found.items():
        rows += _rows(name, guests, clients, rounds, processors.best)
    return rows + processors.rows()
