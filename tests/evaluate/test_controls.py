"""The controls tell a heart that obeys its ECG from one that is deaf and from one that is half a beat late."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate.bench import Bench
from echopulse.evaluate.control_figures import FIGURES, FOLLOWED, STANDING, WITHOUT_BAR
from echopulse.evaluate.controls import control_scores, given_to, plan
from echopulse.evaluate.results import Results

BARRED = [name for name in FOLLOWED if name not in WITHOUT_BAR]


@pytest.fixture(scope="module")
def found(dummies, traced_hearts) -> dict[str, Results]:
    return {name: control_scores(bench, traced_hearts) for name, bench in dummies.items()}


def interval(results: Results, key: str) -> tuple[float, float]:
    return results.scores[f"{key}.low"], results.scores[f"{key}.high"]


def test_every_figure_of_the_controls_has_a_meaning_and_every_bar_an_answer(found):
    scores = found["perfect"].under("controls").scores
    named = [key for key in scores if key.rpartition(".")[2] not in ("n", "missing", "low", "high")]
    assert not [key for key in named if key not in FIGURES]
    assert not [key for key, figure in FIGURES.items() if figure.bar and key not in scores]


def test_the_perfect_heart_meets_every_control(found):
    scores = found["perfect"].scores
    missed = [key for key, value in scores.items() if key.endswith(".verdict") and value != "met"]
    assert not missed and scores["says"] == "obeys its ECG"
    for control in BARRED:
        assert scores[f"{control}.explained"] > 0.97 and scores[f"{control}.ed_ms.median_abs"] <= 10, control
        assert scores[f"{control}.explained_without"] == 0  # it stands still without an ECG
    assert scores["shifted.slope"] == pytest.approx(1, abs=0.03)
    assert scores["donor.r_own"] == pytest.approx(scores["donor.r_between_truths"], abs=0.03)
    assert scores["flat.ef.largest"] == scores["zero.ef.largest"] == pytest.approx(0, abs=1e-9)


def test_the_deaf_heart_gains_nothing_from_any_ecg_and_is_called_what_it_is(found):
    scores = found["deaf"].scores
    for control in FOLLOWED:
        assert scores[f"{control}.gained"] == pytest.approx(0, abs=1e-9), control
    assert all(scores[f"{control}.verdict"] == "missed" for control in (*BARRED, *STANDING, "shifted"))
    assert scores["says"] == "ignores its ECG"
    assert scores["shifted.slope"] == pytest.approx(0, abs=0.05)
    assert scores["flat.ef"] == pytest.approx(0.55, abs=0.03)


def test_the_late_heart_is_told_from_both_by_its_constant_lag(found):
    scores = found["half a beat late"].scores
    assert abs(scores["usual_phase"]) == pytest.approx(0.5, abs=0.03)
    assert scores["says"].startswith("follows its ECG") and scores["same.verdict"] == "missed"
    assert scores["shifted.slope"] == pytest.approx(1, abs=0.05)  # it does move along
    assert scores["flat.verdict"] == scores["zero.verdict"] == "met"


def test_the_three_are_apart_beyond_doubt(found):
    perfect, late, deaf = (found[name] for name in ("perfect", "half a beat late", "deaf"))
    assert interval(perfect, "obeys")[0] > 0.9
    assert max(interval(late, "obeys")[1], interval(deaf, "obeys")[1]) < 0.5
    assert min(interval(perfect, "locking")[0], interval(late, "locking")[0]) > 0.9
    assert interval(deaf, "locking")[1] < 0.8
    assert len({results.scores["says"] for results in found.values()}) == 3


def test_a_heart_that_answers_another_way_each_time_is_found_out(dummies, traced_hearts):
    frames = iter(range(1000))
    fickle = Bench(
        lambda ecg, begin, count, **_: np.full((count, 1, 2), next(frames) % 251, np.uint8), None,
        dummies["perfect"].measure,
    )  # fmt: skip
    assert control_scores(fickle, traced_hearts[:4]).scores["same.identical"] == 0


def test_to_refuse_a_dead_line_is_right_and_to_refuse_another_ecg_is_not_hidden(dummies, traced_hearts):
    perfect = dummies["perfect"]

    def picky(ecg, begin_s, frames, **conditions):
        if ecg is not None and float(ecg.abs().max()) < 0.1:
            raise InputError("a dead line.")
        return perfect.generate(ecg, begin_s, frames, **conditions)

    scores = control_scores(Bench(picky, None, perfect.measure), traced_hearts[:4]).scores
    assert scores["flat.refused"] == scores["zero.refused"] == 1 and "flat.ef" not in scores
    assert scores["flat.verdict"] == scores["zero.verdict"] == "met"

    def deny(ecg, *_, **__):
        raise InputError("never.")

    with pytest.raises(InputError, match="never"):
        control_scores(Bench(deny, None, perfect.measure), traced_hearts[:4])


def test_too_few_hearts_are_refused_with_what_is_needed(dummies, traced_hearts):
    with pytest.raises(InputError, match="3 of 3 hearts beat .* four or more"):
        control_scores(dummies["perfect"], traced_hearts[:3])


def test_clips_that_are_there_already_are_not_made_again(dummies, traced_hearts):
    asked = []
    perfect = dummies["perfect"]

    def generate(ecg, begin_s, frames, **conditions):
        asked.append(conditions["seed"])
        return perfect.generate(ecg, begin_s, frames, **conditions)

    bench, few = Bench(generate, None, perfect.measure), traced_hearts[:4]
    same = {heart.seed: perfect.show(heart, heart.ecg) for heart in few}
    unmoved = {heart.seed: perfect.show(heart, heart.ecg, image=False) for heart in few}
    without = control_scores(bench, few).scores
    made, asked = len(asked), []
    assert control_scores(bench, few, same=same, unmoved=unmoved).scores == pytest.approx(without, nan_ok=True)
    assert made - len(asked) == 8


def test_every_control_changes_the_ecg_as_its_name_says(traced_hearts):
    heart, other = traced_hearts[0], traced_hearts[1]
    assert {"same"}.union(*map(plan, range(4))) == {*FOLLOWED, *STANDING}
    later = given_to(heart, other, "later_200")
    assert later.r_peaks_s[0] - heart.r_peaks_s[0] == pytest.approx(0.2)
    assert (later.ecg[:, 40:] == heart.ecg[:, :-40]).all()
    faster = given_to(heart, other, "faster")
    assert faster.rr_s == pytest.approx((60 / 72) / 1.4)
    first = -round(heart.ecg_start_s * 200)
    assert faster.ecg[0, first] == pytest.approx(float(heart.ecg[0, first]), abs=1e-6)  # the first frame keeps its time
    assert faster.volume(np.array([0.5]))[0] == pytest.approx(heart.true_volume(np.array([0.7]))[0])
    assert given_to(heart, other, "donor").leader is other and given_to(heart, other, "none").ecg is None


def test_every_control_names_the_leads_that_it_gives(traced_hearts):
    heart = replace(traced_hearts[0], leads=("V6", "III"), other_lead_name="aVR")
    other = replace(traced_hearts[1], leads=("I", "V2"))
    named = {control: given_to(heart, other, control).leads for control in (*FOLLOWED, *STANDING)}
    assert named.pop("other_lead") == ("aVR",) and named.pop("donor") == ("I", "V2")
    assert set(named.values()) == {("V6", "III")}
    assert given_to(replace(heart, other_lead=None), other, "other_lead").leads == ("V6",)
    assert given_to(traced_hearts[0], traced_hearts[1], "other_lead").leads is None


def test_the_names_of_the_leads_go_along_with_every_ecg(dummies, traced_hearts):
    few = [
        replace(heart, leads=(f"I{heart.seed}", f"II{heart.seed}"), other_lead_name=f"V{heart.seed}")
        for heart in traced_hearts[:4]
    ]
    known = {name: row for heart in few for name, row in zip(heart.leads, heart.ecg, strict=True)}
    known |= {heart.other_lead_name: heart.other_lead[0] for heart in few}
    perfect, found = dummies["perfect"], set()

    def generate(ecg, begin_s, frames, *, leads, **conditions):
        if ecg is not None:
            assert len(leads) == len(ecg)
            found.update(name for name, row in zip(leads, ecg, strict=True) if torch.equal(row, known[name]))
        return perfect.generate(ecg, begin_s, frames, leads=leads, **conditions)

    control_scores(Bench(generate, None, perfect.measure), few)
    assert {heart.other_lead_name for heart in few} & found == {"V3"}  # the one of four hearts that is given another
    assert {name for heart in few for name in heart.leads} <= found
