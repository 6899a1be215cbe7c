"""QUERY of what the modelled systems do not have: tape drives, real terminals, cryptographic cards, CPU pools ...

A tool that takes stock of a system asks for all of them, and a real CP says that there are none; it does not say that
the operand is invalid. Nothing that this simulator models can bring one of them about, so the sentence is always true.
Texts: that of MULTITHREAD is in z/VM's CP Commands and Utilities Reference (INDICATE MULTITHREAD, response 1), the
others are judgement after "An active ... was not found" of the devices that exist.
"""

from __future__ import annotations

from collections.abc import Sequence

from zvmcloud.simulator.cp.language import Command, Handler, Issuer

#: Operand, shortest form, classes, answer.
_ABSENT = (
    ("TAPES", 2, "B", "An active TAPE was not found."),
    ("GRAF", 3, "B", "An active GRAF was not found."),
    ("CTCA", 3, "B", "An active CTCA was not found."),
    ("LINES", 4, "B", "An active LINE was not found."),
    ("SWCH", 4, "B", "An active SWCH was not found."),
    ("PCIFUNCTION", 3, "B", "A PCI function was not found."),
    ("HYPERPAV", 6, "B", "A HyperPAV pool was not found."),
    ("PAV", 3, "B", "A PAV device was not found."),
    ("CRYPTO", 3, "ABCE", "Crypto Adjunct Processors are not installed."),
    ("MULTITHREAD", 6, "E", "The Multithreading Facility is not installed."),
    ("MT", 2, "E", "The Multithreading Facility is not installed."),
    ("CPUPOOL", 7, "AEG", "No CPU pools exist."),
    ("XSTORAGE", 4, "BE", "XSTORE= none"),
    ("RESERVED", 3, "ABE", "No users have reserved storage."),
    ("ISLINK", 3, "B", "No ISFC links exist."),
    ("PENDING", 4, "ABCDEFG", "No pending commands exist."),
    ("LOGMSG", 3, "ABCDEFG", "There is no logmsg data."),
    ("IMG", 2, "ABCD", "NO IMG FILES"),
    ("NLS", 3, "ABCDE", "NO NLS FILES"),
    ("TRFILES", 2, "ACDEG", "NO TRF FILES"),
    ("UCR", 2, "ABCD", "NO UCR FILES"),
)


def _absent(answer: str) -> Handler:
    def handler(_issuer: Issuer, _words: Sequence[str], _text: str) -> list[str]:
        return [answer]

    return handler


OPERANDS: tuple[Command, ...] = tuple(
    Command(name, shortest, classes, _absent(answer)) for name, shortest, classes, answer in _ABSENT
)
