"""As much of an s390 as an IPL from an ECKD disk needs: storage, a channel subsystem with one disk, and the
instructions that a small loader is made of. Written from the Principles of Operation, and not from the loader that it
runs: what it does not know stops it.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from zvmcloud.images.diskfile import EckdDisk
from zvmcloud.images.tracks import Record, located

SUBCHANNEL = 0x00010004
_READ_IPL, _READ, _SEEK, _SEARCH_ID, _TRANSFER = 0x02, 0x06, 0x07, 0x31, 0x08
_CHAIN, _SHORT, _SKIP = 0x40, 0x20, 0x10
_CHANNEL_END, _DEVICE_END, _UNIT_CHECK = 0x08, 0x04, 0x02


class Stopped(Exception):
    """The processor loaded a disabled wait, or met something that this machine does not know."""


@dataclass
class Machine:
    """One processor in 31-bit mode. `unit_checks`: so many channel programs end with one before the others work."""

    disk: EckdDisk
    size: int = 64 << 20
    unit_checks: int = 0
    started: int = 0
    memory: bytearray = field(default_factory=bytearray)
    registers: list[int] = field(default_factory=lambda: [0] * 16)
    condition: int = 0
    enabled: bool = False

    def __post_init__(self) -> None:
        self.memory = bytearray(self.size)
        self._pending: list[tuple[int, int]] = []
        self._place = (0, 0)
        self._ahead: list[Record] = []

    # -- IPL ------------------------------------------------------------------------------------------------------

    def ipl(self, most: int = 2_000_000) -> int:
        """Load and run; the address of the PSW that enters what was loaded. Stopped."""
        self._place, self._ahead = (0, 0), list(self.disk.read_track(0, 0).records)
        self.memory[:24] = self._ahead.pop(0).data[:24]
        self._program(8, form=0)
        self.memory[0xB8:0xBC] = struct.pack(">I", SUBCHANNEL)
        address = self._psw(0)
        for _ in range(most):
            if self.memory[address : address + 1] == b"\x82":
                found = self._psw(self._operand(address + 2))
                if found == 0x10000:
                    return found
                address = found
                continue
            address = self._step(address)
        raise Stopped(f"still at {address:X} after {most} instructions")

    def _psw(self, at: int) -> int:
        if at % 8:
            raise Stopped(f"a PSW at {at:X}")
        mask, address = struct.unpack_from(">II", self.memory, at)
        if mask & 0x00020000:
            raise Stopped(f"disabled wait {address & 0x7FFFFFFF:X}")
        if mask != 0x00080000 or not address & 0x80000000:
            raise Stopped(f"PSW {mask:08X} {address:08X}")
        return int(address & 0x7FFFFFFF)

    # -- the channel ----------------------------------------------------------------------------------------------

    def _program(self, at: int, *, form: int) -> None:
        """Run a chain of CCWs. What ends it wrongly is a Stopped: a real one would be a program check."""
        for _ in range(100_000):
            if at % 8:
                raise Stopped(f"a CCW at {at:X}")
            if form == 0:
                word, flags, count = struct.unpack_from(">IBxH", self.memory, at)
                command, address = word >> 24, word & 0xFFFFFF
            else:
                command, flags, count, address = struct.unpack_from(">BBHI", self.memory, at)
            if command == _TRANSFER:
                at = address
                continue
            following = at + 8
            if command == _SEEK:
                bin_, cc, hh = struct.unpack_from(">HHH", self.memory, address)
                self._place = located(cc, hh)
                self._ahead = list(self.disk.read_track(*self._place).records)
                if bin_ or count != 6:
                    raise Stopped("a seek to nowhere")
            elif command == _SEARCH_ID:
                cc, hh, number = struct.unpack_from(">HHB", self.memory, address)
                if (*located(cc, hh), count) != (*self._place, 5):
                    raise Stopped("a search on another track")
                if not self._ahead:  # the track goes round
                    self._ahead = list(self.disk.read_track(*self._place).records)
                if self._ahead[0].number == number:
                    following += 8  # status modifier: past the transfer in channel
                else:
                    del self._ahead[0]
            elif command == _READ:
                data = self._ahead.pop(0).data
                if len(data) != count and not flags & _SHORT:
                    raise Stopped(f"a record of {len(data)} bytes, {count} were asked for")
                if not flags & _SKIP:
                    self.memory[address : address + min(len(data), count)] = data[:count]
            else:
                raise Stopped(f"channel command {command:02X}")
            if not flags & _CHAIN:
                return
            at = following
        raise Stopped("a channel program without an end")

    def _start(self, orb: int) -> int:
        _, flags, program = struct.unpack_from(">III", self.memory, orb)
        if self.registers[1] != SUBCHANNEL or not self.enabled:
            return 3
        if self._pending:
            return 1
        if orb % 4 or flags != 0x0080FF00:
            raise Stopped(f"ORB {flags:08X}")
        self.started += 1
        if self.started <= self.unit_checks:
            self._pending = [(_CHANNEL_END | _DEVICE_END | _UNIT_CHECK, 0)]
            return 0
        self._program(program, form=1)
        self._pending = [(_CHANNEL_END, 0), (_DEVICE_END, 0)]  # one after the other, as slow devices do
        return 0

    def _test(self, irb: int) -> int:
        self.memory[irb : irb + 96] = bytes(96)
        if not self._pending:
            return 1
        self.memory[irb + 8 : irb + 10] = bytes(self._pending.pop(0))
        return 0

    # -- the processor --------------------------------------------------------------------------------------------

    def _operand(self, at: int, index: int = 0) -> int:
        word: int = struct.unpack_from(">H", self.memory, at)[0]
        base = word >> 12
        return (word & 0xFFF) + (self.registers[base] if base else 0) + (self.registers[index] if index else 0)

    def _step(self, at: int) -> int:
        """One instruction; the address of the next one."""
        code, second = self.memory[at], self.memory[at + 1]
        first, other = second >> 4, second & 15
        registers = self.registers
        if code in (0x12, 0x1B):  # LTR, SR
            value = registers[other] if code == 0x12 else registers[first] - registers[other]
            self._set(first, value)
            return at + 2
        if code == 0xA7:
            (immediate,) = struct.unpack_from(">h", self.memory, at + 2)
            return self._immediate(at, first, other, immediate)
        if code in (0x41, 0x43, 0x50, 0x58):  # LA, IC, ST, L
            address = self._operand(at + 2, other)
            if code == 0x41:
                registers[first] = address
            elif code == 0x43:
                registers[first] = registers[first] & 0xFFFFFF00 | self.memory[address]
            elif code == 0x50:
                struct.pack_into(">I", self.memory, address, registers[first])
            else:
                (registers[first],) = struct.unpack_from(">I", self.memory, address)
            return at + 4
        if code in (0x91, 0x92, 0x95, 0x96):  # TM, MVI, CLI, OI
            address = self._operand(at + 2)
            byte = self.memory[address]
            if code == 0x91:
                self.condition = 0 if not byte & second else 3 if byte & second == second else 1
            elif code == 0x92:
                self.memory[address] = second
            elif code == 0x95:
                self.condition = (byte > second) * 2 + (byte < second)
            else:
                self.memory[address] = byte | second
            return at + 4
        if code == 0xD2:  # MVC
            to, source = self._operand(at + 2), self._operand(at + 4)
            self.memory[to : to + second + 1] = self.memory[source : source + second + 1]
            return at + 6
        if code == 0xB2:
            self._subchannel(second, self._operand(at + 2))
            return at + 4
        raise Stopped(f"instruction {code:02X}{second:02X} at {at:X}")

    def _immediate(self, at: int, first: int, operation: int, immediate: int) -> int:
        if operation == 4:  # BRC
            return at + 2 * immediate if first & (8 >> self.condition) else at + 4
        if operation == 6:  # BRCT
            self.registers[first] = (self.registers[first] - 1) & 0xFFFFFFFF
            return at + 2 * immediate if self.registers[first] else at + 4
        if operation == 8:  # LHI
            self.registers[first] = immediate & 0xFFFFFFFF
        elif operation == 10:  # AHI
            self._set(first, self.registers[first] + immediate)
        else:
            raise Stopped(f"instruction A7{first:X}{operation:X} at {at:X}")
        return at + 4

    def _set(self, register: int, value: int) -> None:
        value &= 0xFFFFFFFF
        self.registers[register] = value
        self.condition = 0 if not value else 1 if value & 0x80000000 else 2

    def _subchannel(self, operation: int, address: int) -> None:
        if operation == 0x34:  # STSCH
            self.memory[address : address + 52] = bytes(52)
            self.condition = 0
        elif operation == 0x32:  # MSCH
            self.enabled = bool(self.memory[address + 5] & 0x80)
            self.condition = 0
        elif operation == 0x33:  # SSCH
            self.condition = self._start(address)
        elif operation == 0x35:  # TSCH
            self.condition = self._test(address)
        else:
            raise Stopped(f"instruction B2{operation:02X}")
