"""The user directory language of z/VM and the map of disk space that its MDISK statements occupy.

Why it exists: whoever creates, changes or reads virtual machine definitions (the simulator's directory manager, the
agent, the command line) must agree on what a statement says, and must never lose one that it does not know.

    statements   one statement: records of at most 72 columns, continuation, comments
    operands     what the operands of known statements may be
    devices      typed views of the device statements: MDISK, LINK, NICDEF, DEDICATE, SPOOL, CONSOLE, SPECIAL
    entry        a whole USER, IDENTITY, SUBCONFIG or PROFILE entry: parse, edit, render
    source       a whole source directory (USER DIRECT): lines, layout, what is wrong with its minidisks
    extents      volumes, regions, groups; free space; automatic allocation

May import: the standard library. Must never: do I/O, know a server, a clock or another room; print or log a password.
"""

from zvmcloud.directory.entry import Entry, parse_directory
from zvmcloud.directory.extents import Extent, ExtentMap, Group, Region, SpaceError, Volume
from zvmcloud.directory.statements import DirectoryError, Statement

__all__ = [
    "DirectoryError",
    "Entry",
    "Extent",
    "ExtentMap",
    "Group",
    "Region",
    "SpaceError",
    "Statement",
    "Volume",
    "parse_directory",
]
