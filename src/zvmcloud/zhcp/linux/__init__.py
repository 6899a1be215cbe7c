"""The agent's virtual machine on hardware: a Linux guest of z/VM, seen through its kernel and its programs.

    kernel    files below /sys, /proc and /dev, and programs: the seam that tests put a kernel of their own behind
    vmcp      CP commands through /dev/vmcp
    ccw       devices on- and offline: minidisks, reader and punch, FCP devices
    zfcp      SCSI volumes behind FCP devices: ports, units, paths, multipath
    reader    vmur: punch, list, receive, purge
    iucv      AF_IUCV: the SMAPI request server and the agents in guests
    machine   all of these as the `Machine` that operations use

It may import the leaves and, of this room, `errors` and `machine`. It must never be needed on another machine: nothing
here is touched unless the settings say `kind = "linux"` or `transport = "iucv"`. Tested against a fake /sys, /dev and
/proc that react to writes; it has not run on hardware (docs/zhcp-installation.md says what that leaves open).
"""
