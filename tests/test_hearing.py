"""What is said of the leads that a generator hears."""

import numpy as np
import pytest

from echopulse.ecg import ECG
from echopulse.hearing import leads_heard, prepare_ecg
from echopulse.model.config import EcgEncoderConfig
from echopulse.model.ecg_config import PUBLISHED_ECG
from echopulse.phantom.rhythm.leads import LEADS


def an_ecg(*leads: str) -> ECG:
    return ECG(np.ones((len(leads), 400), np.float32), 200.0, leads, 0.0, {"path": "x.csv"})


@pytest.mark.parametrize("config", PUBLISHED_ECG.values(), ids=PUBLISHED_ECG)
@pytest.mark.parametrize(
    ("leads", "said"),
    [
        (("I", "V5"), "I, V5"),
        (("MLII", "Resp", "v5"), "MLII as II, v5 as V5; not Resp"),
        (("II", "MLII"), "II; not MLII"),
        (("ECG",), "ECG as II, a guess: none of these names is a lead's"),
        (("ECG1", "ECG2"), "ECG1 as II, ECG2 as V5, a guess: none of these names is a lead's"),
    ],
)
def test_published_encoders_say_as_what_they_hear_each_lead_and_whether_that_is_a_guess(config, leads, said):
    assert leads_heard(an_ecg(*leads), config) == {"leads heard": said}
    heard = prepare_ecg(an_ecg(*leads), config).isfinite().all(1).nonzero().flatten().tolist()
    assert len(heard) == said.partition(";")[0].partition(", a guess")[0].count(",") + 1
    assert all(LEADS[place] in said for place in heard)


def test_our_own_encoder_does_not_know_leads_and_nothing_is_said():
    assert leads_heard(an_ecg("ECG"), EcgEncoderConfig()) == {}
