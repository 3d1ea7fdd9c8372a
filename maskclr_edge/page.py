"""One self-contained HTML page: text, tables and pictures, readable without the network.

Every piece is escaped here, so that names from files cannot become markup; the page forbids scripts and
outside content.
"""

import base64
import html
import re
from collections.abc import Iterable, Sequence

#: text that is a number, a share or an interval
_NUMERIC = re.compile(r"[-+~]?\d[\d.,]*( ?%| to \d[\d.,]*)?\Z")
#: cells that say that there is none
_NONE = (None, "", "–")

_STYLE = """
:root { color-scheme: light dark; --line: #8884; --soft: #8881; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 68rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.6rem; margin-bottom: .2rem; } h2 { font-size: 1.2rem; margin-top: 2.2rem; }
p.note { opacity: .75; font-size: .9rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .35rem .7rem; border-bottom: 1px solid var(--line); text-align: left; white-space: nowrap; }
th { border-bottom-width: 2px; } tr:hover td { background: var(--soft); }
td.number, th.number { text-align: right; }
figure { margin: 1rem 0; } img { max-width: 100%; background: white; border-radius: 6px; }
""".strip()


def html_page(title: str, parts: Iterable[str]) -> bytes:
    """The whole page as UTF-8 of parts that the functions below give."""
    policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'"
    head = (
        f'<meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="{policy}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style>"
    )
    body = "\n".join([f"<h1>{html.escape(title)}</h1>", *parts])
    return f'<!doctype html>\n<html lang="en"><head>{head}</head>\n<body>\n{body}\n</body></html>\n'.encode()


def heading(text: str) -> str:
    """A section's heading."""
    return f"<h2>{html.escape(text)}</h2>"


def paragraph(text: str, *, note: bool = False) -> str:
    """Running text; a note is set smaller."""
    kind = ' class="note"' if note else ""
    return f"<p{kind}>{html.escape(text)}</p>"


def html_table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A table; numbers have two decimals; they and texts of numbers stand right; None is an empty cell."""
    kept = [list(row) for row in rows]
    filled = [[row[place] for row in kept if row[place] not in _NONE] for place in range(len(columns))]
    numeric = [bool(values) and all(map(_number, values)) for values in filled]
    head = "".join(_cell("th", name, right) for name, right in zip(columns, numeric, strict=True))
    lines = [
        "<tr>"
        + "".join(_cell("td", value, right) for value, right in zip(row, numeric, strict=True))
        + "</tr>"
        for row in kept
    ]
    body = "".join(lines)
    return f'<div class="wide"><table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def picture(png: bytes, says: str) -> str:
    """A PNG inside the page; ``says`` is what it shows, for those who cannot see it."""
    data = base64.b64encode(png).decode()
    return f'<figure><img alt="{html.escape(says)}" src="data:image/png;base64,{data}"></figure>'


def chart(svg: str, says: str) -> str:
    """A drawing that the caller made as SVG, its texts escaped; ``says`` is what it shows."""
    return f'<figure aria-label="{html.escape(says)}"><div class="wide">{svg}</div></figure>'


def _number(value: object) -> bool:
    if isinstance(value, str):
        return bool(_NUMERIC.match(value))
    return isinstance(value, int | float) and not isinstance(value, bool)


def _cell(tag: str, value: object, right: bool) -> str:
    text = "" if value is None else f"{value:.2f}" if isinstance(value, float) else str(value)
    kind = ' class="number"' if right else ""
    return f"<{tag}{kind}>{html.escape(text)}</{tag}>"
