"""Checks that every page must pass: tags close, ids are unique, nothing is loaded."""

import re
from html.parser import HTMLParser

VOID = {"meta", "link", "img", "br", "hr", "input"}


class Checker(HTMLParser):
    """Tags that close in order, ids that stand once, and whatever would be loaded."""

    def __init__(self, page):
        super().__init__()
        self.open, self.ids, self.loads, self.tags = [], [], [], []
        self.feed(page)
        assert self.open == []
        assert len(self.ids) == len(set(self.ids))

    def handle_starttag(self, tag, attrs):
        self.handle_startendtag(tag, attrs)
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)
        for key, value in attrs:
            if key == "id":
                self.ids.append(value)
            if key in ("src", "href", "xlink:href", "data", "action", "poster", "srcset"):
                self.loads.append(value)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def check(page):
    checker = Checker(page)
    assert all(load.startswith(("#", "data:")) for load in checker.loads)
    text = re.sub(r'"data:[^"]*"', "", page)
    assert not re.search(r"https?:|//[a-z]", text, re.IGNORECASE)
    assert "@import" not in page
    for used in re.findall(r'(?:url\(#|href="#)([^")]+)', page):
        assert used in checker.ids
    assert not re.search(r"\bnan\b", text, re.IGNORECASE)
    return checker
