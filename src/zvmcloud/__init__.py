"""zvmcloud: open cloud management for IBM z/VM.

The rooms and their import law are described in docs/design.md; `pyproject.toml` holds the law for import-linter.
"""

from importlib.metadata import version

__version__ = version("zvmcloud")
