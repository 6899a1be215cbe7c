"""The text format of Prometheus, version 0.0.4: families with HELP and TYPE, one sample in a line.

# HELP zvm_up Whether the agent of the system answers.
# TYPE zvm_up gauge
zvm_up{system="ZVM1"} 1
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

MEDIA_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_LABEL = str.maketrans({"\\": r"\\", '"': r"\"", "\n": r"\n"})
_HELP = str.maketrans({"\\": r"\\", "\n": r"\n"})
Value = int | float


@dataclass(slots=True)
class Family:
    """Samples of one name. ``kind``: gauge, counter, summary."""

    name: str
    kind: str
    help: str
    samples: list[str] = field(default_factory=list)

    def add(self, value: Value, labels: str = "", suffix: str = "") -> None:
        """A sample; ``labels`` as :func:`labels` writes them."""
        self.samples.append(f"{self.name}{suffix}{labels} {value}")


class Page:
    """Families in the order in which they were first used."""

    def __init__(self, families: Mapping[str, tuple[str, str]]) -> None:
        """``families``: kind and help of each name."""
        self._families = {name: Family(name, kind, text) for name, (kind, text) in families.items()}

    def __getitem__(self, name: str) -> Family:
        return self._families[name]

    def parts(self) -> Iterator[str]:
        """The text, family by family; those without samples are left out."""
        for family in self._families.values():
            if family.samples:
                yield (
                    f"# HELP {family.name} {family.help.translate(_HELP)}\n# TYPE {family.name} {family.kind}\n"
                    + "\n".join(family.samples)
                    + "\n"
                )


def labels(**values: str) -> str:
    """Labels as they are written behind a name."""
    return "{" + ",".join(f'{name}="{value.translate(_LABEL)}"' for name, value in values.items()) + "}"
