"""`make test-openstack`: real keystone, glance, placement, nova, neutron and cinder with our drivers, on two systems
of z/VM in software that are one SSI cluster.

Everything is this run's own: a folder for data, logs and settings, free ports of the loopback interface, a MariaDB and
a RabbitMQ. At the end all of it is stopped and removed, however the run went. The modules in the order in which they
do their part: programs (database and message bus), daemons, settings, databases, zvm, catalogue, guide (what an
operator does), units, cloud (everything together), client (the openstack command), rows and compare (z/VM beside what
must be there), and the groups of steps: steps, upkeep, volumes, faults.
"""
