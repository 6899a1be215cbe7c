"""The Nova driver: one nova-compute for each z/VM system, which asks the manager for everything.

::

    nova.conf     compute_driver = zvmcloud.ZVMCloudDriver
    shim.py       what the wheel installs as nova/virt/zvmcloud/__init__.py: nova loads drivers from there only
    driver.py     nova's ComputeDriver, on connected.py (options, client) and migrations.py (what moves); each
                  method hands over to one of the parts below
    servers.py    which guest is which instance, changes of guests       failures.py   nova's errors, of the manager's
    spawning.py   new guests: image, disks, adapters, config drive       imagecache.py glance's images in the manager
    moving.py     resize, cold and live migration, evacuation            snapshots.py  images of servers, for glance
    rescuing.py   a disk of its own to boot from                         facts.py      resources, traits, diagnostics
    storage.py    the driver's methods for volumes                       volumes.py    attached to guests and detached
    passwords.py  the administrator's password, set inside               maintenance.py the host, for the scheduler

It may import ``zvmcloud.client``, ``zvmcloud.openstack.connection`` and nova. It keeps nothing in memory or on disk
that it could not ask the manager for again: which guest belongs to which instance is a tag of the guest.
"""
