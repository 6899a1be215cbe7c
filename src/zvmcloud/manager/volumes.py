"""Volumes behind FCP devices: attached to a guest and detached from it.

Attaching counts a connection on each FCP device; the first one dedicates the device to the guest, the last one to go
takes it back. A script in the guest's reader brings the LUN online (or offline): at once in a guest that runs, else at
its next boot. What fails is undone by the job.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from zvmcloud.manager.core import Core, userid
from zvmcloud.manager.coreos_plans import STORED, BootVolume, ignition_step
from zvmcloud.manager.disks import configure_step, punch_step
from zvmcloud.manager.errors import BadInput, Conflict
from zvmcloud.manager.fcp import FcpPool
from zvmcloud.manager.fcp_choice import Device
from zvmcloud.manager.jobs.journal import new_job
from zvmcloud.manager.jobs.plan import JobRecord, Json, Plan, Step
from zvmcloud.manager.storage import numbered

DETACH = "devol"
"""The reader file by which a guest gives a volume up."""
_FCP = re.compile(r"[0-9a-f]{4}")
_WWN = re.compile(r"0x[0-9a-f]{16}")
_HEX = re.compile(r"[0-9a-f]+")
_MOST_PATHS = 8
"""Paths on a command line, as the original's script has them at most."""
_MOUNT = re.compile(r"(/[\w.-]+)*")


@dataclass(frozen=True, slots=True)
class Connection:
    """A volume of a guest: the FCP devices, target ports and the LUN. ``mount_point`` is the name of its device file.

    ``record_only``: only the table changes (a root volume, or a connection that exists already).
    """

    userid: str
    fcps: tuple[str, ...]
    wwpns: tuple[str, ...]
    lun: str
    mount_point: str = ""
    multipath: bool = True
    template: str = ""
    root: bool = False
    record_only: bool = False


class Volumes:
    """Attaches and detaches. Volumes of one guest come and go one after the other; guests do not wait for others."""

    def __init__(self, core: Core, pool: FcpPool) -> None:
        self._core = core
        self._pool = pool

    async def attach(self, system: str, wish: Connection, *, origin: str = "") -> JobRecord:
        """Connect a volume. Raises NotFound (guest-unknown, fcp-unknown; not-found for another project's LUN),
        BadInput, Conflict (fcp-owned; volume-attached, volume-busy, volume-state when it is a volume of a pool),
        QuotaExceeded (quota), AgentFailure (fcp-in-use, volume-script-failed); everything is as before then."""
        wish = await self._checked(system, wish)
        owner = wish.userid
        async with self._core.exclusive(system, owner):
            have = await self._pool.seen_by(system, owner, wish.fcps)
            for device in have:
                if device.allocated and device.assigner != owner:
                    raise Conflict(
                        f"Failed to attach volume to instance {owner} with reason FCP device {device.fcp} is assigned "
                        f"to {device.assigner}",
                        code="fcp-owned",
                        subject=device.fcp,
                    )
            first = [device for device in have if device.connections == 0]
            count = _counted(wish)
            steps = [
                Step(
                    "connect",
                    f"count a connection of {owner} on {', '.join(wish.fcps)}",
                    numbered.CONNECTED,
                    count,
                    numbered.DISCONNECTED,
                    count,
                )
            ]
            title, job = f"Record a volume of {owner}", new_job()
            if not (wish.record_only or wish.root):
                title = f"Attach a volume to {owner}"
                if first:
                    steps.append(dedicate_step(owner, first, await self._pool.elsewhere(system, first)))
                steps += await self._script(job, owner, "atvol", attach_script(wish))
            plan = Plan("volume.attach", title, system, tuple(steps), owner)
            row = await self._core.owned_or_none(system, owner)
            if row is not None:
                new = sum(device.assigner != owner for device in have)
                plan = replace(plan, project=row["project"], uses={"fcp_devices": new})
            return await self._core.runner.run(plan, origin, job)

    async def detach(self, system: str, wish: Connection, *, origin: str = "") -> JobRecord:
        """Disconnect a volume. Raises NotFound, BadInput, Conflict (fcp-owned, fcp-not-connected), AgentFailure."""
        wish = await self._checked(system, wish)
        owner = wish.userid
        async with self._core.exclusive(system, owner):
            have = await self._pool.seen_by(system, owner, wish.fcps)
            for device in have:
                if device.assigner != owner or device.connections < 1:
                    raise Conflict(
                        f"Failed to detach volume from instance {owner} with reason FCP device {device.fcp} has no "
                        "connection of it",
                        code="fcp-not-connected",
                        subject=device.fcp,
                    )
            last = [device for device in have if device.connections == 1]
            count = _counted(wish)
            record = Step("disconnect", f"a connection of {owner} less", numbered.DISCONNECTED, count)
            if wish.record_only or wish.root:
                return await self._run(system, "volume.detach", f"Record a volume of {owner}", [record], owner, origin)
            steps = await self._script(job := new_job(), owner, DETACH, detach_script(wish))
            steps[-1] = attached_again(steps[-1], owner, attach_script(wish))
            if last:
                steps.append(undedicate_step(owner, last, await self._pool.elsewhere(system, last)))
            steps.append(record)
            return await self._run(system, "volume.detach", f"Detach a volume from {owner}", steps, owner, origin, job)

    async def refresh_bootmap(
        self,
        system: str,
        fcps: Sequence[str],
        wwpns: Sequence[str],
        lun: str,
        *,
        wwid: str = "",
        template: str = "",
        ignition: bytes = b"",
        first_start: Sequence[str] = (),
        origin: str = "",
    ) -> tuple[Mapping[str, Json], JobRecord]:
        """Make a SCSI volume bootable through these FCP devices: the target ports by device. ``ignition``: there is a
        CoreOS on it, whose first start reads this file and finds these words on its command line.

        Raises BadInput, NotFound (fcp-template-unknown), AgentFailure (bootmap-failed, bootmap-timeout).
        """
        least = 1
        if template:
            (found,) = await self._pool.templates(system, [template])
            least = found.min_paths if found.min_paths > 0 else 1
        for name, values, size in (("fcpchannel", fcps, 4), ("wwpn", wwpns, 16), ("lun", [lun], 16)):
            for value in values:
                if not 1 <= len(_digits(value)) <= size or not _HEX.fullmatch(_digits(value)):
                    raise BadInput(name, value, f"at most {size} hexadecimal digits")
        if not fcps:
            raise BadInput("fcpchannel", "[]", "at least one FCP device")
        parameters: dict[str, Json] = {
            "lun": _digits(lun).zfill(16),
            "devices": [_digits(fcp) for fcp in fcps],
            "wwpns": [_digits(wwpn).zfill(16) for wwpn in wwpns],
            "wwid": wwid,
            "min_paths": least,
        }
        steps = [Step("refresh", f"write the boot map of LUN {lun}", "volume.refresh_bootmap", parameters)]
        number = new_job()
        if ignition:
            if not wwpns:
                raise BadInput("wwpn", "[]", "at least one target port, for the command line of CoreOS")
            ports = [_digits(wwpn).zfill(16) for wwpn in wwpns]
            paths = tuple(itertools.product([_digits(fcp).zfill(4) for fcp in fcps], ports))[:_MOST_PATHS]
            volume = BootVolume(paths, _digits(lun).zfill(16))
            await asyncio.to_thread(self._core.materials.store, number, STORED, ignition)
            steps.append(ignition_step("", volume, first_start, copied=False))
        title = f"Refresh the boot map of LUN {lun}"
        job = await self._core.runner.run(Plan("volume.refresh_bootmap", title, system, tuple(steps)), origin, number)
        result = job.steps[0].result or {}
        found_paths = result.get("paths")
        return (found_paths if isinstance(found_paths, Mapping) else {}), job

    async def _checked(self, system: str, wish: Connection) -> Connection:
        if not wish.fcps:
            raise BadInput("zvm_fcp", "[]", "at least one FCP device")
        fcps = tuple(dict.fromkeys(fcp.lower() for fcp in wish.fcps))
        wwpns = tuple(dict.fromkeys(wwpn.lower() for wwpn in wish.wwpns))
        for name, values, form in (("zvm_fcp", fcps, _FCP), ("target_wwpn", wwpns, _WWN)):
            for value in values:
                if not form.fullmatch(value):
                    raise BadInput(name, value, "4 hexadecimal digits" if form is _FCP else "0x and 16 digits")
        if not _WWN.fullmatch(wish.lun.lower()):
            raise BadInput("target_lun", wish.lun, "0x and 16 hexadecimal digits")
        check_mount_point(wish.mount_point)
        owner = userid(wish.userid)
        if not (wish.root or wish.record_only):
            await self._core.owned(system, owner)
        return Connection(
            owner, fcps, wwpns, wish.lun.lower(), wish.mount_point, wish.multipath, wish.template, wish.root,
            wish.record_only,
        )  # fmt: skip

    async def _script(self, job: str, owner: str, name: str, script: bytes) -> list[Step]:
        await asyncio.to_thread(self._core.materials.store, job, f"{name}.sh", script)
        return script_steps(owner, name, script)

    async def _run(
        self, system: str, kind: str, title: str, steps: list[Step], owner: str, origin: str, job: str = ""
    ) -> JobRecord:
        return await self._core.runner.run(Plan(kind, title, system, tuple(steps), owner), origin, job)


def check_mount_point(name: str) -> None:
    """The name of a device file goes into a script. Raises BadInput."""
    if not _MOUNT.fullmatch(name) or len(name) > 255:
        raise BadInput("mount_point", name, "a path of letters, digits, '_', '-', '.', at most 255 characters")


def dedicate_step(owner: str, devices: Sequence[Device], elsewhere: Sequence[str] = ()) -> Step:
    """Give a guest FCP devices that it has no connection through yet. ``elsewhere``: guests that have devices of these
    numbers at other members of the cluster."""
    back, given = _dedicated(owner, devices, elsewhere)
    title = f"dedicate {', '.join(device.fcp for device in devices)} to {owner}"
    return Step("dedicate", title, "fcp.dedicate", given, "fcp.undedicate", back)


def undedicate_step(owner: str, devices: Sequence[Device], elsewhere: Sequence[str] = ()) -> Step:
    """Take FCP devices back whose last connection ends."""
    taken, again = _dedicated(owner, devices, elsewhere)
    title = f"take {', '.join(device.fcp for device in devices)} back from {owner}"
    return Step("undedicate", title, "fcp.undedicate", taken, "fcp.dedicate", again)


def _dedicated(
    owner: str, devices: Sequence[Device], elsewhere: Sequence[str]
) -> tuple[dict[str, Json], dict[str, Json]]:
    """The parameters of taking devices from a guest, and of giving it them."""
    numbers: dict[str, Json] = {"userid": owner, "devices": [device.at for device in devices]}
    given = dict(numbers)
    if any(device.vdev for device in devices):
        given["reals"] = [device.fcp for device in devices]
    if elsewhere:
        given["elsewhere"] = list(elsewhere)
    return numbers, given


def attached_again(configure: Step, owner: str, script: bytes) -> Step:
    """The step in which a guest gives a volume up, undone by the script that attaches it, unless the guest is still to
    read the one that detaches it: z/VM may refuse to take the devices back. The agent runs it when the step itself
    fails or is cancelled."""
    encoded = base64.b64encode(script).decode()
    back: dict[str, Json] = {"userid": owner, "scripts": "volume", "script": encoded, "unless": DETACH}
    given = {**configure.parameters, "back": encoded}
    return replace(configure, parameters=given, undo_kind="guest.configure", undo_parameters=back)


def script_steps(owner: str, name: str, script: bytes) -> list[Step]:
    """Put the script, which is a file of the job, into the guest's reader, and have the guest run it."""
    return [
        punch_step(owner, name, "sh", f"{name}.sh", len(script)),
        configure_step(owner, "volume"),
    ]


def _counted(wish: Connection) -> dict[str, Json]:
    wwpns = [_digits(wwpn) for wwpn in wish.wwpns]
    return numbered.counted(
        wish.fcps, wwpns, _digits(wish.lun), template=wish.template, boot=wish.root, mount_point=wish.mount_point
    )


def _digits(value: str) -> str:
    return value.lower().removeprefix("0x")


def fcps_of(parameters: Mapping[str, Json]) -> tuple[str, ...]:
    fcps = parameters["fcps"]
    return tuple(str(fcp) for fcp in fcps) if isinstance(fcps, list) else ()


def attach_script(wish: Connection) -> bytes:
    """What a Linux on z does to see a LUN through these FCP devices. Exit status: 1 no multipathd, 3 no port, 4 no
    disk."""
    lines = ["#!/bin/bash", f"lun={wish.lun}"]
    if wish.multipath:
        lines.append("systemctl is-active --quiet multipathd || systemctl start multipathd || exit 1")
    lines += ["ports=0", f"for fcp in {' '.join(wish.fcps)}; do", "  cio_ignore -r $fcp 2>/dev/null"]
    lines += ["  chccwdev -e $fcp || chzdev -e zfcp-host $fcp", "  udevadm settle"]
    lines += [f"  for wwpn in {' '.join(wish.wwpns)}; do", '    port="/sys/bus/ccw/drivers/zfcp/0.0.$fcp/$wwpn"']
    lines += ["    [[ -d $port ]] || continue", "    ports=$((ports + 1))"]
    lines += ['    [[ -d $port/$lun ]] || echo $lun > "$port/unit_add"', "    chzdev -ep zfcp-lun 0.0.$fcp:$wwpn:$lun"]
    lines += ["  done", "done", "[[ $ports -gt 0 ]] || exit 3", "udevadm settle"]
    lines += ["disk=$(lszfcp -l $lun -D | awk '{print $2; exit}')", "[[ -n $disk ]] || exit 4"]
    if wish.mount_point:
        lines.append(
            f'ln -sfn "/dev/disk/by-path/ccw-0.0.{wish.fcps[0]}-zfcp-{wish.wwpns[0]}:{wish.lun}" {wish.mount_point}'
        )
    return ("\n".join([*lines, "exit 0", ""])).encode()


def detach_script(wish: Connection) -> bytes:
    """The way back. Exit status 0 also when nothing was there."""
    lines = ["#!/bin/bash", f"lun={wish.lun}"]
    if wish.mount_point:
        lines.append(f"rm -f {wish.mount_point}")
    lines += [f"for fcp in {' '.join(wish.fcps)}; do", f"  for wwpn in {' '.join(wish.wwpns)}; do"]
    lines += ["    chzdev -dp zfcp-lun 0.0.$fcp:$wwpn:$lun", '    port="/sys/bus/ccw/drivers/zfcp/0.0.$fcp/$wwpn"']
    lines += ['    [[ -d $port/$lun ]] && echo $lun > "$port/unit_remove"', "  done", "done", "udevadm settle"]
    return ("\n".join([*lines, "exit 0", ""])).encode()
