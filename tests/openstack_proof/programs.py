"""MariaDB and RabbitMQ: those of this machine, or the distribution's packages unpacked into the cache of the user."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("rabbitmq-server", "mariadb-server-core", "mariadb-client-core")


class MissingPrograms(Exception):
    """Neither installed nor to be had as packages."""


@dataclass(frozen=True, slots=True)
class Programs:
    """``root`` is / when they are installed. ``environment``: what they need in theirs."""

    root: Path
    environment: dict[str, str]

    @property
    def mariadbd(self) -> Path:
        return self.root / "usr/sbin/mariadbd"

    @property
    def install_database(self) -> Path:
        return self.root / "usr/bin/mariadb-install-db"

    @property
    def rabbitmq(self) -> Path:
        """The server itself: Debian's wrapper in sbin changes the user and drops the environment."""
        return self.root / "usr/lib/rabbitmq/bin/rabbitmq-server"

    @property
    def epmd(self) -> Path:
        return self.root / "usr/bin/epmd"


def programs(cache: Path) -> Programs:
    """Raises MissingPrograms with what to install."""
    installed = Programs(Path("/"), {})
    if installed.mariadbd.exists() and installed.rabbitmq.exists():
        return installed
    root = cache / "programs"
    if not (root / ".complete").exists():
        if shutil.which("apt-get") is None or shutil.which("dpkg") is None:
            raise MissingPrograms("install MariaDB (mariadbd, mariadb-install-db) and RabbitMQ (rabbitmq-server)")
        _unpack(root)
    path = f"{root}/usr/lib/erlang/bin:{root}/usr/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    libraries = ":".join(str(folder) for folder in sorted((root / "usr/lib").glob("*-linux-gnu*")))
    return Programs(root, {"PATH": path, "LD_LIBRARY_PATH": libraries})


def _unpack(root: Path) -> None:
    """Fetch the packages that this machine lacks, without installing them, and unpack them below ``root``."""
    shutil.rmtree(root, ignore_errors=True)
    fetched = root / "packages"
    fetched.mkdir(parents=True)
    simulated = subprocess.run(
        ["apt-get", "install", "--simulate", "--no-install-recommends", *PACKAGES],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    names = [line.split()[1] for line in simulated.stdout.splitlines() if line.startswith("Inst ")]
    found = subprocess.run(["apt-get", "download", *names], cwd=fetched, capture_output=True, text=True, check=False)
    if simulated.returncode or found.returncode:
        raise MissingPrograms(f"apt-get has no {', '.join(PACKAGES)}: {simulated.stderr}{found.stderr}")
    for package in sorted(fetched.glob("*.deb")):
        subprocess.run(["dpkg", "-x", package, root], check=True)
    for script in (root / "usr/lib/erlang").glob("**/bin/erl"):
        script.write_text(script.read_text().replace("ROOTDIR=/usr/lib", f"ROOTDIR={root}/usr/lib"))
    shutil.rmtree(fetched)
    (root / ".complete").touch()
