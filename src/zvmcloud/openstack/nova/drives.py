"""The config drive of a server: what nova knows of it, as a tgz that its reader gets."""

from __future__ import annotations

import base64
import io
import tarfile
from collections.abc import Sequence

from nova.api.metadata.base import InstanceMetadata
from nova.network.model import NetworkInfo
from nova.objects.instance import Instance


def config_drive(
    instance: Instance,
    network_info: NetworkInfo,
    injected: Sequence[tuple[str, bytes | str]] = (),
    password: str | None = None,
) -> str:
    """The drive in base64, with the administrator's password on it if one is given. It is secret."""
    more = {"admin_pass": password} if password else {}
    metadata = InstanceMetadata(instance, content=list(injected), extra_md=more, network_info=network_info)
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, data in metadata.metadata_for_config_drive():
            content = data.encode() if isinstance(data, str) else data
            member = tarfile.TarInfo(path)
            member.size, member.mode = len(content), 0o600
            archive.addfile(member, io.BytesIO(content))
    return base64.b64encode(out.getvalue()).decode("ascii")
