"""Names and weights of the losses: today's by default, and what is no name or no weight is refused."""

from dataclasses import replace

import pytest

from echopulse.errors import InputError
from echopulse.model.config import PRESETS
from echopulse.train.losses.weights import loss_weights, parse_weights

CONFIG = PRESETS["tiny"]["tokenizer"]


def test_by_default_only_pixels_and_the_quantizers_own_losses_count():
    counting = {name: weight for name, weight in loss_weights(CONFIG).items() if weight and name != "lecam"}
    assert counting == {"l1": 1.0, "mse": 2.0, "moving": 2.0, "commitment": 0.01, "entropy": 0.01}
    assert {"motion", "strength", "beam", "keep"} <= set(loss_weights(replace(CONFIG, grain=True)))
    assert loss_weights(replace(CONFIG, quantizer="vq"))["commitment"] == 0.25


def test_one_line_changes_one_loss():
    changed = loss_weights(CONFIG, {"speckle": 0.1, "mse": 0})
    assert changed == loss_weights(CONFIG) | {"speckle": 0.1, "mse": 0}


def test_unknown_names_are_refused_with_the_list_of_those_there_are():
    with pytest.raises(InputError, match="loss ssim: this tokenizer knows l1, mse, .*, adversarial, "):
        loss_weights(CONFIG, {"ssim": 1.0})
    with pytest.raises(InputError, match="loss commitment"):
        loss_weights(replace(CONFIG, quantizer="fsq"), {"commitment": 1.0})


@pytest.mark.parametrize("weight", [-0.1, float("nan"), float("inf")])
def test_weights_below_zero_or_no_numbers_are_refused(weight):
    with pytest.raises(InputError, match="not below 0"):
        loss_weights(CONFIG, {"speckle": weight})


def test_weights_are_written_as_name_and_number():
    assert parse_weights(["speckle=0.1", "mse=0"]) == {"speckle": 0.1, "mse": 0.0}
    for text in ("speckle", "speckle=much", "speckle="):
        with pytest.raises(InputError, match=f"--loss {text}: NAME=WEIGHT is expected"):
            parse_weights([text])
    with pytest.raises(InputError, match="--loss mse is given twice"):
        parse_weights(["mse=1", "mse=2"])
