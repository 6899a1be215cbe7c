"""The administrator's password of a running server, changed through the agent in the guest."""

from __future__ import annotations

import base64
import time
from collections.abc import Callable

from nova import exception
from nova.objects.instance import Instance

from zvmcloud.client import ProblemError
from zvmcloud.openstack.nova.servers import Servers

_PAUSE = 2.0


def set_password(
    servers: Servers,
    instance: Instance,
    user: str,
    password: str,
    *,
    patience: float,
    sleep: Callable[[float], None] = time.sleep,
) -> None:
    """Have chpasswd set it. The command has it in base64 only, and is in no job. A guest whose agent does not answer
    yet is asked for ``patience`` seconds. Raises InstancePasswordSetFailed, ClientError."""
    guest = servers.get(instance)
    if "\n" in password or ":" in user:
        raise exception.SetAdminPasswdNotSupported()
    secret = base64.b64encode(f"{user}:{password}\n".encode()).decode("ascii")
    deadline = time.monotonic() + patience
    while True:
        try:
            answer = servers.client.ask(
                "POST", f"{guest.path}/command", body={"command": f"echo {secret} | base64 -d | chpasswd"}
            )
            break
        except ProblemError as error:
            if not error.retryable or time.monotonic() >= deadline:
                raise
        sleep(_PAUSE)
    if answer["rc"] != 0:
        raise exception.InstancePasswordSetFailed(instance=instance.uuid, reason=str(answer["output"])[:200])
