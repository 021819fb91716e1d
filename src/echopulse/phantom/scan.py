"""The heart before the scanner: a plane through the moving anatomy becomes pictures, and what they show is known."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import torch
import torch.nn.functional as F
from torch import Generator, Tensor

from echopulse.phantom.anatomy.deformation import material_points
from echopulse.phantom.anatomy.heart import AnatomyParameters
from echopulse.phantom.anatomy.labels import chamber_map, displacement_picture, label_picture
from echopulse.phantom.anatomy.planes import Plane, cut, heart_points, picture_depth_cm, reference_cut
from echopulse.phantom.anatomy.slab import Slab, reference_slab, sample_slab, slab_points
from echopulse.phantom.anatomy.tissue import paint_tissue
from echopulse.phantom.anatomy.valves import Valves, paint_valves, prepare_valves
from echopulse.phantom.anatomy.wall import HeartShape, heart_shape
from echopulse.phantom.breath import inhaled
from echopulse.phantom.parameters import PhantomParameters
from echopulse.phantom.scanner.image import Acquisition, form_image, prepare, shift_along_beam
from echopulse.phantom.types import Motion

CPU_CHUNK, GPU_CHUNK = 13, 1024  # frames rendered at once: what fits the cache, or fills the device
POLAR_NODES = (64, 48)  # depths and beams at which the tissue's movement is worked out


@dataclass(frozen=True)
class Scan:
    """What the scanner shows of b hearts and what every pixel of it is."""

    frames: Tensor  # uint8 [b, t, h, w]; float32 0..255 where they were not to be rounded
    labels: Tensor  # uint8 [b, t, h, w], index into types.LABELS
    sector: Tensor  # bool [b, h, w]
    pixel_spacing_cm: Tensor  # float32 [b], pixels are square
    displacement_cm: Tensor | None  # float32 [b, t, h, w, 2]

    @classmethod
    def join(cls, scans: Sequence[Scan]) -> Scan:
        """Several scans, one after the other."""
        parts = {name: [getattr(scan, name) for scan in scans] for name in vars(scans[0])}
        return cls(**{name: None if values[0] is None else torch.cat(values) for name, values in parts.items()})


@dataclass(frozen=True)
class _Subject:
    """Some hearts of a batch with all that stays the same through their clips."""

    parameters: PhantomParameters
    motion: Motion
    shape: HeartShape
    plane: Plane
    slab: Slab
    tissue: Tensor
    chambers: Tensor
    valves: Valves
    acquisition: Acquisition
    times_s: Tensor
    displacement: bool
    rounded: bool


def scan(
    parameters: PhantomParameters,
    motion: Motion,
    times_s: Tensor,
    *,
    size: int = 128,
    displacement: bool = False,
    rounded: bool = True,
    generator: Generator,
) -> Scan:
    """Pictures of b hearts at `times_s` [t], the times of `motion`, on the device where the parameters are.

    Random numbers come from the CPU, for each clip from a seed of its own, so that every device shows the same clip.
    Not `rounded` the frames are float32 0..255.
    """
    b, t = motion.volume_ml.shape
    on_cpu = motion.volume_ml.device.type == "cpu"
    if on_cpu:
        _let_memory_be_reused()
    group, step = (1, CPU_CHUNK) if on_cpu else (max(1, min(b, GPU_CHUNK // t)), min(t, GPU_CHUNK))
    seeds = torch.randint(2**62, (b,), generator=generator).tolist()
    generators = [Generator().manual_seed(seed) for seed in seeds]
    scans = []
    for start in range(0, b, group):
        rows = slice(start, start + group)
        subject = _prepare(
            parameters.rows(rows), motion.rows(rows), times_s, size, displacement, rounded, generators[rows]
        )
        pieces = [_render(subject, slice(first, first + step)) for first in range(0, t, step)]
        frames, labels, moved = (
            None if parts[0] is None else torch.cat(parts, 1) for parts in zip(*pieces, strict=True)
        )
        acquisition = subject.acquisition
        scans.append(Scan(frames, labels, acquisition.sector, acquisition.pixel_spacing_cm, moved))
    return Scan.join(scans)


@cache
def _let_memory_be_reused() -> None:
    """Keeps the C library from giving every tensor of a megabyte back to the system, which costs more than the sums.

    glibc maps large blocks anew each time until a larger block than these has been freed (mallopt(3),
    M_MMAP_THRESHOLD); elementwise operations then run about three times as fast. Once per process is enough.
    """
    torch.empty(31 * 2**20, dtype=torch.uint8)


def _prepare(
    parameters: PhantomParameters,
    motion: Motion,
    times_s: Tensor,
    size: int,
    displacement: bool,
    rounded: bool,
    generators: Sequence[Generator],
) -> _Subject:
    anatomy, probe = parameters.anatomy, parameters.probe
    acquisition = prepare(parameters.scanner, picture_depth_cm(anatomy, probe), size, generators)
    shape, plane = heart_shape(anatomy, motion), cut(anatomy, probe, times_s)
    reference = reference_cut(anatomy, probe)
    slab = reference_slab(anatomy, probe)
    tissue = paint_tissue(anatomy, parameters.patients, reference, *slab_points(slab), generators)
    valves = prepare_valves(anatomy, shape, motion, plane, generators)
    return _Subject(
        parameters, motion, shape, plane, slab, tissue, chamber_map(anatomy, slab), valves, acquisition, times_s,
        displacement, rounded,
    )  # fmt: skip


def _render(subject: _Subject, when: slice) -> tuple[Tensor, Tensor, Tensor | None]:
    """Frames, labels and displacements of some of a clip's times."""
    anatomy, acquisition = subject.parameters.anatomy, subject.acquisition
    motion, shape, plane = (part.between(when) for part in (subject.motion, subject.shape, subject.plane))
    points = heart_points(plane, acquisition.x_cm, acquisition.y_cm)
    painted = _painted_places(anatomy, (motion, shape, plane), acquisition, points)
    field = sample_slab(subject.slab, subject.tissue, *painted)
    field += paint_valves(subject.valves.between(when), acquisition.x_cm, acquisition.y_cm)
    deeper = shift_along_beam(points, painted, plane.origin)
    patients, times_s = subject.parameters.patients, subject.times_s[when]
    breath = inhaled(patients.breath_hz, patients.breath_phase, times_s)
    pulse = 1 - motion.rv_fraction
    frames = form_image(acquisition, field, times_s, pulse, breath, deeper, subject.rounded)

    pixels = acquisition.screen_x_cm, acquisition.screen_y_cm
    labels = label_picture(anatomy, (motion, shape, plane), *pixels, subject.slab, subject.chambers)
    moved = None
    if subject.displacement:
        first = tuple(part.between(slice(0, 1)) for part in (subject.motion, subject.shape, subject.plane))
        moved = displacement_picture(anatomy, (motion, shape, plane), first, *pixels)
    return frames, labels, moved


def _painted_places(
    anatomy: AnatomyParameters,
    now: tuple[Motion, HeartShape, Plane],
    acquisition: Acquisition,
    points: tuple[Tensor, Tensor, Tensor],
) -> tuple[Tensor, ...]:
    """`material_points` of the polar samples `points`, cheaper: how far tissue has moved is smooth and interpolated."""
    motion, shape, plane = now
    size = points[0].shape[2:]
    x, y = (_resample(place[:, None], POLAR_NODES)[:, 0] for place in (acquisition.x_cm, acquisition.y_cm))
    nodes = heart_points(plane, x, y)
    was = material_points(anatomy, shape, motion, *nodes)
    back = torch.cat([then - here for then, here in zip(was, nodes, strict=True)], 1)
    return tuple(place + way for place, way in zip(points, _resample(back, size).chunk(3, 1), strict=True))


def _resample(field: Tensor, size: Sequence[int]) -> Tensor:
    return F.interpolate(field, size=tuple(size), mode="bilinear", align_corners=True)
