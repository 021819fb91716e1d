"""What a reader of echocardiograms measures in a left ventricle: outline, long axis, discs and volumes of its mask.

For apical views, apex above the base, and masks of one piece: a far speck may be taken for the apex. A pixel's centre
has whole coordinates, (x, y) = (column, row), and the pixel covers the unit square around it. The cavity's edge is
where the bilinearly interpolated mask passes one half, which keeps the flat base sharp; summing up the interpolated
mask itself blurs it and loses volume there.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

DISCS = 20
CHORDS_PER_DISC = 8
OUTLINE_POINTS = 64
SMALLEST_CAVITY_PIXELS = 25
FRAMES_AT_ONCE = 8  # what is worked on then stays in a processor's cache
UPRIGHT_PREFERENCE = 1.2  # vertical spread counts this much more, so that a round cavity is not laid on its side


@dataclass(frozen=True, eq=False)
class Chords:
    """What lies along and across the long axis of t cavities, float64, in pixels; NaN where there is no cavity.

    Attributes:
        axis: [t, 2], unit vector from apex to base.
        apex, base: [t, 2], where the long axis leaves the cavity.
        length: [t], of the cavity along the axis.
        start: [t, 2], the point on the line of the axis at the height where the cavity begins.
        height: [t], from there to where it ends, measured along the axis; an oblique base makes it exceed `length`.
        diameters: [t, 160], across the axis, in the middles of that many slices of equal height, apex first. Of a chord
            with gaps, the geometric mean of what is inside and of its extent, at most the widest other chord.
    """

    axis: np.ndarray
    apex: np.ndarray
    base: np.ndarray
    length: np.ndarray
    start: np.ndarray
    height: np.ndarray
    diameters: np.ndarray

    @property
    def sections(self) -> np.ndarray:
        """Areas of the 20 discs, of circular cross-section, [t, 20] px²: the mean over the chords of each."""
        squares = self.diameters**2
        return np.pi / 4 * squares.reshape(len(squares), DISCS, CHORDS_PER_DISC).mean(-1)

    @property
    def volumes(self) -> np.ndarray:
        """Simpson's rule in one plane, [t] px³: V = sum (pi/4) d_i² h/20 over 20 discs of circular cross-section.

        Lang et al. 2015, ASE/EACVI chamber quantification.
        """
        return self.sections.mean(1) * self.height


@dataclass(frozen=True, eq=False)
class Discs:
    """The long axis of one ventricle and what lies across it, from apex to base, in pixels.

    Attributes:
        apex, base: float64 [2], the ends of the axis that the discs stand on.
        left, right: float64 [20, 2], the ends of the chord through the middle of each disc.
        sections: float64 [20], area of each disc, of circular cross-section, px².
    """

    apex: np.ndarray
    base: np.ndarray
    left: np.ndarray
    right: np.ndarray
    sections: np.ndarray

    def volume_ml(self, pixel_cm: float) -> float:
        """Single-plane Simpson of these discs."""
        height = np.linalg.norm(self.base - self.apex) / DISCS
        return float(self.sections.sum() * height * pixel_cm**3)


def find_chords(masks: np.ndarray) -> Chords:
    """Long axis and diameters of masks, bool [t, h, w]; fewer than 25 pixels are no cavity."""
    masks = np.asarray(masks, dtype=bool)
    point, number = (len(masks), 2), (len(masks),)
    shapes = (point, point, point, number, point, number, (len(masks), DISCS * CHORDS_PER_DISC))
    found = Chords(*(np.full(shape, np.nan) for shape in shapes))
    present = np.flatnonzero(masks.sum((1, 2)) >= SMALLEST_CAVITY_PIXELS)
    for first in range(0, len(present), FRAMES_AT_ONCE):
        some = present[first : first + FRAMES_AT_ONCE]
        for name, values in vars(_chords_of_some(masks[some])).items():
            getattr(found, name)[some] = values
    return found


def biplane_volumes(four: np.ndarray, two: np.ndarray, four_cm: float, two_cm: float) -> np.ndarray:
    """Volume per frame [t], ml, from masks bool [t, h, w] of two apical views of one ventricle.

    Method of discs: V = (pi/4) sum a_i b_i h/20, a_i and b_i the diameters at the same height in the two views (Lang
    et al. 2015, ASE/EACVI chamber quantification). h is the mean of both, which are the same when both planes pass
    through the apex. Pixels measure `four_cm` and `two_cm`. NaN where either view shows no cavity.
    """
    a, b = find_chords(four), find_chords(two)
    height_cm = (a.height * four_cm + b.height * two_cm) / 2
    return np.pi / 4 * (a.diameters * b.diameters).mean(1) * four_cm * two_cm * height_cm


def area_length_volumes(areas: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """V = 8 A² / (3 pi L) from areas and lengths [t] in one plane, exact for an ellipsoid of revolution.

    Lang et al. 2015, ASE/EACVI chamber quantification. NaN where there is no length.
    """
    lengths = np.asarray(lengths, np.float64)
    return 8 * np.asarray(areas) ** 2 / (3 * np.pi * np.where(lengths > 0, lengths, np.nan))


def simpson_discs(mask: np.ndarray) -> Discs | None:
    """Long axis and discs of a mask, bool [h, w]; None where there is no cavity."""
    mask = np.asarray(mask, dtype=bool)
    chords = find_chords(mask[None])
    axis, start, height = chords.axis[0], chords.start[0], chords.height[0]
    if np.isnan(height):
        return None
    across = np.array([axis[1], -axis[0]])  # to the right where the axis points down
    across *= -1 if across[0] < 0 else 1
    middles = start + height * (np.arange(DISCS) + 0.5)[:, None] / DISCS * axis  # [20, 2]
    reach = np.arange(-sum(mask.shape), sum(mask.shape) + 1.0)
    points = middles[:, None] + reach[:, None] * across
    ends = _outer_crossings(_between_pixels(mask[None], points[None])[0])
    left, right = (middles + (reach[0] + end)[:, None] * across for end in ends)
    return Discs(start, start + height * axis, left, right, chords.sections[0])


def outline(mask: np.ndarray, points: int = OUTLINE_POINTS) -> np.ndarray:
    """The outline of a mask, bool [h, w] -> float32 [points, 2], NaN where there is no cavity.

    Evenly spaced, clockwise as seen, from above the cavity's middle on; the last point is followed by the first. Of
    several parts the longest line. It runs between the pixels' centres, smoothed over a pixel's width.
    """
    from contourpy import contour_generator

    mask = np.asarray(mask, dtype=bool)
    if mask.sum() < SMALLEST_CAVITY_PIXELS:
        return np.full((points, 2), np.nan, np.float32)
    soft = np.pad(mask.astype(np.float64), 2)
    for along in (0, 1):
        soft = (np.roll(soft, 1, along) + 2 * soft + np.roll(soft, -1, along)) / 4
    lines = contour_generator(z=soft).lines(0.5)
    if not lines:  # scattered pixels
        return np.full((points, 2), np.nan, np.float32)
    line = max(lines, key=len)[:-1] - 2
    x, y = (line - line.mean(axis=0)).T
    if np.dot(x, np.roll(y, -1)) < np.dot(y, np.roll(x, -1)):  # rows count downwards
        line, x, y = line[::-1], x[::-1], y[::-1]
    line = np.roll(line, -int(np.abs(np.arctan2(x, -y)).argmin()), axis=0)
    line = np.concatenate([line, line[:1]])
    passed = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(line, axis=0), axis=1))])
    at = np.arange(points) * passed[-1] / points
    return np.stack([np.interp(at, passed, line[:, place]) for place in (0, 1)], axis=1).astype(np.float32)


class _Pixels:
    """The set pixels of a stack of non-empty masks [t, h, w], grouped by frame."""

    def __init__(self, masks: np.ndarray):
        self.frame, rows, columns = np.nonzero(masks)
        self.points = np.stack([columns, rows], axis=1).astype(np.float64)  # [p, 2], (x, y)
        self.starts = np.searchsorted(self.frame, np.arange(len(masks)))
        self.centre = self.mean(self.points)  # [t, 2]
        self.offset = self.points - self.centre[self.frame]  # [p, 2]

    def mean(self, values: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """Mean over each frame's pixels: [p, ...] -> [t, ...]."""
        weights = np.ones(len(values)) if weights is None else weights
        total = np.add.reduceat((values.T * weights).T, self.starts, axis=0)
        return (total.T / np.add.reduceat(weights, self.starts)).T

    def farthest(self, score: np.ndarray, margin: float = 1.5) -> np.ndarray:
        """Mean position [t, 2] of each frame's pixels whose score [p] is within `margin` of the frame's largest.

        A blunt end has many almost equally far pixels; their mean does not jump from frame to frame.
        """
        chosen = score >= np.maximum.reduceat(score, self.starts)[self.frame] - margin
        return self.mean(self.points, chosen.astype(np.float64))

    def project(self, directions: np.ndarray) -> np.ndarray:
        """How far [p] each pixel lies from its frame's centre along that frame's direction [t, 2]."""
        return np.einsum("pd,pd->p", self.offset, directions[self.frame])


def _across(axis: np.ndarray) -> np.ndarray:
    """Unit vectors at right angles to `axis` [t, 2]."""
    return np.stack([-axis[:, 1], axis[:, 0]], axis=1)


def _directions(pixels: _Pixels) -> np.ndarray:
    """Unit vectors [t, 2] from apex to base.

    The principal axis gives a first direction; the corners of the base are then the outermost pixels 45 degrees to
    either side of it (true for any base cut across an ellipse, and insensitive to the first direction), the
    middle of the annulus lies between them, and the apex is the point farthest from it.
    """
    x, y = pixels.offset.T
    angle = 0.5 * np.arctan2(2 * pixels.mean(x * y), pixels.mean(x * x) - UPRIGHT_PREFERENCE * pixels.mean(y * y))
    axis = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    axis *= np.where(axis[:, 1:] < 0, -1.0, 1.0)
    for _ in range(2):
        along, across = pixels.project(axis), pixels.project(_across(axis))
        corners = [pixels.farthest((along + side * across) / np.sqrt(2)) for side in (1, -1)]
        annulus = 0.5 * (corners[0] + corners[1])
        distance = np.linalg.norm(pixels.points - annulus[pixels.frame], axis=1)
        # only the half of the cavity away from the base can hold the apex
        axis = annulus - pixels.farthest(np.where(along < 0, distance, -np.inf))
        axis /= np.linalg.norm(axis, axis=1, keepdims=True)
    return axis


def _chords_of_some(masks: np.ndarray) -> Chords:
    """`find_chords` of a few masks [t, h, w], none of them empty."""
    pixels = _Pixels(masks)
    axis = _directions(pixels)
    along, aside = pixels.project(axis), pixels.project(_across(axis))
    first = np.minimum.reduceat(along, pixels.starts) - 1  # an interpolated mask ends within a pixel of its centres
    last = np.maximum.reduceat(along, pixels.starts) + 1
    reach = np.ceil(np.abs(aside).max()) + 1
    count = DISCS * CHORDS_PER_DISC
    slice_height = (last - first) / count
    levels = first[:, None] + slice_height[:, None] * (np.arange(count) + 0.5)  # [t, count]
    aside = np.arange(-reach, reach + 1)  # one sample per pixel along each chord
    middles = pixels.centre[:, None] + levels[:, :, None] * axis[:, None]  # [t, count, 2]
    values = _between_pixels(masks, middles[:, :, None] + aside[:, None] * _across(axis)[:, None, None])
    inside, (left, right) = _length_above_half(values), _outer_crossings(values)  # [t, count]
    # Along a ragged base a chord is inside for part of its extent only; that part of a full disc is then there.
    extent = np.minimum(right - left, inside.max(1, keepdims=True))  # a stray pixel far aside widens nothing
    diameters = np.sqrt(inside * extent)

    filled = diameters > 0
    top, bottom = filled.argmax(1), count - filled[:, ::-1].argmax(1)
    begin, height = first + top * slice_height, (bottom - top) * slice_height
    on_axis = values[:, :, len(aside) // 2]
    length = _length_above_half(on_axis) * slice_height
    middle = (on_axis * levels).sum(1) / np.maximum(on_axis.sum(1), 1e-6)
    apex, base = (pixels.centre + (middle + side * length / 2)[:, None] * axis for side in (-1, 1))
    # the same number of slices from end to end in every frame
    at = top[:, None] + (bottom - top)[:, None] * (np.arange(count) + 0.5) / count - 0.5
    at = np.clip(at, top[:, None], bottom[:, None] - 1)
    above = np.minimum(at.astype(np.int64), count - 2)
    share = at - above
    rows = np.arange(len(masks))[:, None]
    diameters = diameters[rows, above] * (1 - share) + diameters[rows, above + 1] * share
    found = Chords(axis, apex, base, length, pixels.centre + begin[:, None] * axis, height, diameters)
    for values in vars(found).values():
        values[~filled.any(1)] = np.nan  # scattered pixels enclose nothing
    return found


def _between_pixels(masks: np.ndarray, points: np.ndarray) -> np.ndarray:
    """Bilinear values of masks [t, h, w] at points [t, ..., 2] given as (x, y); zero outside the picture."""
    height, width = masks.shape[1:]
    padded = np.pad(masks, ((0, 0), (1, 2), (1, 2))).astype(np.float32).reshape(-1)
    x = np.clip(points[..., 0] + 1, 0, width + 1).astype(np.float32)
    y = np.clip(points[..., 1] + 1, 0, height + 1).astype(np.float32)
    left, top = x.astype(np.int32), y.astype(np.int32)
    fx, fy = x - left, y - top
    frame = np.arange(len(masks), dtype=np.int64).reshape(-1, *[1] * (x.ndim - 1))
    corner = (frame * (height + 3) + top) * (width + 3) + left
    below = corner + width + 3
    upper = padded[corner] * (1 - fx) + padded[corner + 1] * fx
    lower = padded[below] * (1 - fx) + padded[below + 1] * fx
    return upper * (1 - fy) + lower * fy


def _length_above_half(values: np.ndarray) -> np.ndarray:
    """How much of the line through values [..., n], one step apart, lies above one half, in steps: [...]."""
    one, other = values[..., :-1], values[..., 1:]
    gap = np.abs(other - one)
    share = (np.maximum(one, other) - 0.5) / np.where(gap > 0, gap, 1e-9)
    return np.clip(share, 0, 1).sum(-1, dtype=np.float64)


def _outer_crossings(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where lines through values [..., n], one step apart, first rise and last fall through one half, [...] each.

    In steps from the first value; both are 0 where a line stays below. The lines begin and end outside the cavity.
    """
    inside = values >= 0.5
    some = inside.any(-1)
    ends = []
    for outer, step in ((inside.argmax(-1), -1), (values.shape[-1] - 1 - inside[..., ::-1].argmax(-1), 1)):
        here, beyond = (_pick(values, outer + by) for by in (0, step * some))
        ends.append(np.where(some, outer + step * (here - 0.5) / np.where(some, here - beyond, 1), 0.0))
    return ends[0], ends[1]


def _pick(values: np.ndarray, index: np.ndarray) -> np.ndarray:
    """One value of each line: values [..., n] at index [...] -> float64 [...]."""
    return np.take_along_axis(values, index[..., None], -1)[..., 0].astype(np.float64)
