"""Tables say what was met, what was missed, what is missing and how far it might move; files give back what went in."""

import json
import math

import numpy as np
import pytest

from echopulse.errors import InputError
from echopulse.evaluate.keys import KEYS, ORDER, Bar, documented, figure_of, figures, verdict
from echopulse.evaluate.report import FORMAT, headline, read_results, to_json, to_markdown
from echopulse.evaluate.results import Results

SCORES = {
    "tokenizer.mse": 1e-3, "tokenizer.live_bits": 11.0, "timing.first_image.ed_ms.median_abs": 30.0,
    "timing.first_image.ed_ms.median": -12.0, "timing.first_image.ed_ms.n": 90, "timing.first_image.ed_ms.missing": 2,
    "timing.ef_asked.0.3": math.nan, "speed.import_s": math.nan, "speed.import_s.n": 0, "speed.import_s.missing": 5,
    "files.100.rhythm": "sinus",
}  # fmt: skip
RESULTS = Results(
    SCORES | {"tokenizer.mae": 0.02, "tokenizer.mae.low": 0.01, "tokenizer.mae.high": 0.035},
    {"timing.first_image.ed_ms": [-30.0, 30.0, -30.0, math.nan], "curve.0.times_s": []},
    {"settings": {"clips": 4, "parts": ["timing", "controls"]}, "device": "a | b"},
)


def row(table: str, key: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(f"| `{key}` |"))


def test_a_missed_bar_is_marked_and_named():
    table = to_markdown(RESULTS)
    assert "| ≤ 0.0016 | met |" in row(table, "tokenizer.mse")
    assert "| ≥ 13 | **missed** |" in row(table, "tokenizer.live_bits")
    assert table.startswith(
        "2 of 4 bars met; worst: speed.import_s (none s, bar ≤ 2). Also missed: tokenizer.live_bits.\n"
    )


@pytest.mark.parametrize(
    ("scores", "worst"),
    [
        ({"tokenizer.mse": 2e-3, "tokenizer.live_bits": 12.0}, "tokenizer.mse (0.002, bar ≤ 0.0016)"),  # 25 and 8 %
        ({"tokenizer.mse": 1.7e-3, "tokenizer.live_bits": 6.5}, "tokenizer.live_bits (6.5, bar ≥ 13)"),  # 6 and 50 %
        ({"tokenizer.mse": 1.0, "speed.import_s": 1.0, "speed.import_s.n": 1, "speed.import_s.missing": 9},
         "speed.import_s (1 s, bar ≤ 2)"),  # found in one of ten
    ],
)  # fmt: skip
def test_the_worst_is_what_misses_its_bar_by_the_largest_share_or_was_hardly_found(scores, worst):
    found = headline(Results(scores))
    assert found.startswith(f"0 of 2 bars met; worst: {worst}. Also missed: ") and "\n" not in found


def test_the_headline_of_what_meets_all_its_bars_or_has_none_names_nothing():
    assert headline(Results({"tokenizer.mse": 1e-3})) == "1 of 1 bars met."
    assert headline(Results({"files.100.rhythm": "sinus"})) == "No figure here has a bar."


def test_what_is_missing_stands_in_the_table_and_meets_no_bar():
    table = to_markdown(RESULTS)
    assert "none s (n 0, 5 missing)" in row(table, "speed.import_s") and "**missed**" in row(table, "speed.import_s")
    found = row(table, "timing.first_image.ed_ms.median_abs")
    assert "30 ms (median -12; n 90, 2 missing)" in found and "| met |" in found
    mostly_lost = {**SCORES, "timing.first_image.ed_ms.missing": 40}
    assert verdict("timing.first_image.ed_ms.median_abs", mostly_lost) is False
    assert verdict("files.100.rhythm", SCORES) is None


def test_intervals_stand_in_their_own_column_and_their_ends_are_no_figures():
    table = to_markdown(RESULTS)
    assert "| 30 to 30 |" in row(table, "timing.first_image.ed_ms.median_abs")
    assert "| 0.01 to 0.035 |" in row(table, "tokenizer.mae") and "tokenizer.mae.low" not in table


def test_settings_are_told_and_cannot_break_the_table():
    table = to_markdown(RESULTS)
    for line in ("| settings.clips | 4 |", "| settings.parts | timing, controls |", "| device | a / b |"):
        assert line in table


def test_bars_include_their_value():
    assert Bar("≤", 2).met(2.0) and not Bar("≤", 2).met(2.01)
    assert Bar("≥", 2).met(2.0) and not Bar("≥", 2).met(math.nan) and not Bar("≤", 2).met(math.nan)


def test_files_share_their_keys_meaning():
    assert figure_of("files.100.ecg_rate_bpm") is KEYS["files.NAME.ecg_rate_bpm"]
    assert figure_of("files.100.ecg_rate") is None and figure_of("files.a.b.ecg_rate_bpm") is None


def test_every_figure_says_what_it_means_and_no_part_is_told_twice():
    assert all(figure.meaning and "|" not in figure.meaning for figure in figures().values())
    assert {key.partition(".")[0] for key in KEYS} >= {"timing", "files", "beats", "speed"}


def test_results_come_back_from_their_file_with_nan_for_null(tmp_path):
    (tmp_path / "r.json").write_text(to_json(RESULTS))
    held, back = json.loads((tmp_path / "r.json").read_text()), read_results(tmp_path / "r.json")
    assert held["scores"]["speed.import_s"] is None and held["columns"]["timing.first_image.ed_ms"][3] is None
    assert list(back.scores) == list(RESULTS.scores) and list(back.columns) == list(RESULTS.columns)
    for key, value in RESULTS.scores.items():
        assert back.scores[key] == value or math.isnan(value) and math.isnan(back.scores[key])
    assert back.about == RESULTS.about
    assert np.array_equal(back.columns["timing.first_image.ed_ms"], [-30, 30, -30, math.nan], equal_nan=True)
    assert to_json(back) == to_json(RESULTS)


def test_small_numbers_keep_their_figures_and_numpy_its_values():
    held = json.loads(to_json(Results({"a": 1.234567e-8, "b": np.float32(0.5), "c": np.int64(3)})))
    assert held["scores"] == {"a": 1.234567e-8, "b": 0.5, "c": 3} and held["columns"] == {}


WHOLE = {"format": FORMAT, "about": {}, "scores": {"speed.import_s": 1.5}, "columns": {"speed.import_s": [1, None]}}


@pytest.mark.parametrize(
    "text",
    [
        "no", "[1, 2]", '{"tokenizer.mse": 0.1}', '{"format": "else"}', json.dumps({"format": FORMAT}),
        *(json.dumps(WHOLE | broken) for broken in (
            {"about": 3}, {"scores": [1]}, {"scores": {"speed.import_s": [1]}}, {"columns": {"speed.import_s": 3}},
            {"columns": {"speed.import_s": ["many"]}},
        )),
    ],
)  # fmt: skip
def test_files_that_no_evaluation_wrote_are_refused(tmp_path, text):
    (tmp_path / "r.json").write_text(json.dumps(WHOLE))
    assert read_results(tmp_path / "r.json").scores == {"speed.import_s": 1.5}
    (tmp_path / "r.json").write_text(text)
    with pytest.raises(InputError, match="r.json: .*echopulse evaluate --json"):
        read_results(tmp_path / "r.json")


def test_the_page_on_evaluation_is_what_the_figures_say(repository):
    page = (repository / "docs" / "evaluation.md").read_text(encoding="utf-8")
    assert page == documented(page)


def test_every_part_of_an_evaluation_has_its_place_and_its_figures():
    parts = {key.partition(".")[0] for key in figures()}
    assert parts <= set(ORDER) and parts >= {"measurer", "timing", "controls", "quality", "files"}
    assert figure_of("measurer.dice.lv").bar and figure_of("controls.obeys").bar
