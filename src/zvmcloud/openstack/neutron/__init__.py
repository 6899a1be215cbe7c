"""Neutron's part: the mechanism driver, which binds ports to VSWITCHes, and the agent, which couples their adapters.

::

    neutron's API          mechanism.py   binds a port where a live agent has a VSWITCH of its physical network
    neutron-zvm-agent      program.py     the program, one for each z/VM system
                           loop.py        looks, compares, mends, reports; again and again
                           ports.py       what a port's adapter should be like, and what is to be done about it (pure)
                           network.py     the system's adapters and VSWITCHES, asked of the manager
                           options.py     its options

The agent remembers nothing that it could not ask again: which adapter is whose port is the adapter's own name in the
manager (``nic_id``, which the Nova driver gives it), what the port should be like is neutron's, and what is so z/VM's.
So its own restart, the manager's, and an IPL of z/VM, which takes the rights away, all end in the same comparison.
It may import ``zvmcloud.client``, ``zvmcloud.openstack.connection`` and neutron. It never changes a VSWITCH that is
there, and no adapter without a name.
"""
