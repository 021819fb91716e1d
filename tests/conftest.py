"""Fixtures for every room's tests."""

from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLES = REPOSITORY.parent / "shared" / "samples"


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
