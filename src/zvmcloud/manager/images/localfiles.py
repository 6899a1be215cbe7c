"""Files of this machine that clients name by path: images to import, config drives, exported copies."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from pathlib import Path

from zvmcloud.manager import confined
from zvmcloud.manager.confined import Confined
from zvmcloud.manager.errors import Conflict, Hidden, NotAllowed, NotFound
from zvmcloud.manager.identity.acting import actor
from zvmcloud.manager.images.handed import readable
from zvmcloud.manager.placing import copy_new
from zvmcloud.manager.settings import Settings


class LocalFiles:
    """What may be read and written by path: below the folders of the settings and the manager's own files folder."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._files = settings.folder / "files"

    async def export(self, source: Path, path: str, *, remote_host: str = "") -> None:
        """Copy an image's file to a new file below an export folder or the manager's own files folder.

        Raises NotAllowed (remote-host, path-not-allowed, file-unreadable), Conflict (file-exists): no file is ever
        replaced.
        """
        _only_here("dest_url", remote_host, self._settings.remote_hosts)
        target = await asyncio.to_thread(confined.below, path, (*self._settings.export_folders, self._files))
        if target is None:
            raise NotAllowed(
                f"dest_url: {path} is not below a folder that this manager may write to",
                code="path-not-allowed",
                remedy=f"name a file below {self._files}, or add the folder to export_folders in the settings",
                subject=path,
            )
        try:
            await asyncio.to_thread(copy_new, source, target.root, target.path)
        except FileExistsError:
            raise Conflict(
                f"dest_url: {path} exists already",
                code="file-exists",
                remedy="name another file, or remove that one",
                subject=path,
            ) from None
        except OSError as error:
            raise NotAllowed(
                f"dest_url: cannot write {path}: {error.strerror}", code="file-unreadable", subject=path
            ) from error

    def existing(self, path: str, field: str, *, remote_host: str = "") -> Confined:
        """A file that a client names by path, if this manager may read it.

        Raises NotAllowed (remote-host) when ``user@host`` is another machine, NotAllowed (path-not-allowed) outside
        the import folders, NotFound (file-unknown), and Hidden of that code for what another project handed in.
        """
        _only_here(field, remote_host, self._settings.remote_hosts)
        folders: list[str | Path] = [*self._settings.import_folders, self._files]
        if confined.below(path, folders) is None:
            raise NotAllowed(
                f"{field}: {path} is not below a folder that this manager may read",
                code="path-not-allowed",
                remedy="add its folder to import_folders in the manager's settings, or use PUT and POST /files",
                subject=path,
            )
        found = confined.existing(path, folders)
        if found is None or not readable(self._settings, actor(), found.path):
            absent = NotFound if found is None else Hidden
            raise absent(
                f"{field}: {path} is not a readable file on the manager's machine", code="file-unknown", subject=path
            )
        return found


def _only_here(field: str, remote_host: str, known: Sequence[str]) -> None:
    """Raises NotAllowed (remote-host) when ``user@host`` is another machine."""
    if remote_host and not is_here(remote_host, known):
        raise NotAllowed(
            f"{field}: the file is on {remote_host}, and this manager neither fetches nor sends files elsewhere",
            code="remote-host",
            remedy="upload it with PUT /files and use the URL that is returned, or add the host to remote_hosts in "
            "the settings when its folder is mounted here",
            subject=remote_host,
        )


def is_here(remote_host: str, known: Sequence[str]) -> bool:
    """Whether ``user@host`` is this machine: configured, its host name, or a literal address that it has. No name is
    looked up: that could take long, and what it says is not ours to trust."""
    host = remote_host.rpartition("@")[2].lower()
    if host in {name.lower() for name in known} or host == socket.gethostname().lower():
        return True
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return False
    if address.is_unspecified or address.is_multicast:
        return False
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.bind((str(address), 0))
    except OSError:
        return False
    return True
