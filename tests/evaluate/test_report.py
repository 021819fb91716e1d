"""Tables say what was met, what was missed and what is missing."""

import json
import math

import pytest
import torch

from echopulse.evaluate.keys import KEYS, Bar, counts_for, documentation, figure_of, verdict
from echopulse.evaluate.report import evaluate, to_markdown, write_scores
from echopulse.measure import Segmenter, SegmenterConfig
from echopulse.model.config import PRESETS
from echopulse.model.generator import Generator
from echopulse.model.tokenizer import Tokenizer
from echopulse.pipeline import EchoPulse

SCORES = {
    "tokenizer.mse": 1e-3, "tokenizer.live_bits": 11.0, "timing.first_image.ed_ms.median_abs": 30.0,
    "timing.first_image.ed_ms.median": -12.0, "timing.first_image.ed_ms.n": 90, "timing.first_image.ed_ms.missing": 2,
    "controls.flat.ef": math.nan, "controls.flat.ef.n": 0, "controls.flat.ef.missing": 5, "files.100.rhythm": "sinus",
}  # fmt: skip


def row(table: str, key: str) -> str:
    return next(line for line in table.splitlines() if line.startswith(f"| `{key}` |"))


def test_a_missed_bar_is_marked_and_named():
    table = to_markdown(SCORES)
    assert "| ≤ 0.0022 | met |" in row(table, "tokenizer.mse")
    assert "| ≥ 12 | **missed** |" in row(table, "tokenizer.live_bits")
    assert "2 of 4 bars met. Missed: tokenizer.live_bits, controls.flat.ef." in table


def test_what_is_missing_stands_in_the_table_and_meets_no_bar():
    table = to_markdown(SCORES)
    assert "none (n 0, 5 missing)" in row(table, "controls.flat.ef") and "**missed**" in row(table, "controls.flat.ef")
    found = row(table, "timing.first_image.ed_ms.median_abs")
    assert "30 ms (median -12; n 90, 2 missing)" in found and "| met |" in found
    mostly_lost = {**SCORES, "timing.first_image.ed_ms.missing": 40}
    assert verdict("timing.first_image.ed_ms.median_abs", mostly_lost) is False
    assert verdict("files.100.rhythm", SCORES) is None


def test_bars_include_their_value():
    assert Bar("≤", 2).met(2.0) and not Bar("≤", 2).met(2.01)
    assert Bar("≥", 2).met(2.0) and not Bar("≥", 2).met(math.nan) and not Bar("≤", 2).met(math.nan)


def test_files_share_their_keys_meaning():
    assert figure_of("files.100.ecg_rate_bpm") is KEYS["files.NAME.ecg_rate_bpm"]
    assert figure_of("files.100.ecg_rate") is None


def test_scores_are_written_whole_with_null_for_what_is_no_number(tmp_path):
    write_scores(SCORES, tmp_path / "t.md", tmp_path / "t.json")
    kept = json.loads((tmp_path / "t.json").read_text())
    assert kept["controls.flat.ef"] is None and kept["tokenizer.mse"] == 1e-3 and list(kept) == list(SCORES)
    assert (tmp_path / "t.md").read_text().startswith("### tokenizer")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["t.json", "t.md"]


def test_the_page_on_evaluation_is_what_the_keys_say(repository):
    assert (repository / "docs" / "evaluation.md").read_text(encoding="utf-8") == documentation()


@pytest.fixture(scope="module")
def tiny() -> EchoPulse:
    configs = PRESETS["tiny"]
    with torch.random.fork_rng():
        segmenter = Segmenter(SegmenterConfig(size=32, channels=(8, 8), groups=2))
        return EchoPulse(Tokenizer(configs["tokenizer"]), Generator(configs["generator"]), segmenter, name="tiny")


def test_the_whole_evaluation_runs_on_an_untrained_model_and_every_figure_has_a_meaning(tiny, tmp_path):
    (tmp_path / "empty.csv").touch()
    steps = []
    scores = evaluate(tiny, clips=2, ecg_files=[tmp_path / "empty.csv"], on_step=steps.append)
    nameless = [key for key in scores if figure_of(key) is None and key.rpartition(".")[2] not in ("n", "missing")]
    assert not nameless
    missing = [key for key, figure in KEYS.items() if figure.bar and key not in scores and not key.startswith("beats.")]
    assert not missing, "bars that no figure answers"
    assert scores["beats.failed"] == 1 and "empty" in scores["files.empty.error"]
    assert counts_for("timing.ecg_alone.ed_ms.median_abs", scores) is not None
    assert steps == sorted(steps) and steps[-1] == pytest.approx(1)
    assert "Not for diagnosis" in to_markdown(scores)


def test_only_the_parts_asked_for_are_run(tiny):
    scores = evaluate(tiny, clips=1, parts=("tokenizer",))
    assert scores and all(key.startswith("tokenizer.") for key in scores)
