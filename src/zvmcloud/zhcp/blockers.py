"""What stands against the relocation of a guest: each thing that z/VM names by a message number, explained.

SMAPI answers VMRELOCATE with numbers only. The table says what a number is about and how to mend it; which device or
disk it means is read from the guest's directory entry. Numbers 1813, 1823, 1926, 1940, 1981 and 1996 are recorded of a
z/VM; the others are those of docs/reference/relocation.md (judgement). An unknown number is shown as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from zvmcloud.directory.entry import Entry
from zvmcloud.zhcp.errors import Json

HEADING = "1940"
"""Comes before the reasons; it is none itself."""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What a number is about, how to mend it, which FORCE leaves it out, and which statements of the entry it means."""

    what: str
    mend: str
    force: str = ""
    about: Callable[[Entry], list[str]] = lambda _: []


def _dedicates(entry: Entry) -> list[str]:
    return [f"DEDICATE {item.vdev} {item.rdev}" for item in entry.dedicates]


def _links(entry: Entry) -> list[str]:
    return [f"LINK {item.owner} {item.owner_vdev} {item.vdev} {item.mode}" for item in entry.links]


def _disks(*placements: str) -> Callable[[Entry], list[str]]:
    return lambda entry: [
        f"MDISK {item.vdev} {item.volser or item.placement}" for item in entry.mdisks if item.placement in placements
    ]


def _adapters(entry: Entry, *, switches: bool) -> list[str]:
    return [
        f"NICDEF {nic.vdev} LAN {nic.lan_owner} {nic.lan_name}"
        for nic in entry.nicdefs
        if nic.lan_name and (nic.lan_owner in ("", "SYSTEM")) == switches
    ]


def _on_switches(entry: Entry) -> list[str]:
    return _adapters(entry, switches=True)


def _on_lans(entry: Entry) -> list[str]:
    return _adapters(entry, switches=False)


EXPLANATIONS = {
    "1813": Explanation(
        "its storage exceeds the paging space and the storage of the destination",
        "add paging space there, or give the guest less storage", "STORAGE",
    ),
    "1823": Explanation(
        "the userid is an IDENTITY, with a configuration on several members", "define it as a USER",
    ),
    "1922": Explanation("the destination is no joined member of the cluster", "see GET /v1/ssi for the members"),
    "1923": Explanation("the guest is on that member already", "name another member"),
    "1924": Explanation("the guest is being relocated already", "wait for the end of that relocation"),
    "1925": Explanation("the cluster is not in mode STABLE", "wait until no member joins or leaves"),
    "1926": Explanation("another relocation or change of this guest is under way", "repeat when it is over"),
    "1932": Explanation("the guest is not disconnected", "disconnect its console (CP DISCONNECT)"),
    "1941": Explanation(
        "relocation is switched off", "SET VMRELOCATE userid ON, and VMRELOCATE ON in its entry",
        about=lambda entry: [" ".join(item.words) for item in entry.every("VMRELOCATE")],
    ),
    "1942": Explanation(
        "the destination is not in its relocation domain", "guest.change with relocation_domain", "DOMAIN",
        lambda entry: [" ".join(item.words) for item in entry.statements if "DOMAIN" in item.words],
    ),
    "1943": Explanation("the system is not a member of an SSI cluster", "relocate guests of a cluster's members"),
    "1944": Explanation(
        "the destination lacks facilities that the guest uses", "put both into one relocation domain", "ARCHITECTURE",
    ),
    "1945": Explanation("a shutdown or logoff is pending", "wait for it, then start the guest elsewhere"),
    "1946": Explanation("it has more processors than the destination", "guest.resize_cpus"),
    "1947": Explanation("it has more storage than the destination", "guest.resize_memory"),
    "1948": Explanation("it has a temporary disk", "detach it, or make it a minidisk", about=_disks("T-DISK")),
    "1949": Explanation("a virtual disk is shared with another guest", "unlink it there", about=_disks("V-DISK")),
    "1950": Explanation("a disk is linked R/W by another guest as well", "detach it there", about=_disks("PERM")),
    "1951": Explanation("a volume is offline on the destination", "vary it online there", about=_disks("PERM")),
    "1952": Explanation("the destination lacks its VSWITCH", "vswitch.create there", about=_on_switches),
    "1953": Explanation("a dedicated device has no EQID", "set one (SET RDEVICE)", about=_dedicates),
    "1954": Explanation("the destination has no free device with that EQID", "free one there", about=_dedicates),
    "1955": Explanation("an adapter is coupled to a guest LAN", "couple it to a VSWITCH", about=_on_lans),
    "1981": Explanation(
        "a dedicated device is of a kind that cannot move", "guest.change with undedicate", about=_dedicates
    ),
    "1982": Explanation("no grant for its VSWITCH there", "vswitch.grant on the destination", about=_on_switches),
    "1983": Explanation("the VSWITCH there is of another type", "make both alike", about=_on_switches),
    "1984": Explanation("the uplink there has another EQID", "give both uplinks one EQID", about=_on_switches),
    "1985": Explanation("a channel-to-channel adapter is coupled", "uncouple it"),
    "1996": Explanation("a linked minidisk is on one member only", "detach the link (CP DETACH)", about=_links),
}  # fmt: skip


def numbers(texts: Iterable[str]) -> list[str]:
    """The message numbers of an answer, each once, without the heading."""
    found = dict.fromkeys(word for text in texts for word in text.split() if word.isdecimal())
    return [number for number in found if number != HEADING]


def explained(found: Iterable[str], entry: Entry | None = None) -> list[Json]:
    """What each number is about, how to mend it, what leaves it out, and the statements of the entry it may mean."""
    rows: list[Json] = []
    for number in found:
        known = EXPLANATIONS.get(number) or Explanation(
            f"message HCP{number}", f"see HCP{number} in the CP messages and codes of z/VM"
        )
        about: list[Json] = [*known.about(entry)] if entry is not None else []
        rows.append(
            {"number": number, "what": known.what, "mend": known.mend, "force": known.force, "statements": about}
        )
    return rows
