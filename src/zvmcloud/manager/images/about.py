"""What is said of an image besides what its content says: name, owner, distribution, tags; and its digests."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from zvmcloud.manager.errors import BadInput
from zvmcloud.manager.jobs.plan import Json

ARCHITECTURES = ("s390x", "s390", "noarch")
LENGTHS = {"sha512": 128, "sha256": 64, "md5": 32}
"""The digests that can be announced, the strongest first, and their hexadecimal digits."""
_NAME = re.compile(r"[^/\\\x00-\x1f\x7f]{1,255}")
_HEX = re.compile(r"[0-9a-f]*")
_OS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,63}")


@dataclass(frozen=True, slots=True)
class About:
    """``os_version``: distribution and version as in rhel9.2, "" when it is not known. ``boot``: whether a guest boots
    from it, None for what its content says."""

    name: str
    project: str
    os_version: str = ""
    architecture: str = "s390x"
    comments: str | None = None
    public: bool = False
    protected: bool = False
    boot: bool | None = None
    tags: Mapping[str, str] = field(default_factory=dict)

    def row(self) -> dict[str, Json]:
        """The columns of an image that it fills."""
        found: dict[str, Json] = {
            "name": self.name,
            "project": self.project,
            "os_version": self.os_version.lower(),
            "architecture": self.architecture,
            "comments": self.comments,
            "public": self.public,
            "protected": self.protected,
            "tags": dict(self.tags),
            "type": "rootonly",
        }
        return found if self.boot is None else {**found, "boot": self.boot}


def check_name(name: str, field: str = "name") -> None:
    """Raises BadInput naming ``field`` for a name that no image can have."""
    if not _NAME.fullmatch(name) or name in {".", ".."}:
        raise BadInput(field, name, "1 to 255 characters without '/', '\\' or control characters")


def check(about: About, named: str = "name") -> None:
    """Raises BadInput naming the field; ``named``: the one that has the image's name."""
    check_name(about.name, named)
    check_os_version(about.os_version)
    check_architecture(about.architecture)


def check_os_version(version: str) -> None:
    """Raises BadInput (os_version)."""
    if version and not _OS.fullmatch(version):
        raise BadInput("os_version", version, "a distribution with its version, as in rhel9.2; at most 64 characters")


def check_architecture(architecture: str) -> None:
    """Raises BadInput (architecture)."""
    if architecture not in ARCHITECTURES:
        raise BadInput("architecture", architecture, f"one of {', '.join(ARCHITECTURES)}")


def digests(given: Mapping[str, str]) -> dict[str, str]:
    """The announced digests in lower case, those that are not empty. Raises BadInput when one is malformed, or none
    is given."""
    found = {name: given[name].lower() for name in LENGTHS if given.get(name)}
    for name, digest in found.items():
        if len(digest) != LENGTHS[name] or not _HEX.fullmatch(digest):
            raise BadInput(name, digest, f"{LENGTHS[name]} hexadecimal digits")
    if not found:
        raise BadInput("sha256", "", "sha256, sha512 or md5 of the file; without one nobody knows that it is whole")
    return found
