"""What a pickle would build, found by walking its opcodes: nothing is built, no code runs, no array is read.

The walk keeps the pickle machine's stack, but with sizes in place of objects. So the answer is exact where it matters:
the names of all classes and functions that the file asks for, and how many bytes it would take.
"""

import pickletools
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from gonogo.errors import SubjectError

DEEPEST = 200  # containers within containers: hashing and printing them recurses in C
_OBJECT = 64  # bytes of an object besides its content
_TEXT = 256  # characters: no name of a class is longer
_HEAVIEST = 2**62  # entries; a pickle bomb has more than can be counted
_LENGTHS = {
    pickletools.TAKEN_FROM_ARGUMENT1: "<B",
    pickletools.TAKEN_FROM_ARGUMENT4: "<i",
    pickletools.TAKEN_FROM_ARGUMENT4U: "<I",
    pickletools.TAKEN_FROM_ARGUMENT8U: "<Q",
}
_ELSEWHERE = {"PERSID", "BINPERSID", "EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}
# Which items are hashed: every n-th.
_KEYS = {"SETITEM": 2, "SETITEMS": 2, "DICT": 2, "ADDITEMS": 1, "FROZENSET": 1}
_IN_PLACE = {"APPEND", "APPENDS", "SETITEM", "SETITEMS", "ADDITEMS", "BUILD"}


@dataclass(frozen=True, slots=True)
class Contents:
    """What a pickle would build.

    Attributes:
        memory: Bytes when it is loaded, arrays without a copy.
        names: Classes and functions that it asks for, as 'module.name', in order.
    """

    memory: int
    names: tuple[str, ...]


@dataclass(slots=True)
class _Item:
    """An object on the stack: entries with all that it holds, levels below it, and its text if it is a short one."""

    entries: int = 1
    depth: int = 0
    text: str | None = None


_MARK = _Item()


@dataclass(slots=True)
class _Machine:
    file: BinaryIO
    size: int
    stack: list[_Item] = field(default_factory=list)
    memo: dict[int, _Item] = field(default_factory=dict)
    names: dict[str, None] = field(default_factory=dict)
    memory: int = 0
    hashed: int = 0

    def argument(self, opcode: pickletools.OpcodeInfo) -> str | int | None:
        """A short text or a place in the memo; the content of anything longer is skipped."""
        kind = opcode.arg
        if kind is None:
            return None
        if kind.n == pickletools.UP_TO_NEWLINE:
            return self._lines(2 if kind.name.endswith("pair") else 1, opcode.name)
        if kind.n > 0:
            raw = self._read(kind.n, opcode.name)
            return int.from_bytes(raw, "little") if kind.name.startswith("uint") else None
        form = _LENGTHS[kind.n]
        (length,) = struct.unpack(form, self._read(struct.calcsize(form), opcode.name))
        self._fits(length, opcode.name)
        # Bytes in old protocols are a text that is encoded on loading; both stay until the end.
        self.memory += length * (2 if "unicode" in kind.name else 1)
        if length <= _TEXT:
            return self.file.read(length).decode("utf-8", "replace")
        self.file.seek(length, 1)
        return None

    def do(self, opcode: pickletools.OpcodeInfo, argument: str | int | None) -> None:
        """What the opcode does to the stack."""
        name = opcode.name
        if name in _ELSEWHERE:
            raise SubjectError(f"its content is partly elsewhere ({name}), so it cannot be read safely")
        if name == "MARK":
            self.stack.append(_MARK)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"):
            self._remember(len(self.memo) if name == "MEMOIZE" else int(argument or 0))
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memo[int(argument or 0)])
        elif name == "DUP":
            self.stack.append(self.stack[-1])
        elif name in ("POP", "POP_MARK"):
            self._popped(1) if name == "POP" else self._to_mark()
        else:
            self._build(opcode, argument if isinstance(argument, str) else None)

    def _remember(self, place: int) -> None:
        # Places are given out one after the other; reading makes room up to the highest.
        if place > len(self.memo) + 1000:
            raise SubjectError(
                f"it remembers something in place {place} after {len(self.memo)}: damaged, or made to harm"
            )
        self.memo[place] = self.stack[-1]

    def _build(self, opcode: pickletools.OpcodeInfo, text: str | None) -> None:
        """Everything else: take some items, put one that holds them."""
        before = opcode.stack_before
        marked = before.index(pickletools.markobject) if pickletools.markobject in before else None
        items = self._popped(len(before)) if marked is None else self._to_mark()
        items = items if marked is None else self._popped(marked) + items
        if any(item is _MARK for item in items):
            raise SubjectError(f"{opcode.name} takes a mark for an object: the file is damaged")
        if "GLOBAL" in opcode.name or opcode.name == "INST":
            self._named(opcode.name, items, text)
        if not opcode.stack_after:
            return
        target = items.pop(0) if opcode.name in _IN_PLACE else _Item(text=text if not items else None)
        step = _KEYS.get(opcode.name)
        self.hashed += sum(item.entries for item in items[::step]) if step else 0
        if items:
            target.entries = min(target.entries + sum(item.entries for item in items), _HEAVIEST)
            target.depth = max(target.depth, 1 + max(item.depth for item in items))
        self._bounded(target)
        self.memory += _OBJECT
        self.stack.append(target)

    def _bounded(self, item: _Item) -> None:
        if item.depth > DEEPEST:
            raise SubjectError(f"it holds containers more than {DEEPEST} deep, which no data set needs")
        if self.hashed > 10**6 + 64 * self.size:
            raise SubjectError("its keys hold each other so often that reading would not end (a pickle bomb)")

    def _named(self, opcode: str, items: list[_Item], text: str | None) -> None:
        parts = [item.text for item in items] if opcode == "STACK_GLOBAL" else (text or "").split(" ", 1)
        if len(parts) != 2 or None in parts:
            raise SubjectError("it hides the name of a class or function that it asks for")
        self.names[".".join(part or "" for part in parts)] = None

    def _popped(self, count: int) -> list[_Item]:
        if count > len(self.stack):
            raise SubjectError("its opcodes take more than they put: the file is damaged")
        return [self.stack.pop() for _ in range(count)][::-1]

    def _to_mark(self) -> list[_Item]:
        items: list[_Item] = []
        while (item := self._popped(1)[0]) is not _MARK:
            items.append(item)
        return items[::-1]

    def _read(self, count: int, where: str) -> bytes:
        self._fits(count, where)
        return self.file.read(count)

    def _fits(self, count: int, where: str) -> None:
        left = self.size - self.file.tell()
        if not 0 <= count <= left:
            found = f"at byte {self.file.tell()} {where} declares {count} bytes and {left} are left"
            raise SubjectError(f"{found}: the file is truncated or damaged; copy or download it again")

    def _lines(self, count: int, where: str) -> str:
        """So many lines, joined by a space; only the start of long ones."""
        lines = []
        for _ in range(count):
            start = line = self.file.readline(2**16)
            while line and not line.endswith(b"\n"):
                self.memory += len(line)
                line = self.file.readline(2**16)
            if not line:
                self._fits(1, where)
            lines.append(start[: _TEXT + 1].decode("utf-8", "replace").rstrip("\n"))
        return " ".join(lines)


def scan(file: BinaryIO, size: int) -> Contents:
    """What the pickle in an open file of `size` bytes would build.

    Raises:
        SubjectError: It is truncated, damaged, no pickle, or made to harm; without the file's name.
    """
    machine = _Machine(file, size)
    table = {opcode.code.encode("latin1"): opcode for opcode in pickletools.opcodes}
    while True:
        code = file.read(1)
        opcode = table.get(code)
        if opcode is None:
            raise SubjectError(_no_opcode(code, file.tell()))
        if opcode.name == "STOP":
            return Contents(machine.memory, tuple(machine.names))
        argument = _numbered(opcode.name, machine.argument(opcode))
        try:
            machine.do(opcode, argument)
        except (LookupError, ValueError):
            raise SubjectError(
                f"{opcode.name} before byte {file.tell()} refers to nothing: the file is damaged"
            ) from None


def _no_opcode(code: bytes, at: int) -> str:
    if not code:
        return f"it ends at byte {at} without a STOP: the file is truncated; copy or download it again"
    return f"byte {at - 1} ({code!r}) is no opcode of a pickle: the file is damaged, or of another kind"


def _numbered(name: str, argument: str | int | None) -> str | int | None:
    """PUT and GET of protocol 0 write their place as text."""
    if name not in ("PUT", "GET"):
        return argument
    text = str(argument)
    if not text.isdecimal() or len(text) > 18:
        raise SubjectError(f"{name} has no number: the file is damaged")
    return int(text)
