"""The options of a backend section, beside those of ``zvmcloud.openstack.connection`` in ``[zvmcloud]``."""

from __future__ import annotations

from cinder.volume import configuration
from oslo_config import cfg

from zvmcloud.openstack import connection

OPTIONS = [
    cfg.StrOpt(
        "zvm_system",
        help="Name of the z/VM system, as the manager knows it, whose volumes these are. Of an SSI cluster name one "
        "member: the members reach the pools that they share.",
    ),
    cfg.ListOpt(
        "zvm_volume_pools",
        default=[],
        help="The manager's pools of LUNs that this backend uses. Default: all that the system reaches.",
    ),
    cfg.StrOpt(
        "zvm_fcp_template",
        default="",
        help="Template of FCP devices through which guests reach the volumes; the system's default one if empty.",
    ),
    cfg.IntOpt(
        "zvm_busy_timeout",
        default=600,
        min=1,
        help="Seconds for which a change is tried again while another one of the same volume is under way.",
    ),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make the options known; doing it twice is fine."""
    connection.register(conf, connection.MANAGER_OPTIONS)
    conf.register_opts(OPTIONS, group=configuration.SHARED_CONF_GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator: ``namespace = zvmcloud.cinder``."""
    return [(connection.GROUP, connection.MANAGER_OPTIONS), (configuration.SHARED_CONF_GROUP, OPTIONS)]
