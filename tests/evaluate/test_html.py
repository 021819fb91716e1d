"""The page stands alone, says what it is, hides nothing from who cannot see it and lets no name break it."""

import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from echopulse.evaluate.html import moving_picture, to_html
from echopulse.evaluate.plots import plots
from echopulse.evaluate.results import Loop, Results

NOISE = np.random.default_rng(0).integers(0, 256, (12, 48, 40), np.uint8)
BAD_NAME = "<script>alert('x')</script> & \"y\""
RESULTS = Results(
    {"speed.import_s": 0.5, "tokenizer.live_bits": 3.0, "files.x.error": BAD_NAME, "controls.flat.ef": 0.2,
     "controls.same.explained": 0.8, "controls.same.explained_without": 0.1, "controls.same.gained": 0.7,
     "controls.same.gained.low": 0.6, "controls.same.gained.high": 0.75, "controls.same.verdict": "missed"},
    {
        "timing.a.ef_true": [0.3, 0.5, 0.6], "timing.a.ef_found": [0.35, 0.5, float("nan")],
        "timing.a.ed_ms": [10.0, -400.0], "timing.a.es_ms": [0.0, 5.0],
        "curve.0.times_s": [0.0, 0.1], "curve.0.true_ml": [100.0, 60.0], "curve.0.measured_ml": [90.0, float("nan")],
    },
    {"model": {"name": BAD_NAME, "hash": "abc"}, "settings": {"seed": 7}},
    (Loop(BAD_NAME, NOISE, 25.0, 2, 6), Loop("no beats", NOISE[..., None].repeat(3, -1), 25.0)),
)  # fmt: skip
VOID = {"meta", "img", "source", "wbr", "br", "link", "input", "hr", "col"}


class Reader(HTMLParser):
    """Every element with its attributes; fails where one is closed that is not open."""

    def __init__(self, page: str):
        super().__init__()
        self.open, self.seen = [], []
        self.feed(page)
        self.close()
        assert not self.open, f"never closed: {self.open}"

    def handle_starttag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attributes):
        self.seen.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict]:
        return [attributes for name, attributes in self.seen if name == tag]


@pytest.fixture(scope="module")
def page() -> str:
    return to_html(RESULTS)


@pytest.fixture(scope="module")
def read(page) -> Reader:
    return Reader(page)


def test_nothing_is_run_or_loaded_from_elsewhere(page, read):
    assert not read.all("script") and not read.all("link") and "@import" not in page
    named = [(name.rpartition(":")[2], value) for _, attributes in read.seen for name, value in attributes.items()]
    links = [value for name, value in named if name in ("src", "srcset", "href")]
    assert links and all(value.startswith(("data:", "#")) for value in links) and not re.search(r"url\((?!#)", page)


def test_what_others_named_is_text_and_no_markup(page):
    assert "<script>" not in page and page.count("&lt;script&gt;") >= 5


def test_it_says_first_that_it_is_synthetic(page):
    assert page.index("Synthetic, not for diagnosis.") < page.index("<section>")


def test_every_picture_is_described_and_every_heading_cell_has_its_direction(read):
    assert all(attributes.get("alt") for attributes in read.all("img")) and len(read.all("img")) == 4
    drawn = read.all("svg")
    assert len(drawn) == len(plots(RESULTS)) == 5 and all(one["role"] == "img" and one["aria-label"] for one in drawn)
    assert all(attributes.get("scope") in ("row", "col") for attributes in read.all("th"))


def test_verdicts_are_words_and_signs_too(page):
    assert "✗ missed" in page and "✓ met" in page and "3 of 5 bars met" in page


def test_names_in_the_page_are_unique(read):
    ids = [attributes["id"] for _, attributes in read.seen if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_settings_and_hashes_are_told(page):
    assert "abc" in page and re.search(r"settings\.<wbr>seed</code></th><td>7<", page)


def test_the_page_is_the_same_every_time(page):
    assert to_html(RESULTS) == page


def test_a_loop_keeps_its_frames_and_their_time_while_it_fits():
    held = Image.open(io.BytesIO(moving_picture(Loop("x", NOISE, 25.0))))
    assert held.format == "WEBP" and held.n_frames == 12 and held.size == (40, 48)
    held.seek(1)
    held.load()
    assert held.info["duration"] == 40


def test_a_loop_that_is_too_large_is_made_smaller_or_refused():
    whole = moving_picture(Loop("x", NOISE, 25.0))
    assert len(moving_picture(Loop("x", NOISE, 25.0), len(whole) // 3)) <= len(whole) // 3
    with pytest.raises(ValueError, match="12 frames do not fit into 100 bytes"):
        moving_picture(Loop("x", NOISE, 25.0), 100)


def test_an_evaluation_without_loops_or_columns_gives_a_page_too():
    read = Reader(to_html(Results({"speed.import_s": 0.5})))
    assert not read.all("img") and not read.all("svg") and read.all("table")
