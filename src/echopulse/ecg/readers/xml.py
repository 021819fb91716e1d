"""XML from strangers: parsed without entities, without anything fetched, within limits of size, depth and count.

The tree that comes out has local names only (`series`, not `{urn:hl7-org:v3}series`): the formats read here
change their namespaces from version to version and mean the same.
"""

from __future__ import annotations

import re
from xml.etree.ElementTree import Element, ParseError, TreeBuilder

from echopulse.ecg.limits import MOST_DEPTH, MOST_ELEMENTS, MOST_TAG_BYTES, MOST_XML_BYTES
from echopulse.ecg.readers.source import Source
from echopulse.ecg.readers.text import decode
from echopulse.errors import InputError

# What may stand before the root: the declaration, instructions, comments (one may be cut by the end of the head).
BEFORE_ROOT = re.compile(r"\s*(?:<\?.*?\?>|<!--.*?(?:-->|\Z)|<!DOCTYPE[^>\[]*(?:\[.*?\]\s*)?>)", re.DOTALL)
ROOT = re.compile(r"\s*<(?:[\w.\-]+:)?([A-Za-z_][\w.\-]*)(?=[\s/>\0])")
DECLARATION = re.compile(r"\s*<\?xml\b.{0,1000}?\?>", re.DOTALL)


def root_name(source: Source) -> str | None:
    """The local name of the root element, as the first bytes show it; None where it is no XML or begins later."""
    text = source.head_text.lstrip("\ufeff")
    if not text.startswith("<"):
        return None
    at = 0
    while found := BEFORE_ROOT.match(text, at):
        at = found.end()
    root = ROOT.match(text, at)
    return root.group(1) if root else None


def parse_xml(source: Source) -> Element:
    """The root of the document, local names throughout; InputError for what is broken, dangerous or too much."""
    from defusedxml import DefusedXmlException
    from defusedxml.ElementTree import DefusedXMLParser

    if source.size > MOST_XML_BYTES:
        raise InputError(
            f"{source.name}: {source.size / 1e6:.0f} MB of XML; up to {MOST_XML_BYTES / 1e6:.0f} MB are read. Export a "
            "shorter recording."
        )
    # The encoding is decided by `decode`, as for all text: the declaration of a file that was saved anew often lies.
    data = DECLARATION.sub("", decode(source.data)[0], count=1).rstrip("\0 \r\n\t").encode()
    if re.search(rb"<[^<>]{%d}" % MOST_TAG_BYTES, data):
        raise InputError(f"{source.name}: an XML tag of more than {MOST_TAG_BYTES} bytes; this is no ECG document.")
    parser = DefusedXMLParser(target=_Builder(source.name), encoding="utf-8")
    try:
        parser.feed(data)
        return parser.close()
    except InputError:  # of the builder; it is a ValueError too
        raise
    except DefusedXmlException as error:
        raise InputError(
            f"{source.name}: this XML declares entities ({type(error).__name__}), which no ECG needs and which can be "
            "an attack; it is not read."
        ) from error
    except (ParseError, ValueError, LookupError) as error:
        raise InputError(
            f"{source.name}: broken XML ({error}); the file may be cut short, copy or export it again."
        ) from error


def text_of(element: Element | None, path: str) -> str:
    """The text at `path` below `element` without blanks around it; "" where there is none."""
    return "" if element is None else (element.findtext(path) or "").strip()


def number_of(text: str | None) -> float | None:
    """A number as XML writes it; None where it is none, or not finite."""
    try:
        value = float(text or "")
    except ValueError:
        return None
    return value if abs(value) < float("inf") else None


class _Builder(TreeBuilder):
    """Builds the tree with local names, and stops where it grows too deep or too large."""

    def __init__(self, name: str) -> None:
        super().__init__()
        self.name, self.depth, self.count = name, 0, 0

    def start(self, tag: str, attributes: dict[str, str]) -> Element:
        self.depth += 1
        self.count += 1 + len(attributes)
        if self.depth > MOST_DEPTH:
            raise InputError(f"{self.name}: XML elements nested more than {MOST_DEPTH} deep; this is no ECG document.")
        if self.count > MOST_ELEMENTS:
            raise InputError(f"{self.name}: more than {MOST_ELEMENTS} XML elements and attributes; export less.")
        return super().start(_local(tag), {_local(key): value for key, value in attributes.items()})

    def end(self, tag: str) -> Element:
        self.depth -= 1
        return super().end(_local(tag))


def _local(name: str) -> str:
    return name.rpartition("}")[2]
