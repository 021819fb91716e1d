"""The project's own features: fixed, named by a hash, on a fixed grid of frames."""

import numpy as np
import pytest
import torch

from echopulse.errors import InputError
from echopulse.evaluate.features import EchoFeatures, FeatureSet, on_grid
from echopulse.measure import Segmenter, SegmenterConfig


def tiny(seed: int = 0) -> Segmenter:
    generator = torch.Generator().manual_seed(seed)
    network = Segmenter(SegmenterConfig(size=32, channels=(16, 24)))
    for parameter in network.parameters():
        parameter.data = 0.3 * torch.randn(parameter.shape, generator=generator)
    return network


@pytest.fixture(scope="module")
def features() -> EchoFeatures:
    return EchoFeatures.bundled(tiny())


def clip(frames: int = 40, side: int = 32, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 255, (frames, side, side)).astype(np.uint8)


def test_frame_features_are_the_means_of_every_channel_on_the_way_down(features):
    frames = clip(3)
    found = features.frames(frames)
    stages = features.network.encode(torch.from_numpy(frames).float() / 255)
    assert found.shape == (3, 40)
    assert found[1, :16] == pytest.approx(stages[0][1].mean((1, 2)).numpy(), abs=1e-5)
    assert found[1, 16:] == pytest.approx(stages[1][1].mean((1, 2)).numpy(), abs=1e-5)


def test_features_stay_while_the_measurer_they_came_from_changes():
    measurer = tiny()
    features = EchoFeatures.bundled(measurer)
    before = features.hash
    measurer.down[0][0].weight.data += 1
    assert features.hash == before == EchoFeatures.bundled(tiny()).hash
    assert EchoFeatures.bundled(measurer).hash != before
    assert EchoFeatures.bundled(tiny(1)).hash != before


def test_pictures_of_any_shape_are_padded_to_a_square(features):
    wide = np.zeros((1, 32, 64), np.uint8)
    wide[:, 8:24, 16:48] = 200
    square = np.pad(wide, ((0, 0), (16, 16), (0, 0)))
    assert features.frames(wide) == pytest.approx(features.frames(square))


def test_the_grid_takes_the_nearest_frames_at_25_per_second():
    assert on_grid(5, 25).tolist() == [0, 1, 2, 3, 4]
    assert on_grid(9, 50).tolist() == [0, 2, 4, 6, 8]
    assert on_grid(5, 12.5).tolist() == [0, 0, 1, 2, 2, 2, 3, 4, 4]
    with pytest.raises(InputError, match="frame rate"):
        on_grid(5, 0)


def test_a_clips_features_are_the_mean_of_its_windows(features):
    frames = clip(40)
    windows = features.windows(frames, 25)
    assert windows.shape == (2, 96)
    assert features.windows(frames[:16], 25)[0] == pytest.approx(windows[0], rel=1e-4, abs=1e-6)  # of another batch
    assert features.clips([frames, frames[16:32]], 25)[0] == pytest.approx(windows.mean(0), rel=1e-4, abs=1e-6)
    assert features.clips([frames, frames[16:32]], 25)[1] == pytest.approx(windows[1], rel=1e-4, abs=1e-6)


def test_a_still_clip_has_no_motion_and_a_shuffled_one_more_than_its_own(features):
    still = np.repeat(clip(1), 16, 0)
    assert np.abs(features.windows(still, 25)[0, 32:]).max() < 1e-3
    ramp = (np.linspace(0, 1, 16)[:, None, None] * clip(1, seed=2)).astype(np.uint8)
    shuffled = ramp[np.random.default_rng(1).permutation(16)]
    calm, wild = features.windows(ramp, 25)[0], features.windows(shuffled, 25)[0]
    assert wild[:64] == pytest.approx(calm[:64], abs=1e-3)  # the same pictures
    assert wild[64:].mean() > 2 * calm[64:].mean()


def test_too_short_a_clip_and_none_are_refused(features):
    with pytest.raises(InputError, match=r"15 frames at 25 frames/s: FVD-echo needs 0.64 s"):
        features.windows(clip(15), 25)
    with pytest.raises(InputError, match="no clips"):
        features.clips([], 25)


def test_a_feature_file_is_read_back_and_refused_when_of_other_weights(features, tmp_path):
    path = tmp_path / "real.safetensors"
    values = features.clips([clip()], 25)
    FeatureSet(values, "echo", features.hash, {"clips": "one"}).save(path)
    again = FeatureSet.load(path, "echo", features.hash)
    assert np.array_equal(again.values, values) and again.about == {"clips": "one"}
    with pytest.raises(InputError, match=f"with hash {features.hash}, expected echo with 0123"):
        FeatureSet.load(path, "echo", "0123")
    path.write_bytes(b"none")
    with pytest.raises(InputError, match="no feature file"):
        FeatureSet.load(path, "echo", features.hash)
    with pytest.raises(InputError, match="no such"):
        FeatureSet.load(tmp_path / "absent", "echo", features.hash)
