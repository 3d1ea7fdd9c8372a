"""Markdown tables, and README sections that a program writes between two markers."""

import re
from collections.abc import Iterable, Mapping, Sequence

from maskclr_edge.errors import DataError

_SECTION = re.compile(r"(<!-- results:([a-z0-9_]+) -->\n)(.*?)(<!-- /results:\2 -->)", re.DOTALL)
_MARKER = re.compile(r"<!-- /?results:")


def markdown_table(headers: Sequence[str], rows: Iterable[Sequence[str]], align: str) -> str:
    """A GitHub table. `align` has one letter a column: l, c or r."""
    rules = {"l": ":---", "c": ":---:", "r": "---:"}
    lines = [headers, [rules[letter] for letter in align], *rows]
    for line in lines:
        if len(line) != len(headers):
            raise DataError(f"a table row has {len(line)} cells and the header {len(headers)}")
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


def sections(text: str) -> list[str]:
    """Names of the generated sections of a document. DataError when a marker has no partner."""
    found = _SECTION.findall(text)
    if len(_MARKER.findall(text)) != 2 * len(found):
        raise DataError(
            "a marker <!-- results:NAME --> lacks its <!-- /results:NAME -->, or the other way round"
        )
    return [name for _, name, _, _ in found]


def fill_sections(text: str, contents: Mapping[str, str]) -> str:
    """The document with every generated section replaced. DataError when one has no content to give."""
    if missing := [name for name in sections(text) if name not in contents]:
        raise DataError(
            f"no results for the sections {', '.join(missing)}; there are {', '.join(sorted(contents))}"
        )
    return _SECTION.sub(lambda match: f"{match[1]}{contents[match[2]].strip()}\n{match[4]}", text)
