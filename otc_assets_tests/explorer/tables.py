"""A page read as a browser's reader does: its tables by their id, and what could be dangerous."""

from html.parser import HTMLParser


class Page(HTMLParser):
    """The tables, links and tags of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tables: dict[str, list[list[str]]] = {}
        """Of each table with an id, the texts of its cells, the head first."""
        self.marked: dict[str, list[dict[str, str]]] = {}
        """Of each row of its body, what its data- attributes say."""
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._table = ""
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        self.tags.append((tag, given))
        if tag == "table":
            self._table = given.get("id") or ""
            self.tables[self._table], self.marked[self._table] = [], []
        elif tag == "tr" and self._table:
            self.tables[self._table].append([])
            marks = {n[5:]: v or "" for n, v in attrs if n.startswith("data-")}
            self.marked[self._table].append(marks)
        elif tag in ("td", "th") and self._table:
            self.tables[self._table][-1].append("")
            self._in_cell = True

    def handle_endtag(self, tag: str) -> None:
        if tag == "table":
            self._table = ""
        elif tag in ("td", "th"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._table and self._in_cell:
            self.tables[self._table][-1][-1] += data

    def rows(self, table: str) -> list[dict[str, str]]:
        """Return the rows of a table by the texts of its head; of two alike the second counts."""
        head, *body = self.tables[table]
        return [dict(zip(head, (cell.strip() for cell in row), strict=True)) for row in body]

    @property
    def links(self) -> list[str]:
        """Where its links lead."""
        return [given.get("href") or "" for tag, given in self.tags if tag == "a"]


def number(text: str) -> float | None:
    """Return what a cell says, None for a dash."""
    plain = text.replace(",", "").replace("−", "-").rstrip("*")  # noqa: RUF001
    return None if plain == "–" else float(plain)  # noqa: RUF001
