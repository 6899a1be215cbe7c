"""How the simulated z/VM says no.

SystemFault
├── Refused      a SMAPI function is refused: rc, rs and text as on z/VM
├── CpRefused    a CP command is refused with an HCP message; the return code is the message's number
└── ModelError   the model file or an option is wrong; names the key
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.cp.messages import Message


class SystemFault(Exception):
    """Whatever the simulated system refuses. Nothing has changed when it is raised out of a transaction."""


class Refused(SystemFault):
    """A SMAPI refusal (or remark, when rc is 0 and the call ends early)."""

    def __init__(self, rc: int, rs: int, text: Sequence[str] = ()) -> None:
        self.rc, self.rs, self.text = rc, rs, tuple(text)
        super().__init__(f"rc {rc}, rs {rs}" + (f": {'; '.join(text)}" if text else ""))


class CpRefused(SystemFault):
    """A CP refusal: `number` is the return code of the command."""

    def __init__(self, message: Message, *, module: str = "", **operands: str | int) -> None:
        self.number = message.number
        self.line = message.render(module=module, **operands)
        self.lines: tuple[str, ...] = (self.line,)
        """The answer: mostly the one message, sometimes more that give the reasons."""
        super().__init__(self.line)


class ModelError(SystemFault):
    """A wrong value in a model file or an option."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        super().__init__(f"{key}: {problem}")
