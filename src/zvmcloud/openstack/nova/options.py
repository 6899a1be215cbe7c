"""The driver's options, beside those of ``zvmcloud.openstack.connection`` in the same group ``[zvmcloud]``."""

from __future__ import annotations

from oslo_config import cfg

from zvmcloud.openstack import connection

OPTIONS = [
    cfg.StrOpt(
        "userid_prefix",
        default="OS",
        regex=r"^[A-Z@#$][A-Z0-9@#$]{0,3}$",
        help="What the userids of servers begin with, 1 to 4 characters; the rest is made of the server's UUID. Not "
        "used when instance_name_template makes names of at most 8 characters that z/VM takes: they are the userids.",
    ),
    cfg.StrOpt(
        "disk_pool",
        default="",
        regex=r"^((ECKD|FBA):[A-Z0-9_]+)?$",
        help="Disk pool of servers, ECKD:NAME or FBA:NAME; the manager's default pool if empty. A flavor's "
        "zvm:disk_pool goes before it.",
    ),
    cfg.StrOpt("profile", default="", help="Directory profile of servers; the manager's default if empty."),
    cfg.IntOpt(
        "reachable_timeout",
        default=300,
        min=0,
        help="Seconds that a snapshot or a change of password waits for a started server's agent to answer.",
    ),
    cfg.IntOpt(
        "busy_timeout",
        default=600,
        min=1,
        help="Seconds for which a change is tried again while another one of the same server is under way, and for "
        "which a build that failed waits for a lost manager, to take away what is left of it.",
    ),
    cfg.IntOpt(
        "console_kilobytes",
        default=100,
        min=1,
        max=8192,
        help="KiB of a server's console that nova gets, from its end.",
    ),
    cfg.IntOpt("max_cpus", default=0, min=0, max=64, help="Most processors of a server; 0: the manager's default."),
    cfg.IntOpt("max_memory_mb", default=0, min=0, help="Most MiB of a server; 0: the manager's default."),
]


def register(conf: cfg.ConfigOpts) -> None:
    """Make all options of the driver known; doing it twice is fine."""
    connection.register(conf)
    conf.register_opts(OPTIONS, group=connection.GROUP)


def list_opts() -> list[tuple[str, list[cfg.Opt]]]:
    """For oslo-config-generator: ``namespace = zvmcloud.nova``."""
    return [(connection.GROUP, [*connection.OPTIONS, *OPTIONS])]
