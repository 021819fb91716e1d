"""Clips by the lowest, middle and highest third of a scanner parameter."""

from echopulse.evaluate.thirds import by_thirds


def test_every_piece_is_in_one_third_in_the_order_that_it_came():
    values = [5.0, 1.0, 9.0, 2.0, 6.0, 8.0]
    assert dict(by_thirds("abcdef", values)) == {"low": ["b", "d"], "middle": ["a", "e"], "high": ["c", "f"]}


def test_equal_values_fall_together_and_nothing_gives_nothing():
    assert dict(by_thirds("ab", [3.0, 3.0])) == {"low": ["a", "b"], "middle": [], "high": []}
    assert dict(by_thirds([], [])) == {"low": [], "middle": [], "high": []}
