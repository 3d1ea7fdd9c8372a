"""Typed access to a JSON object that someone else wrote."""

import math
import re
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any, NoReturn

from maskclr_edge.errors import BundleError


class Fields:
    """One JSON object of a manifest; a BundleError names the file, the key and what was expected."""

    def __init__(self, file: Path, value: Any, where: str = "") -> None:
        self._file = file
        self._where = f"{where}." if where else ""
        if not isinstance(value, Mapping):
            raise BundleError(f"{file}: {where or 'it'} is {_show(value)}, an object was expected")
        self._value = value

    def known(self, *keys: str) -> None:
        """Refuse any key but these, naming the nearest."""
        for key in self._value:
            if key not in keys:
                near = get_close_matches(str(key), keys, 1)
                hint = f"did you mean {near[0]}?" if near else f"known: {', '.join(keys)}"
                raise BundleError(f"{self._file}: unknown key {self._where}{key!r:.60}; {hint}")

    def text(self, key: str) -> str:
        """A text that is not empty."""
        value = self._value.get(key)
        if not isinstance(value, str) or not value:
            self.refuse(key, "a text")
        return value

    def word(self, key: str) -> str:
        """A short name without blanks, fit for a message."""
        value = self.text(key)
        if not is_word(value):
            self.refuse(key, "a short name")
        return value

    def choice(self, key: str, choices: Sequence[str]) -> str:
        """One of a few words."""
        value = self.text(key)
        if value not in choices:
            self.refuse(key, f"one of {', '.join(choices)}")
        return value

    def count(self, key: str) -> int:
        """A whole number, 0 or more."""
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            self.refuse(key, "a whole number from 0")
        return value

    def number(self, key: str) -> float:
        """A finite number, 0 or more."""
        value = self._value.get(key)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
            self.refuse(key, "a number from 0")
        return float(value)

    def items(self, key: str) -> Sequence[Any]:
        """A list of anything."""
        value = self._value.get(key)
        if not isinstance(value, list):
            self.refuse(key, "a list")
        return value

    def mapping(self, key: str, *, optional: bool = False) -> Any:
        """An object; None where it is optional and null or absent."""
        value = self._value.get(key)
        if value is None and optional:
            return None
        if not isinstance(value, dict):
            self.refuse(key, "an object")
        return value

    def refuse(self, key: str, expected: str) -> NoReturn:
        """Raise for a key whose value is not what was expected."""
        found = _show(self._value.get(key))
        raise BundleError(f"{self._file}: {self._where}{key} is {found}, expected {expected}")


def is_word(value: Any) -> bool:
    """Whether a value is a name of up to 60 letters, digits and ``.+_-``."""
    return isinstance(value, str) and re.fullmatch(r"[A-Za-z0-9.+_-]{1,60}", value) is not None


def _show(value: Any) -> str:
    text = "missing" if value is None else repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
