"""A README's claims are run again as it says, and a figure that comes out otherwise is found."""

import math

import pytest

from echopulse.errors import InputError
from echopulse.evaluate.reproduce import Claim, read_claims, reproduce, to_markdown
from echopulse.evaluate.results import Results

PAGE = """# A model
<!-- a remark: of no concern -->
<!-- evaluate: clips=48, seed=990000 -->
| ED and ES | 32 ms <!-- claim: timing.first_image.ed_ms.median_abs = 32 ± 4 --> and 30.5 ms
<!-- claim: tokenizer.mse = 2.0e-3 ± 10 % -->
| flat | 0.11 <!-- claim: controls.flat.ef <= 0.15 --> |
<!-- evaluate: ecg=examples/a.csv, start=generated, seconds=2.5 -->
<!-- claim: beats.failed ≤ 0 -->
"""


@pytest.fixture
def page(tmp_path):
    def write(text: str):
        (tmp_path / "README.md").write_text(text, encoding="utf-8")
        return tmp_path / "README.md"

    return write


def answering(calls: list, **scores):
    def evaluate(**settings) -> Results:
        calls.append(settings)
        return Results({key.replace("__", "."): value for key, value in scores.items()})

    return evaluate


def test_claims_are_read_with_their_tolerance_line_and_settings(page):
    ed, mse, flat, beats = read_claims(page(PAGE))
    assert (ed.key, ed.sign, ed.value, ed.within, ed.line) == ("timing.first_image.ed_ms.median_abs", "=", 32, 4, 4)
    assert ed.settings == {"clips": 48, "seed": 990_000} == mse.settings
    assert mse.value == 0.002 and mse.within == pytest.approx(0.0002)
    assert flat.sign == "≤" and flat.value == 0.15
    assert beats.settings == {"ecg": "examples/a.csv", "start": "generated", "seconds": 2.5}


def test_only_the_parts_claimed_are_run_as_the_page_says(page):
    calls = []
    reproduce(page(PAGE), answering(calls))
    assert calls == [
        {"parts": ("timing", "tokenizer", "controls"), "clips": 48, "seed": 990_000},
        {"parts": ("files",), "ecg": "examples/a.csv", "start": "generated", "seconds": 2.5},
    ]


def test_what_comes_out_otherwise_or_not_at_all_differs(page):
    scores = {"timing__first_image__ed_ms__median_abs": 36.0, "tokenizer__mse": 0.0023, "controls__flat__ef": math.nan}
    checks = reproduce(page(PAGE), answering([], **scores))
    assert [check.holds for check in checks] == [True, False, False, False]
    table = to_markdown(checks)
    assert table.endswith("1 of 4 claims hold.")
    assert "| 4 | `timing.first_image.ed_ms.median_abs` | = 32 ± 4 | 36 | holds |" in table
    assert "| no figure | **differs** |" in table


def test_settings_that_come_back_later_are_run_once(page):
    twice = "<!-- evaluate: seed=1 --><!-- claim: tokenizer.mse ≤ 1 -->\n"
    calls = []
    checks = reproduce(page(twice + "<!-- evaluate: seed=2 --><!-- claim: speed.import_s ≤ 2 -->\n" + twice),
                       answering(calls, tokenizer__mse=0.5))  # fmt: skip
    assert len(calls) == 2 and [check.holds for check in checks] == [True, False, True]


def test_the_edge_of_a_tolerance_belongs_to_it():
    claim = Claim("x", "=", 0.3, 0.1, 1)
    assert claim.holds(0.4) and claim.holds(0.2) and not claim.holds(0.41) and not claim.holds("0.3")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no claims", "README.md: no claims in it"),
        ("\n<!-- claim: tokenizer.mse about 3 -->", "README.md:2: .*is no claim"),
        ("<!-- claim: tokenizer.mse = 3 -->", "needs a tolerance"),
        ("<!-- claim: tokenizer.mse <= 3 ± 1 -->", "needs a tolerance"),
        ("<!-- claim: tokenizer.beauty = 3 ± 1 -->", "is no figure"),
        ("it is 0.23 <!-- claim: tokenizer.mse = 0.2 ± 1 -->", "does not stand in its line"),
        ("<!-- evaluate: clips=many -->", "a number is expected"),
        ("<!-- evaluate: mood=good -->", "settings are clips="),
    ],
)
def test_what_is_no_claim_is_refused_with_its_line(page, text, words):
    with pytest.raises(InputError, match=words):
        read_claims(page(text))


def test_a_page_that_is_not_there_is_refused(tmp_path):
    with pytest.raises(InputError, match="there is no such file"):
        read_claims(tmp_path / "README.md")
    with pytest.raises(InputError, match="cannot be read .*directory.*give a page in Markdown"):
        read_claims(tmp_path)
    (tmp_path / "photo.md").write_bytes(b"\xff\xd8\xff")
    with pytest.raises(InputError, match="cannot be read .no text"):
        read_claims(tmp_path / "photo.md")


def test_an_example_in_a_block_of_code_claims_nothing(page):
    claims = read_claims(page(
        "```\n<!-- claim: tokenizer.mse ≤ 9 -->\n```\n<!-- claim: speed.import_s ≤ 2 -->\n~~~\n<!-- claim: no -->\n"
    ))  # fmt: skip
    assert [(claim.key, claim.line) for claim in claims] == [("speed.import_s", 4)]
