"""Bars, verdicts and how they are printed."""

import json

import numpy as np
import pytest

from echopulse.evaluate.phantom.rows import Row, Sheet, as_json, as_table, missed
from echopulse.files import to_json


def row(value, low=None, high=None):
    return Row("physics", "x", "in words", value, "ms", low, high, 3)


@pytest.mark.parametrize(
    ("value", "low", "high", "holds"),
    [(5, 4, 6, True), (4, 4, None, True), (3.9, 4, None, False), (6.1, None, 6, False), (5, None, None, None),
     (None, 4, 6, None), (float("nan"), 4, 6, False), (float("inf"), 4, None, False)],
)  # fmt: skip
def test_a_bar_holds_or_not_or_was_not_measured(value, low, high, holds):
    assert row(value, low, high).holds is holds


def test_the_table_tells_what_was_missed_and_what_was_not_measured():
    rows = [row(5, 4, 6), row(9, 4, 6), row(None, 4, 6), row(1.5)]
    table = as_table(rows)
    assert "MISSED" in table and "not measured here" in table and "4 to 6" in table
    assert table.splitlines()[-1] == "1 of 2 bars hold."
    assert missed(rows) == [rows[1]]


def test_json_is_plain_and_says_whether_all_holds():
    data = to_json(as_json([row(5, 4, 6), row(float("nan"), 0, 1)], seed=3))
    assert json.loads(json.dumps(data, allow_nan=False)) == data
    assert data["seed"] == 3 and data["all_hold"] is False and data["missed"] == ["physics.x"]
    assert data["rows"][0]["holds"] is True and data["rows"][1]["value"] is None


def test_a_sheet_leaves_out_what_is_not_a_number_and_says_how_many_there_were():
    sheet = Sheet("image")
    sheet.percentile(100, "top", "value", [1, 5, np.nan], high=4)
    sheet.mean("mean", "value", [1, 5])
    sheet.share("share", "value", [True, False])
    sheet.percentile(50, "none", "value", [], low=0)
    top, mean, share, none = sheet.rows
    assert top.value == 5 and top.n == 2 and top.holds is False and top.words.startswith("largest")
    assert mean.value == 3 and share.value == 50 and none.holds is False
