"""Pages that stand alone: everything inside, nothing from files taken as markup."""

from html.parser import HTMLParser

from maskclr_edge.page import heading, html_page, html_table, paragraph, picture

EVIL = '<script>alert("x")</script>'


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def test_a_page_holds_its_pictures_and_asks_for_nothing() -> None:
    page = html_page("A title", [heading("One"), paragraph("text"), picture(b"\x89PNG", "a plot")])
    tags = Tags()
    tags.feed(page.decode())
    sources = [attributes["src"] for _, attributes in tags.found if "src" in attributes]
    assert sources == ["data:image/png;base64,iVBORw=="]
    assert not [attributes for _, attributes in tags.found if "href" in attributes]
    policy = next(a["content"] for tag, a in tags.found if tag == "meta" and "http-equiv" in a)
    assert policy is not None and policy.startswith("default-src 'none'")
    assert "A title" in tags.words


def test_names_stay_text() -> None:
    parts = [heading(EVIL), paragraph(EVIL), html_table([EVIL], [[EVIL]])]
    parts.append(picture(b"", EVIL + '" onerror="x'))
    tags = Tags()
    tags.feed(html_page(EVIL, parts).decode())
    assert "script" not in [tag for tag, _ in tags.found]
    assert not [attributes for _, attributes in tags.found if "onerror" in attributes]
    assert EVIL in tags.words


def test_numbers_stand_right_and_none_is_empty() -> None:
    table = html_table(["what", "top-1 %"], [["fp32", 97.384], ["int8", None]])
    assert '<th class="number">top-1 %</th>' in table
    assert '<td class="number">97.38</td>' in table
    assert '<td class="number"></td>' in table
    assert "<td>fp32</td>" in table


def test_texts_of_numbers_stand_right_as_well() -> None:
    rows = [["90.9", "69.4 to 103", "–", "2nd"], ["~1,234", "–", "", "cpu"]]
    table = html_table(["p50", "interval", "p99", "runner"], rows)
    assert '<td class="number">90.9</td><td class="number">69.4 to 103</td><td>–</td><td>2nd</td>' in table
