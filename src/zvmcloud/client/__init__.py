"""The HTTP client library of the manager's native API, shared by the command line and the OpenStack drivers.

It imports nothing else of ours, so that it can live where the manager is not installed. It knows ``/v1`` only, never
the connector's API, and keeps no state but its connections.
"""

from zvmcloud.client.errors import AnswerError, ClientError, ConnectionFailed, JobFailed, ProblemError
from zvmcloud.client.http import Client, Event
from zvmcloud.client.operations import Operation, Parameter, operations
from zvmcloud.client.uploads import ImageUpload
from zvmcloud.client.work import change, ended

__all__ = [
    "AnswerError",
    "Client",
    "ClientError",
    "ConnectionFailed",
    "Event",
    "ImageUpload",
    "JobFailed",
    "Operation",
    "Parameter",
    "ProblemError",
    "change",
    "ended",
    "operations",
]
