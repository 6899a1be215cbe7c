"""The database server and the message bus, and the schemas of the services."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from openstack_proof.daemons import Daemons, wait_until
from openstack_proof.programs import Programs
from openstack_proof.settings import HOST, REGION, Places

NAMES = ("keystone", "glance", "placement", "nova_api", "nova_cell0", "nova", "neutron", "cinder")


class MigrationFailed(Exception):
    """A service could not make its schema."""


def start(places: Places, programs: Programs, daemons: Daemons) -> Callable[[], None]:
    """MariaDB and RabbitMQ; returns what ends RabbitMQ's port mapper, which is no child of ours."""
    _mariadb(places, programs, daemons)
    return _rabbitmq(places, programs, daemons)


def _mariadb(places: Places, programs: Programs, daemons: Daemons) -> None:
    folder = places.folder / "mysql"
    environment = {**os.environ, **programs.environment}
    user = "root" if os.getuid() == 0 else str(os.getuid())
    common = ["--no-defaults", f"--user={user}", f"--basedir={programs.root / 'usr'}", f"--datadir={folder}"]
    subprocess.run(
        [programs.install_database, *common, "--auth-root-authentication-method=normal", "--skip-test-db"],
        check=True, env=environment, stdout=subprocess.DEVNULL,
    )  # fmt: skip
    first = folder / "first.sql"
    statements = [
        "DELETE FROM mysql.global_priv WHERE User='root'",
        "FLUSH PRIVILEGES",
        f"CREATE USER zvm@'{HOST}' IDENTIFIED BY '{places.password}'",
        f"GRANT ALL ON *.* TO zvm@'{HOST}'",
        *(f"CREATE DATABASE {name} CHARACTER SET utf8mb4" for name in NAMES),
    ]
    first.write_text("".join(f"{statement};\n" for statement in statements))
    daemons.add(
        "mariadb",
        [
            programs.mariadbd, *common, f"--bind-address={HOST}", f"--port={places.ports['mysql']}",
            f"--socket={folder / 'socket'}", f"--pid-file={folder / 'pid'}", f"--init-file={first}",
            "--max-connections=300", "--innodb-buffer-pool-size=128M", "--innodb-flush-log-at-trx-commit=0",
            "--innodb-flush-method=nosync", "--innodb-doublewrite=0",
            "--skip-log-bin", "--skip-name-resolve", "--performance-schema=off", "--character-set-server=utf8mb4",
        ],
        programs.environment,
    )  # fmt: skip


def _rabbitmq(places: Places, programs: Programs, daemons: Daemons) -> Callable[[], None]:
    folder = places.folder / "rabbitmq"
    folder.mkdir()
    (folder / "enabled_plugins").write_text("[].")
    (folder / "rabbitmq.conf").write_text(
        f"listeners.tcp.1 = {HOST}:{places.ports['rabbit']}\ndefault_user = zvm\ndefault_pass = {places.password}\n"
    )
    environment = {
        **programs.environment, "HOME": str(folder), "LANG": "C.UTF-8", "RABBITMQ_CONF_ENV_FILE": os.devnull,
        "RABBITMQ_NODENAME": f"zvm{places.ports['rabbit']}@localhost", "RABBITMQ_BASE": str(folder),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq"), "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"), "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "enabled_plugins"),
        "RABBITMQ_DIST_PORT": str(places.ports["dist"]), "ERL_EPMD_ADDRESS": HOST,
        "ERL_EPMD_PORT": str(places.ports["epmd"]), "RABBITMQ_LOGS": "-",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }  # fmt: skip
    daemons.add("rabbitmq", [programs.rabbitmq], environment)

    def end() -> None:
        command: list[str | Path] = [programs.epmd, "-port", str(places.ports["epmd"]), "-kill"]
        subprocess.run(command, env={**os.environ, **environment}, check=False, capture_output=True)

    return end


def await_infrastructure(places: Places, daemons: Daemons) -> None:
    """Wait until both answer. RabbitMQ's listener opens when everything else of it is up."""
    for name in ("mysql", "rabbit"):
        wait_until(lambda port=places.ports[name]: _listens(port), name, 120, daemons)


def _listens(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), 2):
        return True
    return False


def migrate(places: Places) -> None:
    """Make all schemas, side by side. Raises MigrationFailed."""
    folder = places.folder

    def run(*words: str | Path) -> None:
        command = [str(places.program(str(words[0]))), *(str(word) for word in words[1:])]
        log = folder / "logs" / f"db-{words[0]}.log"
        with log.open("ab") as file:
            done = subprocess.run(command, stdout=file, stderr=file, check=False)
        if done.returncode:
            raise MigrationFailed(f"{' '.join(command)}:\n{log.read_text()[-3000:]}")

    def keystone() -> None:
        settings = ("--config-file", folder / "keystone" / "keystone.conf")
        owner = ("--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid()))
        run("keystone-manage", *settings, "db_sync")
        run("keystone-manage", *settings, "fernet_setup", *owner)
        run("keystone-manage", *settings, "credential_setup", *owner)
        urls = [f"--bootstrap-{kind}-url={places.url('keystone')}/v3/" for kind in ("admin", "internal", "public")]
        password = f"--bootstrap-password={places.password}"
        run("keystone-manage", *settings, "bootstrap", password, *urls, f"--bootstrap-region-id={REGION}")

    def nova() -> None:
        settings = ("--config-file", folder / "nova" / "nova.conf")
        run("nova-manage", *settings, "api_db", "sync")
        cell0 = str(places.database("nova_cell0")["connection"])
        run("nova-manage", *settings, "cell_v2", "map_cell0", "--database_connection", cell0)
        run("nova-manage", *settings, "cell_v2", "create_cell", "--name", "cell1")
        run("nova-manage", *settings, "db", "sync")

    def glance() -> None:
        run("glance-manage", "--config-file", folder / "glance" / "glance-api.conf", "db_sync")

    def placement() -> None:
        run("placement-manage", "--config-file", folder / "placement" / "placement.conf", "db", "sync")

    def neutron() -> None:
        run("neutron-db-manage", "--config-file", folder / "neutron" / "neutron.conf", "upgrade", "heads")

    def cinder() -> None:
        run("cinder-manage", "--config-file", folder / "cinder" / "cinder.conf", "db", "sync")

    with ThreadPoolExecutor(6) as pool:
        for work in [pool.submit(job) for job in (nova, neutron, keystone, glance, placement, cinder)]:
            work.result()
