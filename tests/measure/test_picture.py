"""Pictures of a measurement: sizes, and that they show what was found."""

from dataclasses import replace

import av
import numpy as np
import pytest

from echopulse.echo.types import Clip
from echopulse.echo.write import write_film
from echopulse.errors import InputError
from echopulse.measure import measure_masks
from echopulse.measure.picture import overlay_frames, plot_page

TIMES = np.arange(40) * 0.04


@pytest.fixture(scope="module")
def measured():
    y, x = np.mgrid[:64, :80]
    systole = (1 - np.cos(2 * np.pi * 75 / 60 * (TIMES - 0.1))) / 2
    widths = 16 * np.sqrt(1 - 0.5 * systole)
    masks = np.stack([(y <= 48) & (((y - 40) / 30) ** 2 + ((x - 40) / a) ** 2 <= 1) for a in widths])
    clip = Clip(np.where(masks, 5, 30).astype(np.uint8), TIMES, view="a4c", pixel_spacing_cm=0.2, synthetic=True)
    return clip, measure_masks(masks, TIMES, pixel_spacing_cm=0.2, view="a4c")


def test_every_frame_carries_its_outline_and_the_film_can_be_read_again(measured, tmp_path):
    clip, found = measured
    frames = list(overlay_frames(found, replace(clip, synthetic=False), 160))
    assert len(frames) == 40 and frames[0].shape == (128, 160, 3) and frames[0].dtype == np.uint8
    yellow = (frames[0][..., 0] > 200) & (frames[0][..., 2] < 120)
    rows, columns = np.nonzero(yellow[:100])
    # the outline of a cavity that spans columns 24 to 56 and begins at row 10, twice as large
    assert 40 < columns.min() < 56 and 106 < columns.max() < 122 and 16 < rows.min() < 26
    written = write_film(clip, iter(frames), tmp_path / "overlay.mp4")
    with av.open(str(written)) as film:
        shown = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
    assert len(shown) == 40 and np.abs(shown[0].astype(int) - frames[0]).mean() < 8
    with pytest.raises(InputError, match="exists already"):
        write_film(clip, iter(frames), tmp_path / "overlay.mp4")


def test_the_page_is_drawn_with_and_without_beats(measured):
    clip, found = measured
    page = plot_page(found, clip)
    assert page.ndim == 3 and page.shape[2] == 3 and page.dtype == np.uint8 and page.shape[1] == 1100
    still = measure_masks(found.masks[:8] & False, TIMES[:8], view="psax_mitral")
    empty = plot_page(still, Clip(clip.frames[:8], TIMES[:8]))
    assert empty.shape == page.shape and not np.array_equal(empty, page)


def test_the_page_of_irregular_beats_warns_at_its_foot(measured):
    clip, found = measured
    amber = []
    for begins in (24, 32):  # frames after which the third beat begins
        beats = {"ed_frames": np.array([0, 12, begins]), "es_frames": np.array([6, 18, begins + 6])}
        page = plot_page(replace(found, **beats, ef_per_beat=np.full(3, 0.5)), clip).astype(int)
        foot = page[round(0.94 * len(page)) :]
        amber.append((foot[..., 0] - foot[..., 2] > 100).any())
    assert amber == [False, True]
