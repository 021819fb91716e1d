"""What may be asked of a model: what cannot be is refused in one sentence, before any work."""

import math
from collections.abc import Sequence

from echopulse.ecg import ECG
from echopulse.errors import InputError
from echopulse.model.config import GeneratorConfig, TokenizerConfig
from echopulse.model.generator import AGE_RANGE, EF_RANGE, NOBODY, Patient
from echopulse.model.sampling import ORDERS, Sampling
from echopulse.pictures import Picture

SHORTEST_S = 2.0
MOST_SAMPLES = 1000
STARTS = ("phantom", "generated")


def check_options(
    config: GeneratorConfig, view: str, ef: float | None, patient: Patient, seed: int, start: str, sampling: Sampling
) -> None:
    """InputError for what a generator cannot do, whatever the ECG."""
    if view not in config.views:
        raise InputError(f"--view {view}: this model knows {', '.join(config.views)}.")
    if ef is not None and not EF_RANGE[0] <= ef <= EF_RANGE[1]:
        percent = f" ({ef / 100:g} for {ef:g} %)" if 1 < ef <= 100 * EF_RANGE[1] else ""
        low, high = EF_RANGE
        raise InputError(f"--ef {ef:g}: an ejection fraction between {low} and {high} is expected{percent}.")
    check_patient(config, patient)
    if start not in STARTS:
        raise InputError(f"--start {start}: expected {' or '.join(STARTS)}.")
    check_seed(seed)
    check_sampling(sampling)


def check_quantile(quantile: float) -> None:
    """InputError for a place within what is likely that is none."""
    if not 0 < quantile < 1:
        raise InputError(f"ef_quantile {quantile:g}: between 0 and 1 is expected, 0.5 for the middle.")


def check_patient(config: GeneratorConfig, patient: Patient) -> None:
    """InputError for an age or a sex that cannot be, or that a generator has not learned from."""
    if patient != NOBODY and not config.patient:
        raise InputError("--age, --sex: this model has learned from neither; leave them out.")
    if patient.age_years is not None and not AGE_RANGE[0] <= patient.age_years <= AGE_RANGE[1]:
        low, high = AGE_RANGE
        raise InputError(f"--age {patient.age_years:g}: between {low:g} and {high:g} years are expected.")
    if patient.sex not in (None, "f", "m"):
        raise InputError(f"--sex {patient.sex}: f or m is expected.")


def check_sampling(sampling: Sampling) -> None:
    """InputError for a way of drawing tokens that cannot be."""
    if sampling.steps < 1:
        raise InputError(f"--steps {sampling.steps}: at least one pass per window is needed.")
    if sampling.corrections < 0 or sampling.opening < 0:
        raise InputError(f"{min(sampling.corrections, sampling.opening)} passes: none or more are expected.")
    if sampling.tries < 1:
        raise InputError(f"tries {sampling.tries}: at least one is needed.")
    if not (math.isfinite(sampling.temperature) and sampling.temperature >= 0 and 0 <= sampling.min_p <= 1):
        raise InputError(
            f"temperature {sampling.temperature:g} and min_p {sampling.min_p:g}: a number from 0 on and a share from 0 "
            "to 1 are expected."
        )
    if sampling.order not in ORDERS:
        raise InputError(f"--order {sampling.order}: expected {' or '.join(ORDERS)}.")
    if sampling.guidance is not None and not math.isfinite(sampling.guidance):
        raise InputError(f"--guidance {sampling.guidance:g}: a number is expected, 1 for none.")


def check_images(
    images: Sequence[tuple[Picture, float]], image: Picture | None, seconds: float, fps: float, config: TokenizerConfig
) -> None:
    """InputError for a later picture that lies at no latent frame of its own within the clip."""
    if images and image is None:
        raise InputError("--image FILE@SECONDS: later pictures need a first one of the same heart, without a time.")
    taken = {0}
    for _, at in images:
        place = config.latent_at(at, fps) if 0 < at <= seconds else 0
        if place in taken:
            apart = config.frames_per_latent / fps
            raise InputError(
                f"--image at {at:g} s: times after 0 and up to {seconds:g} s that are {apart:g} s or more "
                "apart are expected."
            )
        taken.add(place)


def check_length(ecg: ECG, seconds: float, fps: float) -> int:
    """How many frames a clip has; InputError for lengths and rates that cannot be."""
    if not 5 <= fps <= 100:
        raise InputError(f"--fps {fps:g}: between 5 and 100 frames per second are expected.")
    frames = round(seconds * fps) if math.isfinite(seconds) else 0
    if frames < 2:
        raise InputError(f"--seconds {seconds:g}: at least two frames are needed; ask for longer.")
    if ecg.duration_s < SHORTEST_S:
        raise InputError(
            f"{ecg.provenance.get('path', 'ECG')}: {ecg.duration_s:.1f} s of ECG at {ecg.rate_hz:g} Hz; at least "
            f"{SHORTEST_S:g} s are needed to find a rhythm. Export the whole recording."
        )
    return frames


def check_samples(count: int, seed: int) -> None:
    """InputError for a number of clips, or for the last one's seed, that cannot be."""
    if not 1 <= count <= MOST_SAMPLES:
        raise InputError(f"--samples {count}: from 1 to {MOST_SAMPLES} clips of an ECG are made at once.")
    check_seed(seed)
    check_seed(seed + count - 1)


def check_seed(seed: int) -> None:
    """InputError for a seed that no generator of random numbers takes."""
    if abs(seed) >= 2**63:
        raise InputError(f"--seed {seed}: a whole number of at most 18 digits is expected.")
