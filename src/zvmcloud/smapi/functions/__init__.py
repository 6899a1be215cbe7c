"""One declaration per SMAPI function, grouped by what the functions act on.

Facts: public client code and recordings of a real z/VM 7.1. `zvm smapi describe FUNCTION` shows a declaration.
"""

from typing import Any

from zvmcloud.smapi.declare import Request
from zvmcloud.smapi.functions.authorization import *  # noqa: F403
from zvmcloud.smapi.functions.directory_manager import *  # noqa: F403
from zvmcloud.smapi.functions.image import *  # noqa: F403
from zvmcloud.smapi.functions.image_definition import *  # noqa: F403
from zvmcloud.smapi.functions.image_device import *  # noqa: F403
from zvmcloud.smapi.functions.image_directory import *  # noqa: F403
from zvmcloud.smapi.functions.image_disk import *  # noqa: F403
from zvmcloud.smapi.functions.metadata import *  # noqa: F403
from zvmcloud.smapi.functions.network_adapter import *  # noqa: F403
from zvmcloud.smapi.functions.network_lan import *  # noqa: F403
from zvmcloud.smapi.functions.network_vswitch import *  # noqa: F403
from zvmcloud.smapi.functions.network_vswitch_query import *  # noqa: F403
from zvmcloud.smapi.functions.notification import *  # noqa: F403
from zvmcloud.smapi.functions.performance import *  # noqa: F403
from zvmcloud.smapi.functions.profile import *  # noqa: F403
from zvmcloud.smapi.functions.relocation import *  # noqa: F403
from zvmcloud.smapi.functions.service import *  # noqa: F403
from zvmcloud.smapi.functions.shared_memory import *  # noqa: F403
from zvmcloud.smapi.functions.system import *  # noqa: F403
from zvmcloud.smapi.functions.system_disk import *  # noqa: F403
from zvmcloud.smapi.functions.volume import *  # noqa: F403

ALL: tuple[type[Request[Any]], ...] = tuple(
    found
    for found in tuple(globals().values())
    if isinstance(found, type) and issubclass(found, Request) and found is not Request
)
"""The request class of every documented function."""
