"""Pictures that are given: read as they are, refused where they are of another size or surely of another view."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.measure import Segmenter, SegmenterConfig
from echopulse.pictures import check_view, read_picture

KNOWN = ("a4c", "a2c")


def picture(size: int = 32) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 255, (size, size), dtype=np.uint8)


def measurer(view: int | None, sure: float = 50.0) -> Segmenter:
    """Looks at nothing and says that it sees this view; None: knows no views."""
    segmenter = Segmenter(SegmenterConfig(size=32, channels=(8, 8, 8), groups=4, views=0 if view is None else 7)).eval()
    if view is not None:
        torch.nn.init.zeros_(segmenter.view_head.weight)
        segmenter.view_head.bias.data = sure * torch.nn.functional.one_hot(torch.tensor(view), 7).float()
    return segmenter


def test_an_array_is_taken_as_it_is():
    assert np.array_equal(read_picture(picture(), 32).numpy(), picture())


@pytest.mark.parametrize(
    ("image", "words"),
    [
        (picture(48), r"\[48, 48\] pixels; this model takes 32 by 32"),
        (picture().astype(np.float32), r"uint8 \[h, w\] is expected, got float32"),
        (picture()[None], r"uint8 \[h, w\] is expected, got uint8 \[1, 32, 32\]"),
    ],
)
def test_what_is_no_picture_of_this_size_is_refused(image, words):
    with pytest.raises(InputError, match=words):
        read_picture(image, 32)


def test_a_picture_that_is_surely_of_another_view_is_named_with_that_view():
    with pytest.raises(InputError, match=r"ed\.png: this looks like a2c \(100 % sure\), not a4c; say --view a2c"):
        check_view(torch.from_numpy(picture()), "a4c", "ed.png", measurer(1), KNOWN)


def test_no_view_is_advised_that_the_generator_does_not_make():
    with pytest.raises(InputError, match="looks like plax .* this model makes a4c and a2c alone, so give") as refused:
        check_view(torch.from_numpy(picture()), "a4c", "ed.png", measurer(3), KNOWN)
    assert "--view" not in str(refused.value)


@pytest.mark.parametrize(("view", "sure"), [(0, 50.0), (3, 2.0), (None, 0.0)])
def test_the_view_asked_for_doubt_and_measurers_of_one_view_pass(view, sure):
    check_view(torch.from_numpy(picture()), "a4c", "ed.png", measurer(view, sure), KNOWN)


def test_pictures_of_another_size_than_the_measurers_are_not_judged():
    check_view(torch.from_numpy(picture(48)), "a4c", "ed.png", measurer(3), KNOWN)
