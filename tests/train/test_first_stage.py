"""Videos before echo: both courses are run to their end, and told apart in steps."""

import numpy as np
import pytest
from PIL import Image

from echopulse.errors import InputError
from echopulse.model.config import PRESETS
from echopulse.train.first_stage import Course, first_stage, to_table


def test_both_courses_are_measured_at_the_same_steps_and_a_second_call_trains_nothing(tmp_path):
    videos = tmp_path / "videos"
    videos.mkdir()
    draw = np.random.default_rng(0)
    for name in ("a", "b"):
        pictures = [Image.fromarray(draw.integers(0, 255, (48, 64, 3), np.uint8)) for _ in range(6)]
        pictures[0].save(videos / f"{name}.gif", save_all=True, append_images=pictures[1:], duration=40)
    options = {
        "config": PRESETS["tiny"]["tokenizer"], "clips": 2, "held_out": 2, "first_steps": 1, "steps": 2, "every": 1,
        "batch": 2,
    }  # fmt: skip
    alone, after = first_stage(tmp_path / "work", videos, **options)
    assert (alone.before, after.before) == (0, 1) and set(alone.mse) == set(after.mse) == {1, 2}
    assert alone.mse != after.mse
    checkpoint = (tmp_path / "work" / "alone" / "checkpoint.safetensors").stat().st_mtime_ns
    assert first_stage(tmp_path / "work", videos, **options) == [alone, after]
    assert (tmp_path / "work" / "alone" / "checkpoint.safetensors").stat().st_mtime_ns == checkpoint
    with pytest.raises(InputError, match="holds a study with steps 2, not 3"):
        first_stage(tmp_path / "work", videos, **options | {"steps": 3})


def test_a_folder_without_videos_is_refused(tmp_path):
    with pytest.raises(InputError, match="no videos"):
        first_stage(tmp_path, tmp_path / "none", config=PRESETS["tiny"]["tokenizer"], clips=2, held_out=2)


def test_steps_are_counted_to_what_the_first_course_reached_in_the_end():
    alone, after = Course("from chance", 0, {50: 0.4, 100: 0.2}), Course("after videos", 400, {50: 0.2, 100: 0.1})
    assert (alone.steps_to(0.2), after.steps_to(0.2), alone.steps_to(0.1)) == (100, 50, None)
    table = to_table([alone, after])
    assert "| 50 | 4.000e-01 | 2.000e-01 |" in table
    assert "MSE 2.000e-01 after videos: 50 steps on echo, 400 on videos" in table
