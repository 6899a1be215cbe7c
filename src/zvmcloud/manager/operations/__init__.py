"""Every change that the native API offers, each declared once: its name, who may ask for it, its parameters, and the
function that makes the plan.

::

    Operation.prepare(node, caller, target, parameters) --> Prepared: the plan, its files, what it was made from
        Plans.make   shows it and keeps it            (POST /v1/plans, or any change with ?dry_run=true)
        Plans.apply  runs exactly the plan that was shown, or refuses when z/VM has changed meanwhile
        Plans.run    makes it and runs it             (the change itself)

From the declarations come the routes, the OpenAPI document and the command line. Importing this package registers all
operations. Nothing here runs a step or knows HTTP.
"""

from zvmcloud.manager.operations import bulk as _bulk
from zvmcloud.manager.operations import disks as _disks
from zvmcloud.manager.operations import drift as _drift
from zvmcloud.manager.operations import guests as _guests
from zvmcloud.manager.operations import images as _images
from zvmcloud.manager.operations import moves as _moves
from zvmcloud.manager.operations import nics as _nics
from zvmcloud.manager.operations import power as _power
from zvmcloud.manager.operations import provisioning as _provisioning
from zvmcloud.manager.operations import reader as _reader
from zvmcloud.manager.operations import resizing as _resizing
from zvmcloud.manager.operations import volumes as _volumes
from zvmcloud.manager.operations import vswitches as _vswitches
from zvmcloud.manager.operations.declare import OPERATIONS, Operation, Prepared, Target

__all__ = ["OPERATIONS", "Operation", "Prepared", "Target"]

REGISTERED = (
    _drift,
    _guests,
    _provisioning,
    _images,
    _power,
    _resizing,
    _disks,
    _nics,
    _volumes,
    _reader,
    _moves,
    _vswitches,
    _bulk,
)
"""Importing them registers their operations."""
