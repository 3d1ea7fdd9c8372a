"""Pickles of plain containers and numpy arrays, read without the pickle machinery: no code in them can run.

Python's own unpickler, however restricted, calls what a file names, allocates what a file claims and fills
a memo table as large as a file says. This reader interprets the opcodes of protocols 0 to 5 that plain data
needs; the few callables that numpy's and Python's pickles name are symbols here, carried out by hand. Every
length is checked against what is left of the file. The machine and its table of opcodes are one thing to
read, which is why this module is longer than most.
"""

import os
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

from maskclr_edge.data.plain_values import (
    ADMITTED,
    CALLS,
    ArrayInMaking,
    Dtype,
    Global,
    Refused,
    check_keys,
    fill_dict,
    make_array,
    of_type,
    printable,
    set_dtype_state,
)
from maskclr_edge.errors import DataError

MAX_BYTES = 8 << 30
#: opcodes in one file; NTU RGB+D 120 needs about 8 million
MAX_STEPS = 40_000_000
_MAX_INT_BYTES = 16
_MAX_LINE = 4096


def read_plain_pickle(path: str | os.PathLike[str], *, max_bytes: int = MAX_BYTES) -> Any:
    """Read a pickle of plain containers, text, bytes, numbers and numpy arrays of numbers.

    numpy scalars become Python numbers, arrays have the machine's byte order and may be read-only. Raises
    DataError, naming the file and what in it was refused, for anything else: other globals, object arrays,
    truncated or oversized files.
    """
    path = Path(path)
    try:
        if path.exists() and not path.is_file():
            raise Refused("is not a regular file; expected an annotation pickle")
        with path.open("rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size > max_bytes:
                raise Refused(f"is {size} bytes long, the limit is {max_bytes}; split it into smaller files")
            return _Machine(file, size).run()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}); check the path") from error
    except Refused as error:
        raise DataError(f"{path}: {error}") from error
    except (
        ValueError,
        TypeError,
        IndexError,
        KeyError,
        AttributeError,
        OverflowError,
        struct.error,
    ) as error:
        raise DataError(
            f"{path}: is not a pickle, or a damaged one; write it again with pickle.dump"
        ) from error


class _Machine:
    """The pickle virtual machine, reduced to plain data. ``run`` is called once."""

    def __init__(self, file: BinaryIO, size: int) -> None:
        self._file = file
        self._left = size
        self._stack: list[Any] = []
        self._marks: list[list[Any]] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> Any:
        """Interpret opcodes up to STOP and give back the one object that is left."""
        handlers = _HANDLERS
        for _ in range(MAX_STEPS):
            opcode = self.take(1)
            if opcode == b".":
                return self.pop()
            handler = handlers.get(opcode)
            if handler is None:
                raise Refused(
                    f"is not a pickle of plain data (opcode {opcode!r}); "
                    "expected dicts, lists, numbers and arrays"
                )
            handler(self)
        raise Refused(f"has more than {MAX_STEPS} pickle opcodes; split it into smaller files")

    # -- reading ------------------------------------------------------------------------------------
    def take(self, count: int) -> bytes:
        if count > self._left:
            raise Refused("is truncated, or not a pickle; copy or write it again")
        self._left -= count
        data = self._file.read(count)
        if len(data) != count:
            raise Refused("became shorter while it was read; copy or write it again")
        return data

    def number(self, form: str) -> int:
        value: int = struct.unpack(form, self.take(struct.calcsize(form)))[0]
        return value

    def line(self, limit: int = _MAX_LINE) -> bytes:
        data = self._file.readline(min(limit, self._left))
        self._left -= len(data)
        if not data.endswith(b"\n"):
            raise Refused("is truncated, or not a pickle; copy or write it again")
        return data[:-1]

    # -- the stack ----------------------------------------------------------------------------------
    def push(self, value: Any) -> None:
        self._stack.append(value)

    def pop(self) -> Any:
        return self._stack.pop()

    def mark(self) -> None:
        self._marks.append(self._stack)
        self._stack = []

    def pop_mark(self) -> list[Any]:
        items = self._stack
        self._stack = self._marks.pop()
        return items

    def discard(self) -> None:
        if self._stack:
            self._stack.pop()
        else:
            self.pop_mark()

    def remember(self, index: int) -> None:
        self._memo[index] = self._stack[-1]

    def memoize(self) -> None:
        self.remember(len(self._memo))

    def recall(self, index: int) -> None:
        value = self._memo[index]
        self.push(value.value if isinstance(value, ArrayInMaking) and value.value is not None else value)

    # -- containers ---------------------------------------------------------------------------------
    def append(self, items: list[Any]) -> None:
        of_type(self._stack[-1], list).extend(items)

    def set_items(self, items: list[Any]) -> None:
        fill_dict(of_type(self._stack[-1], dict), items)

    def add_items(self) -> None:
        items = self.pop_mark()
        of_type(self._stack[-1], set).update(check_keys(items))

    def make_tuple(self, count: int) -> None:
        if len(self._stack) < count:
            raise IndexError(count)
        self._stack[-count:] = [tuple(self._stack[-count:])]

    # -- globals and calls --------------------------------------------------------------------------
    def find(self, module: object, name: object) -> None:
        symbol = ADMITTED.get((module, name)) if isinstance(module, str) and isinstance(name, str) else None
        if symbol is None:
            raise Refused(
                f"refers to {printable(module)}.{printable(name)}, which plain data "
                "does not need and may be harmful; nothing was run. "
                "Expected only dicts, lists, numbers and numpy arrays"
            )
        self.push(symbol)

    def reduce(self) -> None:
        arguments = of_type(self.pop(), tuple)
        symbol = self.pop()
        if not isinstance(symbol, Global):
            raise Refused("calls something that is not a function; nothing was run")
        self.push(CALLS[symbol](*arguments))

    def build(self) -> None:
        state = self.pop()
        target = self._stack[-1]
        if isinstance(target, Dtype):
            set_dtype_state(target, state)
        elif isinstance(target, ArrayInMaking) and target.value is None:
            _, shape, dtype, fortran, raw = of_type(state, tuple)
            target.value = make_array(raw, dtype, shape, "F" if fortran else "C")
            self._stack[-1] = target.value
        else:
            raise Refused(f"sets the state of a {type(target).__name__}; expected that of arrays only")


def _text_int(machine: _Machine) -> None:
    text = machine.line()
    special = {b"00": False, b"01": True}  # how protocol 0 writes truth values
    machine.push(special[text] if text in special else _parse_int(text))


def _parse_int(text: bytes) -> int:
    if len(text) > 40:
        raise ValueError(text)
    return int(text.rstrip(b"L"))


def _long(machine: _Machine, size: int) -> None:
    if not 0 <= size <= _MAX_INT_BYTES:
        raise Refused(f"has a whole number of {size} bytes; expected at most {_MAX_INT_BYTES}")
    machine.push(int.from_bytes(machine.take(size), "little", signed=True))


_ESCAPE = re.compile(rb"\\(x[0-9a-fA-F]{2}|[nrt\\'\"])")
_ESCAPED = {b"n": b"\n", b"r": b"\r", b"t": b"\t"}


def _unescape(match: "re.Match[bytes]") -> bytes:
    code = match[1]
    return bytes([int(code[1:], 16)]) if code[:1] == b"x" else _ESCAPED.get(code, code)


def _quoted(machine: _Machine) -> None:
    text = machine.line(machine._left)
    if len(text) < 2 or text[:1] != text[-1:] or text[:1] not in (b"'", b'"'):
        raise ValueError("string without quotes")
    machine.push(_ESCAPE.sub(_unescape, text[1:-1]).decode("latin1"))


def _bytes(form: str) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.take(machine.number(form)))


def _text(form: str, encoding: str = "utf-8", errors: str = "surrogatepass") -> Callable[[_Machine], None]:
    return lambda machine: machine.push(machine.take(machine.number(form)).decode(encoding, errors))


def _constant(make: Callable[[], Any]) -> Callable[[_Machine], None]:
    return lambda machine: machine.push(make())


_HANDLERS: dict[bytes, Callable[[_Machine], None]] = {
    b"\x80": lambda m: _check_protocol(m.number("<B")),
    b"\x95": lambda m: _check_frame(m, m.number("<Q")),
    b"(": _Machine.mark,
    b"0": _Machine.discard,
    b"1": lambda m: m.pop_mark().clear(),
    b"2": lambda m: m.push(m._stack[-1]),
    b"N": _constant(lambda: None),
    b"\x88": _constant(lambda: True),
    b"\x89": _constant(lambda: False),
    b"I": _text_int,
    b"L": lambda m: m.push(_parse_int(m.line())),
    b"J": lambda m: m.push(m.number("<i")),
    b"K": lambda m: m.push(m.number("<B")),
    b"M": lambda m: m.push(m.number("<H")),
    b"\x8a": lambda m: _long(m, m.number("<B")),
    b"\x8b": lambda m: _long(m, m.number("<i")),
    b"F": lambda m: m.push(float(m.line())),
    b"G": lambda m: m.push(struct.unpack(">d", m.take(8))[0]),
    b"S": _quoted,
    b"T": _text("<I", "latin1"),
    b"U": _text("<B", "latin1"),
    b"V": lambda m: m.push(m.line(m._left).decode("raw-unicode-escape")),
    b"X": _text("<I"),
    b"\x8c": _text("<B"),
    b"\x8d": _text("<Q"),
    b"B": _bytes("<I"),
    b"C": _bytes("<B"),
    b"\x8e": _bytes("<Q"),
    b"\x96": _bytes("<Q"),
    b"]": _constant(list),
    b"l": lambda m: m.push(m.pop_mark()),
    b"a": lambda m: m.append([m.pop()]),
    b"e": lambda m: m.append(m.pop_mark()),
    b")": _constant(tuple),
    b"t": lambda m: m.push(tuple(m.pop_mark())),
    b"\x85": lambda m: m.make_tuple(1),
    b"\x86": lambda m: m.make_tuple(2),
    b"\x87": lambda m: m.make_tuple(3),
    b"}": _constant(dict),
    b"d": lambda m: m.push(fill_dict({}, m.pop_mark())),
    b"s": lambda m: m.set_items([m.pop(), m.pop()][::-1]),
    b"u": lambda m: m.set_items(m.pop_mark()),
    b"\x8f": _constant(set),
    b"\x90": _Machine.add_items,
    b"\x91": lambda m: m.push(frozenset(check_keys(m.pop_mark()))),
    b"g": lambda m: m.recall(_parse_int(m.line())),
    b"h": lambda m: m.recall(m.number("<B")),
    b"j": lambda m: m.recall(m.number("<I")),
    b"p": lambda m: m.remember(_parse_int(m.line())),
    b"q": lambda m: m.remember(m.number("<B")),
    b"r": lambda m: m.remember(m.number("<I")),
    b"\x94": _Machine.memoize,
    b"c": lambda m: m.find(m.line().decode(), m.line().decode()),
    b"\x93": lambda m: m.find(*[m.pop(), m.pop()][::-1]),
    b"R": _Machine.reduce,
    b"b": _Machine.build,
}


def _check_protocol(protocol: int) -> None:
    if protocol > 5:
        raise Refused(f"is a pickle of protocol {protocol}; expected 0 to 5, write it again with protocol=4")


def _check_frame(machine: _Machine, length: int) -> None:
    if length > machine._left:
        raise Refused("is truncated, or not a pickle; copy or write it again")
