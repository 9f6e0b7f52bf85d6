"""HTML as a browser may read it."""

from html.parser import HTMLParser

VOID = {"img", "br", "meta", "link"}


class Parsed(HTMLParser):
    """Tags that match, the texts of cells, all attributes; an assertion fails where an end tag has no start."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags, self.cells, self.attributes, self.text = [], [], [], [], ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.tags.append(tag)
        self.attributes += attributes
        if tag not in VOID:
            self.open.append(tag)
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.text += data
        if self.open and self.open[-1] in ("td", "th"):
            self.cells[-1] += data
