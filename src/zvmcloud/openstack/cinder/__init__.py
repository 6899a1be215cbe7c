"""The Cinder driver: volumes are LUNs of the manager's pools, and every z/VM system or SSI cluster is a backend.

::

    cinder.conf   volume_driver = zvmcloud.openstack.cinder.driver.ZVMVolumeDriver
    driver.py     cinder's VolumeDriver: volumes, snapshots, connections, what pools have
    managing.py   volumes and snapshots that were there before cinder
    volumes.py    what is asked of the manager
    images.py     how the agent reaches an image of glance: bytes never pass the cinder host
    options.py    the options of a backend section

It may import ``zvmcloud.client``, the modules beside nova/ and neutron/ in ``zvmcloud.openstack``, and cinder. A volume
has the name that cinder gives it, so nothing has to be remembered. It opens no device and runs no program.
"""
