"""How a guest's system is configured when it starts: SCSI disks, an installer's configuration, its class X files.

The class X files of the reader are read in their order and are gone then; the exit status of the last script is that
of the service (reference/connector/formats.md 2):

    NAME.SH or #!        a shell script, run by the model's shell
    NAME.DOSCRIP(T)      files to place, and commands behind them
    anything else        a config drive (iso9660, tar, tgz): host name, addresses, files, user data
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import urllib.parse
from dataclasses import replace

from zvmcloud.images import configdrive, doscript, netfiles
from zvmcloud.images.configdrive import ConfigDriveError
from zvmcloud.simulator import guest_commands, guest_memory, guest_programs, guest_zipl, luns, parm_line, spool
from zvmcloud.simulator.guest_files import Files
from zvmcloud.simulator.guest_loader import Loaded
from zvmcloud.simulator.guest_shell import Shell
from zvmcloud.simulator.model import Remembered, SpoolFile
from zvmcloud.simulator.system import System

#: Lines of commands in invokeScript.sh that place files: they have been placed already.
_PLACING = re.compile(r"^\s*(?:/bin/)?(?:cp|mv|install|mkdir|chmod)\b")


def scsi_disks(system: System, userid: str, needed: tuple[str, ...]) -> list[str]:
    """Bring FCP devices and SCSI disks online: those that the system was loaded from, of rd.zfcp= on the command line,
    of /etc/zfcp.conf. Gives lines for the console; a path that is down costs a line, not the boot."""
    files = Files(system, userid)
    wanted = list(needed)
    hosts: list[str] = []
    for item in parm_line.words(files.running.cmdline).get("rd.zfcp", []):
        wanted += _path(item.replace(",", " "))
    for line in (files.read(guest_programs.ZFCP_CONF) or "").splitlines():
        wanted += _path(line)
        hosts += [line.strip()[4:8].upper()] if re.fullmatch(r"\s*0\.0\.[0-9a-fA-F]{4}\s*", line) else []
    lines = []
    for vdev in dict.fromkeys([path.split()[0] for path in wanted] + hosts):
        try:
            luns.set_online(system, userid, vdev, online=True)
        except luns.NoUnit as problem:
            lines.append(f"zfcp: {problem}")
    for path in dict.fromkeys(wanted):
        try:
            lun = luns.add(system, userid, path)
        except luns.NoUnit as problem:
            lines.append(f"zfcp: {problem}")
        else:
            lines.append(f"scsi: {luns.device_name(path)}: {lun.blocks} {lun.block_size}-byte logical blocks")
    return lines


def _path(text: str) -> list[str]:
    found = re.fullmatch(r"\s*(?:0\.0\.)?([0-9a-fA-F]{4})\s+0x([0-9a-fA-F]{16})\s+0x([0-9a-fA-F]{16})\s*", text)
    return [f"{found[1]} {found[2]} {found[3]}".upper()] if found else []


# -- class X files ----------------------------------------------------------------------------------------------------


def read_files(system: System, userid: str) -> list[str]:
    """Read the class X files of the reader; gives lines for the console."""
    lines: list[str] = []
    status = 0
    for file in spool.files(system, userid):
        if file.spool_class != "X" or file.kind == "CON":
            continue
        data = spool.read(system, file)
        spool.purge(system, file)
        line, status = _apply(Files(system, userid), file, data, status)
        lines.append(line)
    machine = system.machines[userid]
    if machine.system is not None:
        system.machines.put(userid, replace(machine, system=replace(machine.system, status=status)))
    return lines


def _apply(files: Files, file: SpoolFile, data: bytes, status: int) -> tuple[str, int]:
    label = ".".join(part for part in (file.name, file.filetype) if part).lower()
    head = f"zvmguestconfigure[611]: spool file {file.spoolid} {label}"
    kind = file.filetype.upper() or file.name.rpartition(".")[2].upper()
    try:
        if kind == "SH" or data.startswith(b"#!"):
            status = run_script(files, data.decode("utf-8", "replace"))
            return f"{head}: script run" + (f", status {status}" if status else ""), status
        if kind.startswith("DOSCRIP"):
            placed = doscript.read(data)
            _place(files, placed)
            run_script(files, _commands(data))
            return f"{head}: {len(placed)} files placed", status
        drive = configdrive.read(data)
    except ConfigDriveError as error:
        return f"{head}: ignored ({error})", status
    memory = files.memory
    networks = guest_memory.merged(memory.networks, drive.networks)
    hostname = drive.hostname or memory.hostname
    _keep(files, replace(memory, hostname=hostname, networks=networks))
    _place(files, drive.injected)
    _user_data(files, drive.user_data)
    return f"cloud-init[702]: config drive read, hostname {drive.hostname or '(none)'}", status


def _keep(files: Files, changed: Remembered) -> None:
    guest_memory.put(files.system, files.running.root, changed)


def _place(files: Files, placed: dict[str, bytes]) -> None:
    for name, content in placed.items():
        files.write(name, content.decode("utf-8", "replace"))


def _commands(data: bytes) -> str:
    """What the invokeScript.sh of a doscript does beside placing its files."""
    script = configdrive.read_tar(data).get(doscript.SCRIPT, b"").decode("utf-8", "replace")
    return "\n".join(line for line in script.splitlines() if not _PLACING.match(line))


def run_script(files: Files, text: str) -> int:
    """Run a script in the guest; gives its exit status."""
    return Shell(files, guest_commands.find).run(text).rc


def _user_data(files: Files, data: bytes) -> None:
    """What cloud-init does with user data: a script is run, of a cloud-config the host name and files are taken."""
    text = data.decode("utf-8", "replace")
    if text.startswith("#!"):
        run_script(files, text)
    if not text.startswith("#cloud-config"):
        return
    config = netfiles.load(text)
    name = config.get("fqdn") or config.get("hostname")
    if isinstance(name, str):
        files.set_hostname(name)
    entries = config.get("write_files")
    for item in entries if isinstance(entries, list) else ():
        if isinstance(item, dict) and isinstance(item.get("path"), str) and isinstance(item.get("content"), str):
            files.write(item["path"], item["content"], append=bool(item.get("append")))


# -- installers -------------------------------------------------------------------------------------------------------


def installer(system: System, userid: str, loaded: Loaded) -> list[str]:
    """What a system in memory does with the configurations that its command line names. One that is in the initial
    file system is applied (host name, addresses, files); one that is elsewhere would have to be fetched, and nothing
    is: the console says so."""
    files = Files(system, userid)
    if guest_zipl.is_first_start(loaded.cmdline) and not loaded.root.startswith("ram/"):
        return [_first_start(files, loaded.ignition)]
    if not loaded.root.startswith("ram/"):
        return []
    parms = loaded.parms
    lines = [f"installer: packages from {parms.source}"] if parms.source else []
    found = loaded.files.get("config.ign")
    if found is not None:
        lines.append(f"ignition[702]: config.ign of the initial file system: {_ignition(files, found)}")
    for kind, place in parms.configurations:
        name = urllib.parse.urlsplit(place).path.lstrip("/")
        local = place.startswith(("file:", "/")) or "://" not in place
        content = loaded.files.get(name) if local else None
        if content is None:
            why = "not found" if local else "not fetched, nothing outside is simulated"
            lines.append(f"{kind}: configuration {place} {why}")
        elif kind == "ignition":
            lines.append(f"ignition[702]: {place}: {_ignition(files, content)}")
        else:
            lines.append(f"{kind}: {place}: {_kickstart(files, content.decode('utf-8', 'replace'))}")
    return lines


def _first_start(files: Files, config: bytes | None) -> str:
    """Ignition in a system that is on its disk."""
    told = (
        "no config provided by user" if config is None else f"config of the boot partition: {_ignition(files, config)}"
    )
    files.write(guest_zipl.RESULT, json.dumps({"userConfigProvided": config is not None}))
    return f"ignition[702]: {told}"


def _ignition(files: Files, data: bytes) -> str:
    """Files whose content is in the configuration, and the keys of users."""
    try:
        config = json.loads(data)
        entries = config.get("storage", {}).get("files", [])
        placed = [(item["path"], item["contents"]["source"]) for item in entries]
        users = [
            (user["name"], user.get("sshAuthorizedKeys", [])) for user in config.get("passwd", {}).get("users", [])
        ]
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return "not understood"
    count = 0
    for path, source in placed:
        if not isinstance(path, str) or not isinstance(source, str) or not source.startswith("data:"):
            continue
        head, _, body = source.removeprefix("data:").partition(",")
        content = urllib.parse.unquote(body)
        if head.endswith(";base64"):
            content = _decoded(content)
        files.write(path, content.rstrip("\n") if path == "/etc/hostname" else content)
        count += 1
    for name, keys in users:
        if isinstance(name, str) and isinstance(keys, list) and keys:
            files.write(f"/home/{name}/.ssh/authorized_keys.d/ignition", "".join(f"{key}\n" for key in keys))
    return f"{count} files placed"


def _decoded(encoded: str) -> str:
    """Text in base64; empty when it is none."""
    try:
        return base64.b64decode(encoded, validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _kickstart(files: Files, text: str) -> str:
    """`network --ip= --netmask= --gateway= --device= --hostname=` of a kickstart file."""
    memory = files.memory
    for line in text.splitlines():
        if not line.startswith("network"):
            continue
        given = {key: values[-1] for key, values in parm_line.words(line.replace("--", "")).items()}
        memory = replace(memory, hostname=given.get("hostname") or memory.hostname)
        found = parm_line.address(given.get("ip", ""), given.get("netmask", ""))
        if found:
            dns = tuple(item for item in given.get("nameserver", "").split(",") if item)
            new = netfiles.Network(found, given.get("gateway", ""), "", given.get("device", ""), dns=dns)
            memory = replace(memory, networks=guest_memory.merged(memory.networks, (new,)))
    _keep(files, memory)
    return "read"
