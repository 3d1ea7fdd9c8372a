"""What pickles of plain data may name and call, carried out by hand: arrays of numbers and plain containers.

Nothing here imports or calls what a file names; a name that is not in ``ADMITTED`` never gets this far.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from types import UnionType
from typing import Any, Literal, cast

import numpy as np
import numpy.typing as npt


class Global(Enum):
    """The importable names that pickles of plain data refer to; none of them is ever imported."""

    RECONSTRUCT = "_reconstruct"
    FROMBUFFER = "_frombuffer"
    SCALAR = "scalar"
    NDARRAY = "ndarray"
    DTYPE = "dtype"
    ENCODE = "encode"
    BYTES = "bytes"
    BYTEARRAY = "bytearray"
    SET = "set"
    FROZENSET = "frozenset"
    LIST = "list"
    ORDERED_DICT = "OrderedDict"


_NUMPY_CORES = ("numpy.core", "numpy._core")  # numpy 1.x and 2.x
ADMITTED: dict[tuple[str, str], Global] = {
    ("numpy", "ndarray"): Global.NDARRAY,
    ("numpy", "dtype"): Global.DTYPE,
    ("_codecs", "encode"): Global.ENCODE,
    ("collections", "OrderedDict"): Global.ORDERED_DICT,
    **{(f"{core}.multiarray", "_reconstruct"): Global.RECONSTRUCT for core in _NUMPY_CORES},
    **{(f"{core}.multiarray", "scalar"): Global.SCALAR for core in _NUMPY_CORES},
    **{(f"{core}.numeric", "_frombuffer"): Global.FROMBUFFER for core in _NUMPY_CORES},
    **{
        (module, symbol.value): symbol
        for module in ("builtins", "__builtin__")
        for symbol in (Global.BYTES, Global.BYTEARRAY, Global.SET, Global.FROZENSET, Global.LIST)
    },
}


class Refused(Exception):
    """What is wrong with the file, in a few words; becomes a DataError that names the file."""


@dataclass(eq=False)
class Dtype:
    """A numpy type in the making: what it is, and its byte order."""

    code: str
    order: str = "="

    def numpy(self) -> np.dtype[Any]:
        """The numpy type that it stands for."""
        order = cast(Literal["<", ">", "=", "|"], self.order)
        dtype: np.dtype[Any] = np.dtype(self.code).newbyteorder(order)
        return dtype


@dataclass(eq=False)
class ArrayInMaking:
    """An array between its REDUCE and its BUILD; the memo may hold it before it has a value."""

    value: npt.NDArray[Any] | None = None


def of_type(value: Any, kind: type[Any] | UnionType) -> Any:
    """The value, if it is of that type. Raises TypeError."""
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} where {kind} was expected")
    return value


def printable(text: object) -> str:
    """A name from the file for an error message: short, without control characters."""
    return re.sub(r"[^\w.]", "?", str(text)[:60]) if isinstance(text, str) else type(text).__name__


def check_keys(items: list[Any]) -> list[Any]:
    """The items, if all may be keys of a dict or members of a set. Raises Refused."""
    # Tuples are refused as keys: the hash of one that nests itself 60 times over would never end.
    for item in items:
        if not isinstance(item, str | int | float | bytes | None):
            raise Refused(f"has a {type(item).__name__} as a key; expected text or numbers")
    return items


def fill_dict(target: dict[Any, Any], items: list[Any]) -> dict[Any, Any]:
    """Put alternating keys and values into a dict."""
    if len(items) % 2:
        raise IndexError(len(items))
    target.update(zip(check_keys(items[::2]), items[1::2], strict=True))
    return target


def _make_dtype(code: object, *_: object) -> Dtype:
    text = code.decode("latin1") if isinstance(code, bytes) else code
    if not isinstance(text, str) or not re.fullmatch(r"[<>|=]?(b1|[iu][1248]|f[248])", text):
        hint = "; object arrays can hold code" if isinstance(text, str) and "O" in text else ""
        raise Refused(f"has a numpy array of type {printable(text)}; expected whole or float numbers{hint}")
    return Dtype(text.lstrip("<>|="), text[0] if text[0] in "<>" else "=")


def set_dtype_state(dtype: Dtype, state: Any) -> None:
    """Take the byte order from a numpy type's pickled state. Raises Refused for structured types."""
    order = of_type(state, tuple)[1]
    order = order.decode("latin1") if isinstance(order, bytes) else order
    if order not in ("<", ">", "|", "=") or any(part is not None for part in state[2:5]):
        raise Refused("has a numpy array of a structured type; expected whole or float numbers")
    dtype.order = order


def make_array(raw: Any, dtype: Any, shape: Any, order: Any) -> npt.NDArray[Any]:
    """An array over the raw bytes, whose size must be that of the shape. Raises Refused."""
    kind = of_type(dtype, Dtype).numpy()
    data = raw.encode("latin1") if isinstance(raw, str) else raw  # Python 2 wrote its bytes as text
    sizes = (shape,) if isinstance(shape, int) else of_type(shape, tuple)
    count = 1
    for size in sizes:
        count *= of_type(size, int)
        if size < 0:
            raise ValueError(size)
    if not isinstance(data, bytes | bytearray) or count * kind.itemsize != len(data) or len(sizes) > 32:
        raise Refused("has a numpy array whose data do not have the size of its shape; write it again")
    array = np.frombuffer(data, dtype=kind).reshape(sizes, order="F" if order == "F" else "C")
    return array if kind.isnative else array.astype(kind.newbyteorder("="))


def _make_scalar(dtype: Any, raw: Any) -> Any:
    return make_array(raw, dtype, (), "C").item()


def _reconstruct(kind: object, *_: object) -> ArrayInMaking:
    if kind is not Global.NDARRAY:
        raise Refused("has a subclass of numpy.ndarray; expected plain arrays")
    return ArrayInMaking()


def _encode(text: Any, encoding: Any = "utf-8") -> bytes:
    # how Python 3 writes bytes in protocols 0 to 2
    if encoding not in ("latin1", "latin-1"):
        raise Refused("has text in an unknown encoding; write it again with pickle.dump")
    return bytes(of_type(text, str).encode("latin1"))


def _make_bytes(data: Any = b"") -> bytes:
    return bytes(of_type(data, bytes))


def _make_bytearray(data: Any = b"", encoding: Any = None) -> bytes:
    return _encode(data, encoding) if isinstance(data, str) else _make_bytes(data)


def _make_ordered(pairs: Any = ()) -> dict[Any, Any]:
    return fill_dict(
        {}, [item for pair in of_type(pairs, list | tuple) for item in of_type(pair, list | tuple)[:2]]
    )


def _not_callable(*_: object) -> Any:
    raise Refused("calls numpy.ndarray itself; write it again with pickle.dump")


CALLS: dict[Global, Callable[..., Any]] = {
    Global.RECONSTRUCT: _reconstruct,
    Global.FROMBUFFER: make_array,
    Global.SCALAR: _make_scalar,
    Global.NDARRAY: _not_callable,
    Global.DTYPE: _make_dtype,
    Global.ENCODE: _encode,
    Global.BYTES: _make_bytes,
    Global.BYTEARRAY: _make_bytearray,
    Global.SET: lambda items=(): set(check_keys(list(of_type(items, list | tuple)))),
    Global.FROZENSET: lambda items=(): frozenset(check_keys(list(of_type(items, list | tuple)))),
    Global.LIST: lambda items=(): list(of_type(items, list | tuple)),
    Global.ORDERED_DICT: _make_ordered,
}
