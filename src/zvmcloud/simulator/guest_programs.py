"""Programs inside a guest about its devices and services: FCP devices and SCSI disks, DASD, multipath, systemd.

Output has the form of s390-tools, multipath-tools and systemd, as far as scripts of management software read it
(reference/connector/flows.md 7, cp_corpus.md 3). Programs that would only change what the model does not have (file
systems, kernel modules, udev rules) succeed and do nothing.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence

from zvmcloud.simulator import (
    guest_addresses,
    guest_dd,
    guest_disks,
    guest_filters,
    guest_interfaces,
    guest_mounts,
    luns,
)
from zvmcloud.simulator.guest_disks import Multipath, Scsi
from zvmcloud.simulator.guest_filters import joined, options
from zvmcloud.simulator.guest_shell import Program, Result, Shell
from zvmcloud.simulator.model import Machine

#: FCP devices and units that come online at boot, one per line: "0.0.1a00 0x<wwpn> 0x<lun>", or the device alone.
ZFCP_CONF = "/etc/zfcp.conf"
SHADOW = "/etc/shadow"
_NUMBER = re.compile(r"(?:0\.0\.)?([0-9a-f]{1,4})", re.IGNORECASE)
_UNIT = re.compile(r"(?:0\.0\.)?([0-9a-f]{1,4}):0x([0-9a-f]{16}):(?:0x)?([0-9a-f]{16})", re.IGNORECASE)


def _vdev(text: str) -> str:
    found = _NUMBER.fullmatch(text)
    return found[1].upper().zfill(4) if found else ""


def _machine(shell: Shell) -> Machine:
    return shell.files.machine


def _scsis(shell: Shell) -> list[Scsi]:
    return guest_disks.scsis(shell.files.system, _machine(shell))


def _multipaths(shell: Shell) -> list[Multipath]:
    return guest_disks.multipaths(shell.files.system, _machine(shell))


def _switch(shell: Shell, vdev: str, *, online: bool) -> str:
    """Bring a device of any kind online or offline; gives what went wrong."""
    if luns.device(_machine(shell), vdev) is None:
        return "" if _machine(shell).device(vdev) is not None else f"Device 0.0.{vdev.lower()} not found"
    try:
        luns.set_online(shell.files.system, shell.files.userid, vdev, online=online)
    except luns.NoUnit as problem:
        return str(problem)
    return ""


def _chccwdev(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """chccwdev -e | -d device[,device]: s390-tools"""
    given, names = options(arguments[1:])
    done = Result()
    if not names or not ("e" in given or "d" in given):
        return Result(1, "", "chccwdev: Need to specify an action and a device\n")
    for name in ",".join(names).split(","):
        vdev = _vdev(name)
        problem = _switch(shell, vdev, online="e" in given) if vdev else f"Invalid device {name}"
        if problem:
            done.rc, done.err = 1, f"{done.err}{problem}\n"
        else:
            done.out += f"Setting device 0.0.{vdev.lower()} {'online' if 'e' in given else 'offline'}\nDone\n"
    return done


def _conf(shell: Shell) -> list[str]:
    return guest_filters.lines(shell.files.read(ZFCP_CONF) or "")


def _keep(shell: Shell, line: str, *, kept: bool) -> None:
    rows = [row for row in _conf(shell) if " ".join(row.lower().split()) != line]
    shell.files.write(ZFCP_CONF, joined([*rows, line] if kept else rows))


def _chzdev(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """chzdev -e | -d [-a | -p] [zfcp-host | zfcp-lun | dasd | qeth] device: now, persistently, or both"""
    given, names = options(arguments[1:])
    kind = next((name for name in names if re.fullmatch(r"zfcp-host|zfcp-lun|zfcp|dasd|qeth|dasd-eckd", name)), "")
    devices = [name for name in names if name != kind and "=" not in name and not name.startswith("--")]
    if not devices or ("e" in given) == ("d" in given):
        return Result(1, "", "chzdev: Specify a device and one of --enable, --disable\n")
    online = "e" in given
    now, kept = "p" not in given or "a" in given, "a" not in given or "p" in given
    done = Result()
    for name in devices:
        unit = _UNIT.fullmatch(name)
        problem = ""
        if unit:
            vdev, wwpn, lun = unit[1].upper().zfill(4), unit[2].upper(), unit[3].upper()
            if now:
                problem = _switch_unit(shell, f"{vdev} {wwpn} {lun}", online=online)
            if kept and not problem:
                _keep(shell, f"0.0.{vdev} 0x{wwpn} 0x{lun}".lower(), kept=online)
        else:
            vdev = guest_interfaces.device(name)
            problem = _switch(shell, vdev, online=online) if now else ""
            if now and not problem:
                guest_addresses.set_online(shell.files.system, shell.files.userid, vdev, online=online)
            if kept and not problem and luns.device(_machine(shell), vdev) is not None:
                _keep(shell, f"0.0.{vdev}".lower(), kept=online)
        if problem:
            done.rc, done.err = 1, f"{done.err}Error: {problem}\n"
        else:
            done.out += (
                f"{kind or 'device'} {name} configured\n" if online else f"{kind or 'device'} {name} deconfigured\n"
            )
    return done


def _switch_unit(shell: Shell, path: str, *, online: bool) -> str:
    system, userid = shell.files.system, shell.files.userid
    try:
        if online:
            luns.set_online(system, userid, path.split(maxsplit=1)[0], online=True)
            luns.add(system, userid, path)
        else:
            luns.remove(system, userid, path)
    except luns.NoUnit as problem:
        return str(problem)
    return ""


def _lszfcp(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """lszfcp [-H] [-P] [-D] [-b device] [-p port] [-l lun]"""
    given, _ = options(arguments[1:], "bpl")
    machine = _machine(shell)
    device, port, lun = (given.get(letter, "").lower().removeprefix("0x") for letter in "bpl")
    rows = []
    hosts = [vdev for vdev in machine.fcps if not device or vdev == _vdev(device)]
    if "H" in given or not ({"P", "D", "p", "l"} & set(given)):
        rows += [f"0.0.{vdev.lower()} host{machine.fcps.index(vdev)}" for vdev in hosts]
    if "P" in given:
        rows += [
            f"0.0.{vdev.lower()}/0x{wwpn} rport-{machine.fcps.index(vdev)}:0-{number}"
            for vdev in hosts
            for number, wwpn in enumerate(luns.ports(shell.files.system, machine, vdev))
            if port in ("", wwpn)
        ]
    if "D" in given or (not rows and "l" in given):
        for number, disk in enumerate(_scsis(shell)):
            vdev, wwpn, own = disk.path.lower().split()
            if vdev.upper() in hosts and port in ("", wwpn) and lun in ("", own):
                rows.append(f"0.0.{vdev}/0x{wwpn}/0x{own} {machine.fcps.index(vdev.upper())}:0:0:{number}")
    return Result(0, joined(rows)) if rows else Result(1, "", "Error: No fcp devices found.\n")


def _lsluns(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """lsluns [-c device] [-p port]: every LUN behind the ports, whether or not it is online"""
    from zvmcloud.simulator import fabric  # noqa: PLC0415

    given, _ = options(arguments[1:], "cp")
    machine = _machine(shell)
    rows = []
    for vdev in machine.fcps:
        own = luns.device(machine, vdev)
        if own is None or (given.get("c") and vdev != _vdev(given["c"])):
            continue
        rows.append(f"Scanning for LUNs on adapter 0.0.{vdev.lower()}")
        port = ""
        for lun in fabric.reachable(shell.files.system, own.rdev):
            if given.get("p") and given["p"].lower().removeprefix("0x") != lun.wwpn.lower():
                continue
            if lun.wwpn != port:
                port = lun.wwpn
                rows.append(f"\tat port 0x{port.lower()}:")
            rows.append(f"\t\t0x{lun.lun.lower()}")
    return Result(0, joined(rows))


def _lsscsi(shell: Shell, _arguments: Sequence[str], _stdin: str) -> Result:
    hosts = _machine(shell).fcps
    return Result(0, joined([
        f"[{hosts.index(disk.path.split()[0])}:0:0:{number}]    disk    {disk.lun.vendor:<8} {disk.lun.product:<16} "
        f"{disk.lun.code:<5} /dev/{disk.name}"
        for number, disk in enumerate(_scsis(shell))
    ]))  # fmt: skip


def _size(bytes_: int) -> str:
    for unit, factor in (("T", 1 << 40), ("G", 1 << 30), ("M", 1 << 20)):
        if bytes_ >= factor:
            return f"{bytes_ / factor:.1f}".removesuffix(".0") + unit
    return f"{bytes_ >> 10}K"


def _lsblk(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """lsblk [-d] [-n] [-b]: name, size, type and mount point"""
    given, others = options(arguments[1:], "o")
    root = guest_disks.root_device(shell.files.system, _machine(shell))
    mounted = dict(shell.files.mounts())
    rows: list[tuple[str, int, str, str]] = []
    for dasd in guest_disks.dasds(shell.files.system, _machine(shell)):
        rows.append((dasd.name, dasd.bytes, "disk", ""))
        if root == f"/dev/{dasd.name}1" and "d" not in given:
            rows.append((f"└─{dasd.name}1", dasd.bytes, "part", "/"))
        elif f"/dev/{dasd.name}1" in mounted and "d" not in given:
            rows.append((f"└─{dasd.name}1", dasd.bytes, "part", mounted[f"/dev/{dasd.name}1"]))
    by_uuid = {item.lun.uuid: item.name for item in _multipaths(shell)}
    for disk in _scsis(shell):
        size = disk.lun.blocks * disk.lun.block_size
        rows.append((disk.name, size, "disk", ""))
        if "d" not in given:
            mount = "/" if root == f"/dev/mapper/{by_uuid[disk.lun.uuid]}1" and f"luns/{luns.file_name(disk.lun)}" == (
                shell.files.running.root
            ) else ""  # fmt: skip
            rows.append((f"└─{by_uuid[disk.lun.uuid]}", size, "mpath", mount))
    if others:
        wanted = {name.removeprefix("/dev/") for name in others}
        rows = [row for row in rows if row[0].removeprefix("└─") in wanted]
        if not rows:
            return Result(32, "", f"lsblk: {others[0]}: not a block device\n")
    head = [] if "n" in given else [f"{'NAME':<12} {'SIZE':>12} TYPE  MOUNTPOINT"]
    shown = [
        f"{name:<12} {size if 'b' in given else _size(size):>12} {kind:<5} {mount}".rstrip()
        for name, size, kind, mount in rows
    ]
    return Result(0, joined([*head, *shown]))


def _multipath(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """multipath [-l | -ll] [-v n] [-f] [name or WWID]"""
    given, others = options(arguments[1:], "v")
    every = _multipaths(shell)
    wanted = [item for item in every if not others or others[0] in (item.name, item.wwid, f"/dev/mapper/{item.name}")]
    if "f" in given:
        if not others:
            return Result(1, "", "must provide a map name to remove\n")
        root = guest_disks.root_device(shell.files.system, _machine(shell))
        if wanted and shell.files.running.root == f"luns/{luns.file_name(wanted[0].lun)}" and root.startswith("/dev/"):
            return Result(1, "", f"{wanted[0].name}: map in use\n")
        return Result()
    if given.get("v") == "1":
        return Result(0, joined([item.name for item in wanted]))
    if "l" not in given:
        return Result()
    rows = []
    for number, item in enumerate(wanted):
        rows.append(f"{item.name} ({item.wwid}) dm-{every.index(item)} {item.lun.vendor},{item.lun.product}")
        rows.append(
            f"size={_size(item.lun.blocks * item.lun.block_size)} features='1 queue_if_no_path' "
            "hwhandler='1 alua' wp=rw"
        )
        rows.append("`-+- policy='service-time 0' prio=50 status=active")
        for at, disk in enumerate(item.paths):
            mark = "`-" if at == len(item.paths) - 1 else "|-"
            rows.append(f"  {mark} {number}:0:0:{at} {disk.name} 8:{16 * at} active ready running")
    return Result(0, joined(rows))


def _scsi_id(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    path = next((word for word in reversed(arguments[1:]) if word.startswith("/")), "")
    lun = guest_disks.by_path(shell.files.system, _machine(shell), path)
    return Result(0, f"{guest_disks.wwid(lun)}\n") if lun is not None else Result(1)


def _readlink(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    _, names = options(arguments[1:])
    found = [guest_disks.resolve(shell.files.system, _machine(shell), name) or name for name in names]
    return Result(0 if names else 1, joined(found))


def _lsdasd(shell: Shell, _arguments: Sequence[str], _stdin: str) -> Result:
    rows = [
        f"0.0.{disk.vdev.lower()}   active      {disk.name:<8} 94:{4 * at:<6}"
        for at, disk in enumerate(guest_disks.dasds(shell.files.system, _machine(shell)))
    ]
    return Result(0, joined(["Bus-ID     Status      Name     Device", *rows]))


def _lsmod(_shell: Shell, _arguments: Sequence[str], _stdin: str) -> Result:
    return Result(
        0, "Module                  Size  Used by\nzfcp                  290816  0\ndm_multipath           49152  1\n"
    )


def _which(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    found = [name for name in arguments[1:] if shell.program([name]) is not None]
    return Result(0, joined([f"/usr/sbin/{name}" for name in found])) if found else Result(1)


def _hostnamectl(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    if arguments[0].endswith("hostnamectl"):
        if len(arguments) > 2 and arguments[1] in ("set-hostname", "hostname"):
            shell.files.set_hostname(arguments[-1])
            return Result()
        return Result(0, f"   Static hostname: {shell.files.running.hostname}\n")
    _, names = options(arguments[1:])
    if names:
        shell.files.set_hostname(names[0])
        return Result()
    name = shell.files.running.hostname
    return Result(0, f"{name.partition('.')[0] if '-s' in arguments else name}\n")


def _systemctl(shell: Shell, arguments: Sequence[str], _stdin: str) -> Result:
    """Services are there and run; the one that configures the guest is the agent's affair."""
    if {"start", "restart", "reload"} & set(arguments) and any(
        name.removesuffix(".service") in guest_interfaces.SERVICES for name in arguments
    ):
        guest_interfaces.restart(shell)
    return Result(0, "active\n" if "is-active" in arguments and not {"-q", "--quiet"} & set(arguments) else "")


def _chpasswd(shell: Shell, _arguments: Sequence[str], stdin: str) -> Result:
    """chpasswd: lines of user:password; all are changed or none. The shadow file has a digest in place of crypt's."""
    shadow = dict(
        line.split(":", 1) for line in guest_filters.lines(shell.files.read(SHADOW) or "root:*:19000::::::\n")
    )
    for number, line in enumerate(guest_filters.lines(stdin), 1):
        user, colon, password = line.partition(":")
        if not colon or not password:
            return Result(1, "", f"chpasswd: line {number}: missing new password\n")
        if user not in shadow:
            return Result(1, "", f"chpasswd: line {number}: user '{user}' does not exist\n")
        digest = hashlib.sha256(password.encode()).hexdigest()
        shadow[user] = f"{digest}:{shadow[user].partition(':')[2]}"
    problem = shell.files.write(SHADOW, joined([f"{user}:{rest}" for user, rest in shadow.items()]))
    return Result(1 if problem else 0, "", problem)


def _nothing(_shell: Shell, _arguments: Sequence[str], _stdin: str) -> Result:
    return Result()


#: Programs whose effects the model does not have.
_QUIET = (
    "udevadm", "udevsettle", "modprobe", "mpathconf", "mkdir", "chmod", "chown", "ln", "mkswap", "mkfs", "mkfs.ext3",
    "mkfs.ext4", "mkfs.xfs", "blockdev", "sleep", "sync", "restorecon",
    "dracut", "zipl", "mkinitrd", "update-initramfs", "cio_ignore", "logger",
    "rescan-scsi-bus.sh", "partprobe", "growpart", "resize2fs", "xfs_growfs", "multipathd", "uptime",
)  # fmt: skip
PROGRAMS: dict[str, Program] = {
    **guest_filters.PROGRAMS,
    **guest_interfaces.PROGRAMS,
    **dict.fromkeys(_QUIET, _nothing),
    "chccwdev": _chccwdev, "chzdev": _chzdev, "lszfcp": _lszfcp, "lsluns": _lsluns, "lsscsi": _lsscsi, "lsblk": _lsblk,
    "multipath": _multipath, "scsi_id": _scsi_id, "readlink": _readlink, "lsdasd": _lsdasd, "lsmod": _lsmod,
    "mount": guest_mounts.mount, "umount": guest_mounts.umount, "swapon": guest_mounts.swapon,
    "swapoff": guest_mounts.swapoff, "systemctl": _systemctl, "chpasswd": _chpasswd, "dd": guest_dd.dd,
    "which": _which, "hostname": _hostnamectl, "hostnamectl": _hostnamectl,
}  # fmt: skip
