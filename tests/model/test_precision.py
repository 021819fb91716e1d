"""bfloat16 where the machine multiplies it, float32 elsewhere and wherever that is asked for."""

import pytest
import torch

from echopulse.model import precision
from echopulse.model.precision import float32_only, mixed_precision


def product_type() -> torch.dtype:
    with mixed_precision("cpu"):
        return (torch.ones(2, 2) @ torch.ones(2, 2)).dtype


@pytest.mark.parametrize(("has_it", "kind"), [(True, torch.bfloat16), (False, torch.float32)])
def test_products_are_of_the_type_that_the_machine_multiplies(monkeypatch, has_it, kind):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: has_it)
    assert product_type() == kind


def test_float32_is_had_where_asked_for_and_only_there_also_after_an_error(monkeypatch):
    monkeypatch.setattr(precision, "cpu_has_bfloat16", lambda: True)
    with float32_only():
        assert product_type() == torch.float32
        with float32_only():
            pass
        assert product_type() == torch.float32
    assert product_type() == torch.bfloat16
    with pytest.raises(RuntimeError), float32_only():
        raise RuntimeError
    assert product_type() == torch.bfloat16
