"""Articles of a MediaWiki XML dump as plain text.

Enough of the markup is understood to leave running prose: this is calibration text, not an encyclopedia.
"""

import html
import re
from collections.abc import Iterator
from typing import IO
from xml.etree import ElementTree

# What is left of a page that is a list or a stub says little about language.
MIN_CHARACTERS = 500

COMMENT = re.compile(r"<!--.*?-->", re.S)
BLOCK = re.compile(r"<(ref|math|gallery|timeline|code|source|pre|nowiki|score)\b[^>/]*>.*?</\1\s*>", re.S | re.I)
TAG = re.compile(r"<[^<>]{1,300}>")
TEMPLATE = re.compile(r"\{\{[^{}]*\}\}")
TABLE = re.compile(r"\{\|.*?\|\}", re.S)
FILE_LINK = re.compile(
    r"\[\[(?:file|image|category|[a-z]{2,3}(?:-[a-z]+)?):[^\[\]]*(?:\[\[[^\[\]]*\]\][^\[\]]*)*\]\]", re.I
)
LINK = re.compile(r"\[\[(?:[^\[\]|]*\|)?([^\[\]|]*)\]\]")
WEB_LINK = re.compile(r"\[\w+://\S+ ?([^\]]*)\]")
QUOTES = re.compile(r"'{2,5}")
HEADING = re.compile(r"^=+.*=+\s*$", re.M)
LIST_LINE = re.compile(r"^[*#:;|!{}].*$", re.M)
BLANK_LINES = re.compile(r"\n{3,}")


def articles(file: IO[bytes]) -> Iterator[str]:
    """Plain text of every article in the dump. Pages are read one at a time; a dump cut short ends quietly."""
    try:
        for _, element in ElementTree.iterparse(file):
            if element.tag.rpartition("}")[2] != "page":
                continue
            markup = _child_text(element, "text")
            if _child_text(element, "ns") in ("0", "") and not markup[:9].lower().startswith("#redirect"):
                text = plain_text(markup)
                if len(text) >= MIN_CHARACTERS:
                    yield text
            element.clear()
    except ElementTree.ParseError:
        return  # extracts of a dump often stop in the middle of a page


def _child_text(page: ElementTree.Element, name: str) -> str:
    for element in page.iter():
        if element.tag.rpartition("}")[2] == name:
            return element.text or ""
    return ""


def plain_text(markup: str) -> str:
    """Running prose of one page: no templates, tables, references, lists or headings."""
    text = COMMENT.sub("", html.unescape(markup))
    text = BLOCK.sub("", text)
    text = TAG.sub("", text)
    # Templates and links nest: the innermost go first.
    for pattern in (TEMPLATE, TABLE, FILE_LINK):
        while (shorter := pattern.sub("", text)) != text:
            text = shorter
    text = WEB_LINK.sub(r"\1", LINK.sub(r"\1", text))
    text = LIST_LINE.sub("", HEADING.sub("", QUOTES.sub("", text)))
    return BLANK_LINES.sub("\n\n", text.replace("&nbsp;", " ")).strip()
