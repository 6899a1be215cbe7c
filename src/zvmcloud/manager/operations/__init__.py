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

from zvmcloud.manager.operations import drift as _drift
from zvmcloud.manager.operations import guests as _guests
from zvmcloud.manager.operations import volumes as _volumes
from zvmcloud.manager.operations.declare import OPERATIONS, Operation, Prepared, Target

__all__ = ["OPERATIONS", "Operation", "Prepared", "Target"]

REGISTERED = (_drift, _guests, _volumes)
"""Importing them registers their operations."""
