"""Which function runs which operation."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from zvmcloud.zhcp.errors import Json
from zvmcloud.zhcp.operations import (
    attach_nic,
    bootmap,
    console,
    definitions,
    disk_clone,
    disk_erase,
    disks,
    fcps,
    first_boot,
    guests,
    ignition,
    image_read,
    image_write,
    lans,
    nics,
    power,
    reader,
    relocate,
    resize,
    restore,
    vswitches,
)
from zvmcloud.zhcp.operations.context import Context

# Each handler takes its own operation's dataclass; messages.OPERATIONS guarantees that a kind and its dataclass match.
Handler = Callable[[Context, Any], Awaitable[dict[str, Json]]]

HANDLERS: dict[str, Handler] = {
    "guest.create": guests.create,
    "guest.define": definitions.define,
    "guest.change": definitions.change,
    "guest.restore": restore.restore,
    "guest.delete": guests.delete,
    "guest.start": power.start,
    "guest.stop": power.stop,
    "guest.shutdown": power.shutdown,
    "guest.pause": power.pause,
    "guest.unpause": power.unpause,
    "guest.reset": power.reset,
    "guest.reboot": power.reboot,
    "fcp.dedicate": fcps.dedicate,
    "fcp.follow": fcps.follow,
    "fcp.undedicate": fcps.undedicate,
    "guest.configure": fcps.configure,
    "volume.refresh_bootmap": bootmap.refresh,
    "volume.ignition": ignition.prepare,
    "guest.relocate": relocate.relocate,
    "guest.resize_cpus": resize.resize_cpus,
    "guest.resize_memory": resize.resize_memory,
    "disk.add": disks.add,
    "disk.remove": disks.remove,
    "disk.write_image": image_write.write,
    "disk.read_image": image_read.read,
    "disk.erase": disk_erase.erase,
    "disk.clone": disk_clone.clone,
    "nic.attach": attach_nic.attach,
    "nic.create": nics.create,
    "nic.delete": nics.delete,
    "nic.couple": nics.couple,
    "nic.uncouple": nics.uncouple,
    "vswitch.create": vswitches.create,
    "vswitch.change": vswitches.change,
    "vswitch.delete": vswitches.delete,
    "vswitch.restore": vswitches.restore,
    "vswitch.grant": vswitches.grant,
    "vswitch.revoke": vswitches.revoke,
    "vswitch.set_vlan": vswitches.set_vlan,
    "lan.create": lans.create,
    "lan.delete": lans.delete,
    "lan.access": lans.access,
    "reader.punch": reader.punch,
    "reader.purge": reader.purge,
    "reader.withdraw": reader.withdraw,
    "reader.order": reader.order,
    "reader.transfer": reader.transfer,
    "reader.receive": reader.receive,
    "guest.send": console.send,
    "guest.config_drive": first_boot.config_drive,
    "guest.netboot": first_boot.netboot,
}
