"""The options with which every driver finds the manager, and the client made from them.

::

    [zvmcloud]
    url = https://manager.example.com:8080
    token_file = /etc/zvmcloud/openstack.token
    ca_file = /etc/zvmcloud/ca.pem
    system = ZVM1
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

from oslo_config import cfg

from zvmcloud.client import Client

GROUP = "zvmcloud"

MANAGER_OPTIONS = [
    cfg.URIOpt(
        "url",
        schemes=["http", "https"],
        help="The manager: https://HOST:PORT, without /v1.",
    ),
    cfg.StrOpt(
        "token_file",
        help="File with an API token of the manager, readable by this service only. The token's user needs the role "
        "operator. The file is read at start.",
    ),
    cfg.StrOpt("ca_file", help="File with the certificate authority to trust for https. Default: the system's."),
    cfg.IntOpt("timeout", default=60, min=1, help="Seconds that the manager has for one answer."),
    cfg.IntOpt(
        "retries",
        default=5,
        min=0,
        max=10,
        help="How often a call is repeated after a lost connection or 503, with pauses of 0.2 s, 0.4 s, 0.8 s ...",
    ),
]
"""Of all services."""
OPTIONS = [
    *MANAGER_OPTIONS,
    cfg.StrOpt("system", help="Name of the z/VM system, as the manager knows it, that this service is for."),
]
"""Of services that are for one system."""


class ConfigurationError(Exception):
    """An option is missing or cannot be used; says which, and what to write."""


def register(conf: cfg.ConfigOpts, options: Sequence[cfg.Opt] = OPTIONS) -> None:
    """Make the options known to a service's configuration; doing it twice is fine."""
    conf.register_opts(options, group=GROUP)


def system(conf: cfg.ConfigOpts) -> str:
    """The z/VM system, in capitals. Raises ConfigurationError."""
    return _needed(conf, "system", "the name of the z/VM system, see `zvm system list`").upper()


def connect(conf: cfg.ConfigOpts) -> Client:
    """A client of the manager; does not connect yet. Raises ConfigurationError."""
    url = _needed(conf, "url", "https://HOST:PORT of the manager")
    path = Path(_needed(conf, "token_file", "a file with a token, see `zvm token create`"))
    try:
        token = path.read_text().strip()
    except OSError as error:
        raise ConfigurationError(f"[{GROUP}] token_file: {path}: {error.strerror}") from error
    if not token:
        raise ConfigurationError(f"[{GROUP}] token_file: {path} is empty; write a token into it")
    logging.getLogger("httpx").setLevel(logging.WARNING)  # it tells every request
    ca = str(conf[GROUP].ca_file or "")
    if ca and not Path(ca).is_file():
        raise ConfigurationError(f"[{GROUP}] ca_file: there is no {ca}")
    return Client(
        url,
        token,
        ca=Path(ca) if ca else None,
        timeout=float(conf[GROUP].timeout),
        retries=int(conf[GROUP].retries),
    )


def _needed(conf: cfg.ConfigOpts, name: str, what: str) -> str:
    found = str(conf[GROUP][name] or "")
    if not found:
        raise ConfigurationError(f"[{GROUP}] {name} is not set; write {what} there")
    return found
