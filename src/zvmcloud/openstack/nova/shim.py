"""Where nova looks for the driver: the wheel installs this file as ``nova/virt/zvmcloud/__init__.py``."""

from zvmcloud.openstack.nova.driver import ZVMCloudDriver

__all__ = ["ZVMCloudDriver"]
