"""XML from strangers: what is dangerous, deep, large or broken ends in one sentence; what is only odd is read."""

import time

import pytest

from echopulse.ecg import limits, read_ecg
from echopulse.ecg.readers import Source
from echopulse.ecg.readers.xml import parse_xml, root_name
from echopulse.errors import InputError


def source(text, encoding="utf-8"):
    return Source("doc.xml", given=text if isinstance(text, bytes) else text.encode(encoding))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>', "entities"),
        ('<!DOCTYPE a [<!ENTITY x SYSTEM "file:///etc/passwd">]><a>&x;</a>', "entities"),
        ('<!DOCTYPE a [<!ENTITY % x SYSTEM "http://localhost/x.dtd"> %x;]><a/>', "entities"),
        ("<a>" * 100 + "</a>" * 100, "nested more than"),
        ("<a " + " ".join(f'b{i}="1"' for i in range(9000)) + "/>", "XML tag of more than"),
        ("<a><b></a>", "broken XML"),
        ("<a><b>1 2 3", "broken XML"),
        ("<a>&x;</a>", "broken XML"),
        ("<a>\x01</a>", "broken XML"),
    ],
)
def test_what_is_dangerous_or_broken_is_refused_in_one_sentence(text, words):
    start = time.perf_counter()
    with pytest.raises(InputError, match=r"^doc\.xml: (?!broken.*doc).*" + words) as caught:
        parse_xml(source(text))
    assert "\n" not in str(caught.value) and time.perf_counter() - start < 1


def test_too_many_elements_and_too_many_bytes_are_refused(monkeypatch):
    monkeypatch.setattr("echopulse.ecg.readers.xml.MOST_ELEMENTS", 50)
    monkeypatch.setattr("echopulse.ecg.readers.xml.MOST_XML_BYTES", 1000)
    with pytest.raises(InputError, match="^doc.xml: more than 50 XML elements"):
        parse_xml(source("<a>" + "<b c='1'/>" * 30 + "</a>"))
    with pytest.raises(InputError, match="MB of XML"):
        parse_xml(source("<a>" + " " * 1000 + "</a>"))
    assert limits.MOST_XML_BYTES >= 1 << 20 and limits.MOST_ELEMENTS >= 10000


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "latin-1"])
def test_any_encoding_is_read_whatever_the_declaration_says(encoding):
    text = '<?xml version="1.0" encoding="Shift_JIS"?><x:a xmlns:x="u:v"><x:b>5 \u00b5V</x:b></x:a>'
    root = parse_xml(source(text, encoding))
    assert root.tag == "a" and root.findtext("b") == "5 \u00b5V"


def test_a_doctype_is_passed_over_and_its_document_never_fetched(tmp_path):
    (tmp_path / "restecg.dtd").write_text('<!ENTITY x "y">')
    (tmp_path / "a.xml").write_text('<!DOCTYPE a SYSTEM "restecg.dtd"><a>1</a>')
    assert parse_xml(Source("a.xml", tmp_path / "a.xml")).text == "1"
    (tmp_path / "a.xml").write_text('<!DOCTYPE a SYSTEM "restecg.dtd"><a>&x;</a>')
    with pytest.raises(InputError, match="broken XML"):
        parse_xml(Source("a.xml", tmp_path / "a.xml"))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("<gpx version='1'/>", "gpx"),
        ('<?xml version="1.0"?>\n<!-- <RestingECG> --><!DOCTYPE a [<!ELEMENT a ANY>]>\n<x:a xmlns:x="u"/>', "a"),
        ("<!-- a comment that goes on", None),
        ("no XML", None),
        ("<", None),
    ],
)
def test_the_root_is_told_by_the_first_bytes(text, name):
    assert root_name(source(text)) == name
    assert root_name(source(text, "utf-16")) == name


def test_xml_of_an_unknown_kind_is_named_by_its_root(tmp_path):
    (tmp_path / "track.xml").write_text("<gpx><!-- no RestingECG here --></gpx>")
    with pytest.raises(InputError, match="an XML file of a kind unknown here .its root is <gpx>., which"):
        read_ecg(tmp_path / "track.xml")
