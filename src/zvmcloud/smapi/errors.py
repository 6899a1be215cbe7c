"""The exception tree of the SMAPI room.

::

    SmapiFault
    ├── WireError                bytes that are no SMAPI message, or a value that has no place in one
    │   └── ParameterError       one field is at fault: it is named, with the rc/rs a z/VM would answer
    ├── SmapiError               a z/VM answered, and refused: function, rc, rs, meaning, retryable
    └── TransportError           no answer was had
        ├── ConnectError         nothing was sent; a later attempt is safe
        ├── ConnectionLost       the connection ended early; `accepted` tells whether the work may have begun
        ├── ReplyTimeout         the connection is silent; whether the work goes on is not known
        └── InsecureError        the certificate of the server was not accepted
"""

from collections.abc import Sequence

from zvmcloud.smapi import codes


class SmapiFault(Exception):
    """Whatever goes wrong with SMAPI."""


class WireError(SmapiFault):
    """Bytes that do not make a message. `rc` and `rs` are what a server answers to such a request."""

    def __init__(self, message: str, *, rc: int = 900, rs: int = 20) -> None:
        super().__init__(message)
        self.rc = rc
        self.rs = rs


class ParameterError(WireError):
    """One field of a request is malformed. Nothing was done.

    `field` is its documented name; `text` is what a server adds to its answer where the function has error data.
    """

    def __init__(self, field: str, message: str, *, rc: int = 24, rs: int = 0, text: Sequence[str] = ()) -> None:
        super().__init__(f"{field}: {message}", rc=rc, rs=rs)
        self.field = field
        self.text = tuple(text)


class SmapiError(SmapiFault):
    """z/VM refused a request. `retryable` tells whether the same request may succeed later."""

    def __init__(self, function: str, target: str, rc: int, rs: int, text: Sequence[str] = ()) -> None:
        self.function = function
        self.target = target
        self.rc = rc
        self.rs = rs
        self.text = tuple(text)
        self.meaning = codes.meaning(rc, rs, function)
        self.retryable = codes.retryable(rc, rs)
        self.undecided = False
        """Whether what was refused is only the question how work goes on that z/VM had accepted."""
        said = f" [{'; '.join(self.text)}]" if self.text else ""
        super().__init__(f"{function} for {target or '(no target)'}: rc {rc}, rs {rs}: {self.meaning}{said}")


class TransportError(SmapiFault):
    """No answer was had from the request server."""

    retryable = True


class ConnectError(TransportError):
    """The request server could not be reached; nothing was sent."""


class ConnectionLost(TransportError):
    """The connection ended before the reply was complete.

    `request_id` is set when the server had accepted the request: the work has begun, may even be done. Without it the
    work has most likely not begun, but the id itself may have been lost. Observe before you repeat a change.
    """

    def __init__(self, message: str, *, request_id: int | None = None) -> None:
        super().__init__(message)
        self.request_id = request_id

    @property
    def accepted(self) -> bool:
        return self.request_id is not None


class ReplyTimeout(ConnectionLost):
    """The server sent nothing for the time allowed."""


class InsecureError(TransportError):
    """TLS failed: the server's certificate was not accepted, or the server speaks no TLS."""

    retryable = False
