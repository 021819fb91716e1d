"""A comparison pairs what can be paired, marks what chance does not explain, and refuses what cannot be compared."""

import math

import numpy as np
import pytest

from echopulse.errors import InputError
from echopulse.evaluate.compare import as_dictionary, compare, headline, to_markdown
from echopulse.evaluate.results import Results

KEY, OTHER = "timing.first_image.ed_ms.median_abs", "speed.threads"
RNG = np.random.default_rng(1)
HEARTS = RNG.normal(0, 40, 200)


def run(values: np.ndarray, *, data: str | None = "d1", version: str = "0.1.0", **more) -> Results:
    known = values[np.isfinite(values)]
    scores = {KEY: float(np.median(np.abs(known))), f"{KEY}.n": len(known), OTHER: 2, "files.x.rhythm": "sinus"}
    about = {"versions": {"echopulse": version}, "seconds": {"timing": RNG.random()}, "measurer": {"hash": "m"}}
    about |= {"data": {"hash": data} if data else {}}
    return Results(scores | more.pop("scores", {}), {KEY.removesuffix(".median_abs"): list(values)}, about | more)


def of(found, key: str = KEY):
    return next(one for one in found.differences if one.key == key)


def test_on_the_same_hearts_a_small_steady_gain_is_seen():
    found = of(compare(run(HEARTS), run(0.9 * HEARTS)))
    assert found.paired and found.beyond_chance and found.better is True and found.span.high < 0


def test_on_other_hearts_the_same_gain_is_chance():
    found = of(compare(run(HEARTS), run(0.9 * HEARTS, data="d2"), anyway=True))
    assert not found.paired and not found.beyond_chance


def test_a_model_differs_from_itself_in_nothing():
    found = compare(run(HEARTS), run(HEARTS))
    assert of(found).span == (0, 0) and not any(one.beyond_chance for one in found.differences) and not found.settings
    assert "All settings agree." in to_markdown(found)


def test_chance_stays_within_its_five_percent():
    beyond = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        a, b = (run(rng.normal(0, 40, 60), data=name) for name in ("d1", "d2"))
        beyond += of(compare(a, b, anyway=True)).beyond_chance
    assert beyond <= 6  # 2 are expected; more than 6 of 40 have a probability of 0.3 %


def test_missing_values_keep_the_pairs_in_step():
    holes = HEARTS.copy()
    holes[::7] = math.nan
    found = of(compare(run(holes), run(0.9 * HEARTS)))
    assert found.paired and found.beyond_chance


def test_words_counts_and_what_only_one_has_are_no_differences():
    found = compare(run(HEARTS, scores={"tokenizer.mse": 1.0}), run(HEARTS))
    assert {one.key for one in found.differences} == {KEY, OTHER}
    assert found.only_a == ("tokenizer.mse",) and found.only_b == ()


def test_figures_without_values_behind_them_have_no_interval():
    found = of(compare(run(HEARTS), run(HEARTS)), OTHER)
    assert found.span is None and not found.beyond_chance and found.better is None


@pytest.mark.parametrize("other", [{"data": "d2"}, {"version": "0.2.0"}, {"data": None}, {"measurer": {"hash": "n"}}])
def test_other_data_and_other_versions_are_refused_unless_told(other):
    a, b = run(HEARTS), run(HEARTS, **other)
    with pytest.raises(InputError, match="a.json and b.json differ .*--anyway"):
        compare(a, b, names=("a.json", "b.json"))
    found = compare(a, b, anyway=True)
    assert found.differences and found.settings
    assert of(found).paired == ("data" not in other)  # the hearts are the same, whoever measured them


def test_distances_on_features_of_different_measurers_are_never_compared():
    scores = {"quality.fvd_echo": 1.0, "quality.echo.recall": 0.5, "quality.fid": 3.0, "quality.mse": 0.1}
    a, b = (run(HEARTS, scores=scores | {"quality.echo.hash": name}) for name in ("e", "f"))
    found = compare(a, b, anyway=True)
    assert found.incomparable == ("quality.fvd_echo", "quality.echo.recall")
    assert {one.key for one in found.differences} == {KEY, OTHER, "quality.fid", "quality.mse"}
    assert "not compared: quality.fvd_echo, quality.echo.recall." in to_markdown(found)
    assert not compare(a, a).incomparable


def test_what_is_no_number_in_either_is_left_out():
    lost, known = ({"timing.ecg_alone.r": value} for value in (math.nan, 0.5))
    assert {one.key for one in compare(run(HEARTS, scores=lost), run(HEARTS, scores=lost)).differences} == {KEY, OTHER}
    assert of(compare(run(HEARTS, scores=lost), run(HEARTS, scores=known)), "timing.ecg_alone.r").span is None


def test_what_differs_in_the_settings_is_told_but_not_the_time_it_took():
    found = compare(run(HEARTS, model={"name": "a"}), run(HEARTS, model={"name": "b|"}))
    assert found.settings == {"model.name": ("a", "b|")}
    assert "| model.name | a | b/ |" in to_markdown(found)


def test_the_table_marks_what_differs_and_the_dictionary_says_the_same():
    found = compare(run(HEARTS), run(0.5 * HEARTS))
    table, held = to_markdown(found, ("old", "new")), as_dictionary(found)["figures"][KEY]
    assert table.startswith("1 of 1 figures with an interval differ") and "| figure | old | new |" in table
    row = next(line for line in table.splitlines() if line.startswith(f"| `{KEY}`"))
    assert row.endswith("(paired) | **better** |")
    assert held["beyond_chance"] and held["better"] and held["high"] < 0 and held["difference"] == held["b"] - held["a"]


@pytest.mark.parametrize(("a", "b", "told"), [(1.0, 0.5, "1 better"), (0.5, 1.0, "1 worse")])
def test_the_headline_says_to_which_side_figures_differ(a, b, told):
    found = headline(compare(run(a * HEARTS), run(b * HEARTS)), ("old", "new"))
    assert found.startswith(f"1 of 1 figures with an interval differ beyond chance (new against old: {told}); ")
    assert "\n" not in found


def test_the_headline_of_two_that_do_not_differ_names_no_side():
    found = headline(compare(run(HEARTS), run(HEARTS)))
    assert found.startswith("0 of 1 figures with an interval differ beyond chance; with so many")
