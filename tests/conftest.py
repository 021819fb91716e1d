"""Fixtures for every room's tests."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLES = REPOSITORY.parent / "shared" / "samples"


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A whole model folder of the smallest size with random weights: pictures of noise, made in milliseconds."""
    import torch

    from echopulse.measure import Segmenter, SegmenterConfig
    from echopulse.model.checkpoint import save_config, save_weights
    from echopulse.model.config import PRESETS
    from echopulse.model.generator import Generator
    from echopulse.model.tokenizer import Tokenizer

    folder = tmp_path_factory.mktemp("tiny-model")
    measurer = SegmenterConfig(size=32, channels=(8, 8, 8), groups=4)
    torch.manual_seed(0)
    save_weights(Tokenizer(PRESETS["tiny"]["tokenizer"]), folder / "tokenizer")
    save_weights(Generator(PRESETS["tiny"]["generator"]), folder / "generator")
    save_weights(Segmenter(measurer), folder / "measurer")
    save_config(folder, **PRESETS["tiny"], measurer=measurer, name="tiny")
    return folder


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def samples() -> Path:
    """The folder of real recordings; where it is missing, the test is skipped and the folder named."""
    if not SAMPLES.is_dir():
        pytest.skip(f"real recordings: {SAMPLES} is missing")
    return SAMPLES
