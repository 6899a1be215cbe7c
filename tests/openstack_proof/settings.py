"""The settings of keystone, glance, placement, nova, neutron and cinder, as small as can be, on loopback."""

from __future__ import annotations

import secrets
import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

HOST = "127.0.0.1"
REGION = "RegionOne"
APIS = ("keystone", "glance", "placement", "nova", "neutron", "cinder")
Section = Mapping[str, object]


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    probes = [socket.create_server((HOST, 0)) for _ in range(count)]
    try:
        return [int(probe.getsockname()[1]) for probe in probes]
    finally:
        for probe in probes:
            probe.close()


def ini(sections: Mapping[str, Section]) -> str:
    """Text of a file of settings."""
    return "\n".join(
        f"[{name}]\n" + "".join(f"{key} = {_value(value)}\n" for key, value in members.items())
        for name, members in sections.items()
    )


def _value(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything of a run is. One throw-away password serves all of it."""

    folder: Path
    environment: Path
    ports: Mapping[str, int]
    password: str = field(default_factory=lambda: secrets.token_hex(8), repr=False)

    @classmethod
    def make(cls, folder: Path, environment: Path) -> Places:
        names = [*APIS, "mysql", "rabbit", "epmd", "dist"]
        places = cls(folder, environment, dict(zip(names, free_ports(len(names)), strict=True)))
        for name in ("logs", "lock", *APIS, "images", "staging", "tasks"):
            (folder / name).mkdir(parents=True)
        return places

    def program(self, name: str) -> Path:
        return self.environment / "bin" / name

    def url(self, api: str) -> str:
        return f"http://{HOST}:{self.ports[api]}"

    def database(self, name: str) -> Section:
        url = f"mysql+pymysql://zvm:{self.password}@{HOST}:{self.ports['mysql']}/{name}?charset=utf8mb4"
        return {"connection": url, "max_pool_size": 5, "max_overflow": 20}

    @property
    def bus(self) -> str:
        return f"rabbit://zvm:{self.password}@{HOST}:{self.ports['rabbit']}/"

    def login(self, user: str) -> dict[str, object]:
        return {
            "auth_url": self.url("keystone"), "auth_type": "password", "project_domain_id": "default",
            "user_domain_id": "default", "project_name": "service", "username": user, "password": self.password,
            "region_name": REGION,
        }  # fmt: skip

    def authtoken(self, user: str) -> dict[str, object]:
        found = self.login(user)
        del found["region_name"]
        return {**found, "www_authenticate_uri": self.url("keystone"), "service_token_roles": "service",
                "service_token_roles_required": True}  # fmt: skip

    @property
    def messaging(self) -> dict[str, Section]:
        return {
            "oslo_messaging_rabbit": {"rabbit_quorum_queue": False, "heartbeat_in_pthread": True},
            "oslo_messaging_notifications": {"driver": "noop"},
            "oslo_concurrency": {"lock_path": self.folder / "lock"},
        }

    def write(self) -> None:
        """Write the files of the services."""
        files = {
            "keystone/keystone.conf": self._keystone(),
            "glance/glance-api.conf": self._glance(),
            "placement/placement.conf": self._placement(),
            "nova/nova.conf": self._nova(),
            "neutron/neutron.conf": self._neutron(),
            "cinder/cinder.conf": self.cinder(),
        }
        for name, sections in files.items():
            (self.folder / name).write_text(ini(sections))
        for target, source in (
            ("glance/glance-api-paste.ini", "glance/glance-api-paste.ini"),
            ("nova/api-paste.ini", "nova/api-paste.ini"),
            ("neutron/api-paste.ini", "neutron/api-paste.ini"),
            ("cinder/api-paste.ini", "cinder/api-paste.ini"),
            ("cinder/resource_filters.json", "cinder/resource_filters.json"),
        ):
            (self.folder / target).write_bytes((self.environment / "etc" / source).read_bytes())

    def _keystone(self) -> dict[str, Section]:
        keys = {"key_repository": self.folder / "keystone" / "fernet-keys"}
        return {
            "DEFAULT": {"use_stderr": True},
            "database": self.database("keystone"),
            "token": {"provider": "fernet"},
            "fernet_tokens": keys,
            "fernet_receipts": keys,
            "credential": {"key_repository": self.folder / "keystone" / "credential-keys"},
            "identity": {"password_hash_rounds": 4},
            "cache": {"enabled": False},
        }

    def _glance(self) -> dict[str, Section]:
        return {
            "DEFAULT": {
                "use_stderr": True, "bind_host": HOST, "enabled_backends": "fs:file", "enabled_import_methods": "[]",
                "worker_self_reference_url": self.url("glance"),
            },
            "database": self.database("glance"),
            "glance_store": {"default_backend": "fs"},
            "fs": {"filesystem_store_datadir": self.folder / "images"},
            "os_glance_staging_store": {"filesystem_store_datadir": self.folder / "staging"},
            "os_glance_tasks_store": {"filesystem_store_datadir": self.folder / "tasks"},
            "paste_deploy": {"flavor": "keystone"},
            "keystone_authtoken": self.authtoken("glance"),
            "oslo_concurrency": {"lock_path": self.folder / "lock"},
        }  # fmt: skip

    def _placement(self) -> dict[str, Section]:
        return {
            "DEFAULT": {"use_stderr": True},
            "api": {"auth_strategy": "keystone"},
            "placement_database": self.database("placement"),
            "keystone_authtoken": self.authtoken("placement"),
        }

    def nova_common(self) -> dict[str, Section]:
        """What nova's programs at the controller and at the compute hosts have in common."""
        return {
            "DEFAULT": {
                "use_stderr": True, "transport_url": self.bus, "state_path": self.folder / "nova", "my_ip": HOST,
                "allow_resize_to_same_host": True,
            },
            "api": {"auth_strategy": "keystone"},
            "glance": {"api_servers": self.url("glance")},
            "placement": self.login("placement"),
            "neutron": self.login("neutron"),
            "cinder": {**self.login("nova"), "catalog_info": "block-storage::publicURL"},
            "service_user": {**self.login("nova"), "send_service_user_token": True},
            "vnc": {"enabled": False},
            **self.messaging,
        }  # fmt: skip

    def _nova(self) -> dict[str, Section]:
        return {
            **self.nova_common(),
            "api_database": self.database("nova_api"),
            "database": self.database("nova"),
            "keystone_authtoken": self.authtoken("nova"),
            "wsgi": {"api_paste_config": self.folder / "nova" / "api-paste.ini"},
            "conductor": {"workers": 1},
            "scheduler": {"workers": 1},
        }

    def _neutron(self) -> dict[str, Section]:
        return {
            "DEFAULT": {
                "use_stderr": True, "core_plugin": "ml2", "service_plugins": "", "auth_strategy": "keystone",
                "transport_url": self.bus, "state_path": self.folder / "neutron",
                "api_paste_config": self.folder / "neutron" / "api-paste.ini",
                "notify_nova_on_port_status_changes": True, "notify_nova_on_port_data_changes": True,
                "base_mac": "02:00:00:00:00:00",
                "agent_down_time": 30,
                "rpc_workers": 1, "rpc_state_report_workers": 0, "dhcp_agent_notification": False,
            },
            "database": self.database("neutron"),
            "keystone_authtoken": self.authtoken("neutron"),
            "nova": self.login("nova"),
            "placement": self.login("placement"),
            **self.messaging,
        }  # fmt: skip

    def cinder(self) -> dict[str, Section]:
        """What all of cinder's programs have in common, cinder-volume too."""
        return {
            "DEFAULT": {
                "use_stderr": True, "transport_url": self.bus, "auth_strategy": "keystone", "host": "volumes",
                "my_ip": HOST, "state_path": self.folder / "cinder",
                "api_paste_config": self.folder / "cinder" / "api-paste.ini",
                "resource_query_filters_file": self.folder / "cinder" / "resource_filters.json",
                "glance_api_servers": self.url("glance"),
            },
            "database": self.database("cinder"),
            "coordination": {"backend_url": f"file://{self.folder / 'cinder'}"},
            "keystone_authtoken": self.authtoken("cinder"),
            "nova": self.login("nova"),
            "service_user": {**self.login("cinder"), "send_service_user_token": True},
            **self.messaging,
        }  # fmt: skip

    def neutron_agent(self) -> dict[str, Section]:
        """What a neutron agent needs of neutron.conf: no database, no keystone."""
        return {"DEFAULT": {"use_stderr": True, "transport_url": self.bus}, **self.messaging}
