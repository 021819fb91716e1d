"""A heart made by hand, in milliseconds: what the file layouts are tested with."""

from dataclasses import dataclass
from types import SimpleNamespace

import pytest
import torch

from echopulse.phantom import PhantomClips
from echopulse.phantom.types import LABELS, ORIGINS, Truth

EDV_ML, ESV_ML = 120.0, 54.0
R_PEAKS = (-0.9, 0.1, 0.9, 1.7)  # seconds from the first frame
SPACING_CM = 15.0  # of the whole picture


@dataclass
class Parameters:
    """What was drawn for one heart, as far as the layouts ask."""

    patients: SimpleNamespace

    def of(self, i: int) -> dict[str, object]:
        return {"patients.age_years": float(self.patients.age_years[i]), "patients.pathology": "healthy"}


def hand_made(
    n: int = 1, *, frames: int = 60, fps: float = 50.0, size: int = 64, seed: int = 0, view: object = None,
    leads: object = 2, rhythm: str = "sinus", seconds: float | None = None, **pinned: object,
) -> PhantomClips:  # fmt: skip
    """One clip of a truncated ellipse that beats at R_PEAKS, with the volume of the solid that it is a plane of."""
    assert n == 1
    frames = frames if seconds is None else max(round(seconds * fps), 1)
    view = view if isinstance(view, str) else (list(view) if view else ["a4c", "plax"])[seed % 2 if view is None else 0]
    times = torch.arange(frames) / fps
    phase = ((times[:, None] - torch.tensor(R_PEAKS) - 0.05) / 0.3).clamp(0, 1)  # ejection of 0.3 s from 50 ms after R
    filling = ((times[:, None] - torch.tensor(R_PEAKS) - 0.40) / 0.3).clamp(0, 1)
    stroke = 0.0 if rhythm == "asystole" else EDV_ML - ESV_ML
    volume = EDV_ML - stroke * (phase - filling).sum(1)
    labels = torch.stack([_picture(float(now), size) for now in volume])[None]
    noise = torch.randint(0, 40, labels.shape, generator=torch.Generator().manual_seed(seed))
    level = torch.tensor([30, 10, 150, 10, 10, 10, 10])[labels.long()]
    sector = _sector(size)
    beats = len(R_PEAKS)
    r_peaks = torch.tensor([[*R_PEAKS, torch.nan]])
    shift = lambda by: r_peaks + by  # noqa: E731
    names = ("I", "II", "V5")[:leads] if isinstance(leads, int) else tuple(leads)
    ecg_times = torch.arange(round((1.6 + frames / fps + 0.4) * 200)) / 200 - 1.6
    wave = torch.exp(-((ecg_times[:, None] - torch.tensor(R_PEAKS)) / 0.012).square()).sum(1)
    return PhantomClips(
        frames=((level + noise) * sector[:, None]).to(torch.uint8),
        times_s=times,
        ecg=torch.stack([wave * (lead + 1) / 2 for lead in range(len(names))])[None],
        ecg_times_s=ecg_times,
        lead_names=(names,),
        truth=Truth(
            labels=labels, volume_ml=volume[None], mitral_opening=volume[None] * 0, aortic_opening=volume[None] * 0,
            tricuspid_opening=volume[None] * 0, lv_length_cm=volume[None] * 0 + 8, atria_s=shift(-0.16),
            ef_per_beat=shift(0) * 0 + 0.55, gls_per_beat=shift(0) * 0 - 0.2, mapse_cm_per_beat=shift(0) * 0 + 1.3,
            ed_times_s=shift(0.05), es_times_s=shift(0.35), r_peaks_s=r_peaks, p_onsets_s=shift(-0.16),
            q_onsets_s=shift(-0.04), t_ends_s=shift(0.34), times_s=times, sector=sector,
            origin=torch.tensor([[0] * (beats - 1) + [ORIGINS.index("ventricular"), 0]]),
            pixel_spacing_cm=torch.tensor([SPACING_CM / size]), view=(view,), ef=torch.tensor([1 - ESV_ML / EDV_ML]),
            edv_ml=torch.tensor([EDV_ML]), rhythm=(rhythm,), conduction=("normal",), pathology=("healthy",),
            displacement_cm=None,
        ),
        parameters=Parameters(SimpleNamespace(age_years=torch.tensor([61.0]), female=torch.tensor([1.0]))),
        seed=seed, fps=fps, ecg_rate_hz=200.0,
    )  # fmt: skip


def _picture(volume_ml: float, size: int) -> torch.Tensor:
    """Cavity, wall and atrium, uint8 [size, size]; V = pi a² c ((1 + tau) - (tau³ + 1) / 3), truncated ellipsoid."""
    tau, c = 0.45, 5.5
    a = (volume_ml / (torch.pi * c * ((1 + tau) - (tau**3 + 1) / 3))) ** 0.5
    y, x = torch.meshgrid(*[(torch.arange(size) + 0.5) * SPACING_CM / size] * 2, indexing="ij")
    along, across = y - 7.5, x - 7.5
    above = along < tau * c
    labels = torch.zeros(size, size, dtype=torch.uint8)
    labels[(across / (a + 1)).square() + (along / (c + 1)).square() < 1] = LABELS.index("myocardium")
    labels[(across / 2.2).square() + ((along - 4.5) / 2.5).square() < 1] = LABELS.index("la")
    labels[above & ((across / a).square() + (along / c).square() < 1)] = LABELS.index("lv")
    return labels


def _sector(size: int) -> torch.Tensor:
    y, x = torch.meshgrid(torch.arange(size), torch.arange(size), indexing="ij")
    return ((x - size / 2).abs() < 0.7 * y + 2)[None] & (torch.hypot(x - size / 2, y.float()) < 0.95 * size)[None]


@pytest.fixture(scope="session")
def make_heart():
    return hand_made


@pytest.fixture
def heart():
    return hand_made()


@pytest.fixture
def by_hand(monkeypatch):
    """Exports in this process use the heart made by hand; gives the options of every call."""
    calls = []

    def simulate(n, **options):
        calls.append(options)
        return hand_made(n, **options)

    monkeypatch.setattr("echopulse.data.plan.simulate", simulate)
    return calls
