"""OpenStack's drivers of z/VM: compute (nova), network (neutron), volumes (cinder).

They run inside OpenStack's own programs and are thin: what they want of z/VM they ask of the manager, over
``zvmcloud.client``, the only other room they may import. Everything they know about a port, a server or a volume they
are told by neutron, nova and cinder, and everything about z/VM by the manager, so a restart loses nothing. They never
open a connection to SMAPI or to an agent, keep no state on disk, and need no root.
"""
