"""What the operator's guide (docs/openstack.md) has an operator do at the manager and at nova, done as it says.

The commands are in the transcript with what they print; the guide's outputs are copied from there.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from openstack_proof.client import CommandFailed, Transcript
from openstack_proof.daemons import Daemons
from openstack_proof.settings import Places
from openstack_proof.zvm import FLAT, GUESTS_FCPS, SYSTEMS, TAGGED, Zvm, lun_table, pool_of

TOKEN_FILE = Path("etc/zvmcloud/openstack.token")
"""Below the folder of the run, as /etc of the files that are rendered is."""
NETWORKS = ("--physical-network", f"physnet1={FLAT}", "--physical-network", f"physnet2={TAGGED}:1000+1F00")


class Guide:
    """An operator who follows it."""

    def __init__(self, places: Places, zvm: Zvm, transcript: Transcript) -> None:
        self._places = places
        self._folder = places.folder
        self._transcript = transcript
        admin = {"ZVMCLOUD_URL": zvm.url, "ZVMCLOUD_TOKEN_FILE": str(zvm.token_file)}
        self._environment: Mapping[str, str] = {**os.environ, **admin}

    def token(self) -> None:
        """A user of the manager for OpenStack's services, which is no admin, and its token in a file."""
        self._zvm("user", "create", "openstack", "--role", "operator")
        printed = self._zvm("token", "create", "openstack", "--user", "openstack")
        (secret,) = [line.split()[1] for line in printed.splitlines() if line.startswith("token ")]
        file = self._folder / TOKEN_FILE
        file.parent.mkdir(parents=True)
        file.write_text(secret)
        file.chmod(0o640)

    def storage(self) -> None:
        """A pool of LUNs and a template of FCP devices for each system. What a deleted volume leaves is discarded:
        writing zeros takes longer than a proof has."""
        for system in SYSTEMS:
            table = self._folder / f"luns-{system.lower()}.txt"
            table.write_text(lun_table(system))
            at = ("--system", system)
            self._zvm("volume-pool", "import", pool_of(system), str(table), *at)
            self._zvm("volume-pool", "set", pool_of(system), "--wipe", "discard", *at)
            self._zvm("fcp-template", "create", "guests", GUESTS_FCPS, "--host-default", *at)

    def settings(self) -> None:
        """The drivers' settings and their units: printed, and written below the folder, with this run's token file."""
        self._zvm("vswitch", "list", "--system", SYSTEMS[0])
        self._zvm("openstack", "render", "--system", SYSTEMS[0], *NETWORKS)
        written = ("--token-file", str(self._folder / TOKEN_FILE), "--folder", str(self._folder))
        for system in SYSTEMS:
            self._zvm("openstack", "render", "--system", system, *NETWORKS, *written)

    def hosts(self, names: Mapping[str, str], seconds: float, daemons: Daemons) -> None:
        """Tell nova of its new hosts. It finds one when that has made its compute node, so it is told until it knows
        all. Raises TimeoutError, and DaemonEnded when a program has ended."""
        deadline = time.monotonic() + seconds
        while True:
            daemons.check()
            self._nova("cell_v2", "discover_hosts", "--verbose")
            listed = self._nova("cell_v2", "list_hosts")
            if all(f" {host} " in listed for host in names.values()):
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"nova does not know all of {', '.join(names.values())}:\n{listed}")
            time.sleep(3)

    def _zvm(self, *words: str) -> str:
        return self._run("zvm", Path(sys.executable).with_name("zvm"), *words)

    def _nova(self, *words: str) -> str:
        settings = ("--config-file", str(self._folder / "nova" / "nova.conf"))
        return self._run("nova-manage", self._places.program("nova-manage"), *settings, *words)

    def _run(self, name: str, program: Path, *words: str) -> str:
        done = subprocess.run([program, *words], env=self._environment, capture_output=True, text=True, check=False)
        self._transcript.note([name, *words], done.stdout)
        if done.returncode:
            raise CommandFailed(f"{name} {' '.join(words)}: {done.stderr.strip()[-2000:]}")
        return done.stdout
