"""A "doscript": the tar archive that a guest's first-boot service unpacks and runs.

    0000, 0001, ...    contents of configuration files
    invokeScript.sh    copies each to its place in the guest (`cp 0000 /etc/...`) and restarts what needs it

The connector's network.doscript is one. Writing makes one from target names and contents; reading takes the target
names from the copy commands, never by running the script. What network files among them say: see `netfiles`.
Source: reference/connector/formats.md 2.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping

from zvmcloud.images.configdrive import ConfigDriveError, read_tar, write_tar

SCRIPT = "invokeScript.sh"
_COPY = re.compile(r"^\s*(?:/bin/)?(?:cp|mv|install)\b(?P<words>.*)$")


def write(files: Mapping[str, bytes], commands: tuple[str, ...] = ()) -> bytes:
    """A doscript that places `files` (absolute target name to content), then runs `commands`."""
    members: dict[str, bytes] = {}
    lines = ["#!/bin/bash", "# Made by zvmcloud: places configuration files in the guest."]
    for number, (target, content) in enumerate(files.items()):
        if not target.startswith("/"):
            raise ConfigDriveError("a target must be an absolute path", target)
        members[f"{number:04d}"] = content
        lines.append(f"mkdir -p {shlex.quote(target.rpartition('/')[0] or '/')}")
        lines.append(f"cp {number:04d} {shlex.quote(target)}")
    lines += commands
    members[SCRIPT] = ("\n".join(lines) + "\n").encode()
    return write_tar(members)


def read(data: bytes) -> dict[str, bytes]:
    """Target name to content. ConfigDriveError when it is no doscript."""
    members = read_tar(data)
    script = members.get(SCRIPT)
    if script is None:
        raise ConfigDriveError(f"no {SCRIPT}")
    placed: dict[str, bytes] = {}
    for line in script.decode("utf-8", "replace").splitlines():
        found = _COPY.match(line)
        if not found:
            continue
        try:
            words = [word for word in shlex.split(found["words"]) if not word.startswith("-")]
        except ValueError:
            continue
        if len(words) == 2 and words[0].rpartition("/")[2] in members:
            placed[words[1]] = members[words[0].rpartition("/")[2]]
    return placed
