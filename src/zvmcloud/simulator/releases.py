"""Releases of z/VM that a system can be: what it calls itself, which functions it has, how CMS greets.

Function levels up to 720 are documented; those of 7.3 to 7.5 follow the same numbering (judgement), as do the service
levels and the dates of generation. With 7.5, IPL CMS loads the 64-bit z/CMS, whose banner does not begin with "z/VM".
"""

from __future__ import annotations

from dataclasses import dataclass

from zvmcloud.simulator.errors import ModelError


@dataclass(frozen=True, slots=True)
class Release:
    """One release. `level` is what Query_API_Functional_Level answers; functions of higher levels do not exist."""

    name: str
    level: int
    service: str
    generated: str
    """Date and time when CP was generated: "2020-09-18 10:05:02"."""

    @property
    def full(self) -> str:
        """7.2.0"""
        return f"{self.name}.0"

    @property
    def version(self) -> str:
        """What QUERY CPLEVEL says first."""
        number, _, minor = self.name.partition(".")
        return f"z/VM Version {number} Release {minor}.0, service level {self.service} (64-bit)"

    @property
    def directory_manager(self) -> str:
        return f"IBM Directory Maintenance Facility for z/VM, Function Level {self.level}"

    def banner(self, saved_system: str) -> str:
        """The first line that a saved system writes to the console: CMS, ZCMS, GCS."""
        if saved_system == "GCS":
            return f"GROUP CONTROL SYSTEM V{self.full}"
        z_cms = saved_system == "ZCMS" or (saved_system == "CMS" and self.level >= 750)
        return f"{'Z/CMS' if z_cms else 'z/VM'} V{self.full}    {self.generated[:16]}"


RELEASES = {
    release.name: release
    for release in (
        Release("6.4", 640, "1901", "2019-01-25 11:00:01"),
        Release("7.1", 710, "1801", "2018-09-06 10:14:25"),
        Release("7.2", 720, "2101", "2020-09-18 10:05:02"),
        Release("7.3", 730, "2301", "2022-09-16 09:31:17"),
        Release("7.4", 740, "2401", "2024-09-20 08:45:33"),
        Release("7.5", 750, "2601", "2026-03-13 12:22:40"),
    )
}


def find(name: str) -> Release:
    """A release by its name, 7.2 or 7.2.0. ModelError for another one."""
    found = RELEASES.get(name.removeprefix("v").removeprefix("V").removesuffix(".0"))
    if found is None:
        raise ModelError("release", f"{name!r} is not one of {', '.join(RELEASES)}")
    return found


def of_level(level: int) -> Release:
    """The release with that function level; the newest that is not above it for one in between."""
    below = [release for release in RELEASES.values() if release.level <= level]
    return max(below, key=lambda release: release.level) if below else RELEASES["6.4"]
