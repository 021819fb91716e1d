"""Feature networks of others, from files that the user supplies: Inception for FID, I3D for FVD, LPIPS.

None is bundled, none is fetched. Hashes are checked as far as they are published; the hash that was found goes into the
report beside the figure. All three learned from photographs or films of people, so on ultrasound they are proxies.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F

from echopulse.errors import InputError
from echopulse.evaluate.metrics.inception import FEATURES, SIDE, Inception
from echopulse.evaluate.metrics.perceptual import TRUNKS, PerceptualNetwork, load_lpips
from echopulse.published import Source, check_file, file_sha256, fit, read_state_dict

INCEPTION = Source("the FID Inception network", "pt_inception-2015-12-05-6726825d.pth", "6726825d")
I3D = Source("I3D trained on Kinetics-400, as TorchScript", "i3d_torchscript.pt")
I3D_FEATURES = 400
FVD_FRAMES = (16, 128)
FRAMES_AT_ONCE, CLIPS_AT_ONCE = 16, 4


@dataclass(frozen=True, eq=False)
class FrameNetwork:
    """Inception of the FID; `sha256` is that of its file."""

    network: Inception
    sha256: str

    @torch.inference_mode()
    def frames(self, frames: np.ndarray, side: int = SIDE) -> np.ndarray:
        """Grey frames uint8 [t, h, w] -> features float32 [t, 2048].

        As the ported FID has it: three equal colours, `side` x `side` pixels by bilinear interpolation, -1..1.
        """
        found = []
        for start in range(0, len(frames), FRAMES_AT_ONCE):
            x = torch.from_numpy(np.ascontiguousarray(frames[start : start + FRAMES_AT_ONCE])).float()[:, None] / 255
            x = F.interpolate(x, (side, side), mode="bilinear", align_corners=False)
            found.append(self.network((2 * x - 1).expand(-1, 3, -1, -1)))
        return torch.cat(found).numpy() if found else np.zeros((0, FEATURES), np.float32)


@dataclass(frozen=True, eq=False)
class ClipNetwork:
    """I3D of the FVD (Unterthiner et al. 2019), whose 400 outputs are the features; `sha256` is that of its file."""

    network: torch.jit.ScriptModule
    sha256: str

    @torch.inference_mode()
    def clips(self, clips: Sequence[np.ndarray], frames: int = 16) -> np.ndarray:
        """The first `frames` frames of every clip uint8 [t, h, w] -> features float32 [n, 400].

        Standard preprocessing: three equal colours, 0..255, from there to 224 x 224 pixels and -1..1 inside the
        network (`resize`, `rescale`); frames at the clip's own rate.
        """
        short = [(i, len(clip)) for i, clip in enumerate(clips) if len(clip) < frames]
        if short:
            raise InputError(
                f"clip {short[0][0]} has {short[0][1]} frames: FVD over {frames} needs as many; give longer clips "
                f"or leave FVD{frames} out ({len(short)} of {len(clips)} are too short)."
            )
        found = []
        for start in range(0, len(clips), CLIPS_AT_ONCE):
            x = np.stack([clip[:frames] for clip in clips[start : start + CLIPS_AT_ONCE]])
            x = torch.from_numpy(x).float()[:, None].expand(-1, 3, -1, -1, -1)  # [b, 3, t, h, w]
            found.append(self.network(x, rescale=True, resize=True, return_features=True))
        features = torch.cat(found).float()
        if features.shape != (len(clips), I3D_FEATURES):
            raise InputError(
                f"the network gives features {tuple(features.shape)} for {len(clips)} clips; {I3D_FEATURES} a clip are "
                f"expected, give {I3D.file}."
            )
        return features.numpy()


@dataclass(frozen=True, eq=False)
class Networks:
    """What the user supplied; None where nothing."""

    inception: FrameNetwork | None = None
    i3d: ClipNetwork | None = None
    lpips: PerceptualNetwork | None = None
    hashes: Mapping[str, str] | None = None  # SHA-256 of every file by its name among `NAMES`


NAMES = ("inception", "i3d", "lpips-alex", "lpips-vgg", "lpips-heads")


def load_inception(path: str | Path, sha256: str | None = None) -> FrameNetwork:
    """The FID network from its ported state dict, hash, names and shapes checked."""
    state = read_state_dict(path, INCEPTION, sha256)
    return FrameNetwork(fit(Inception(), state, path), file_sha256(path))


def load_i3d(path: str | Path, sha256: str | None = None) -> ClipNetwork:
    """The FVD network from TorchScript; no hash of it is published, so it is checked only against one that is given.

    TorchScript holds a program: take it from a source that you trust.
    """
    digest = check_file(path, I3D, sha256)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # the published form is what it is
            network = torch.jit.load(str(path), map_location="cpu").eval()
    except (RuntimeError, ValueError) as error:
        raise InputError(f"{path}: no TorchScript; give {I3D.name}, published as {I3D.file}.") from error
    return ClipNetwork(network, digest)


def feature_files(text: str | None, option: str = "--features") -> dict[str, Path]:
    """`i3d=FILE,inception=FILE` as a dictionary of paths that exist; empty without a text. `option` is what held it."""
    found: dict[str, Path] = {}
    for pair in (text or "").split(",") if text else []:
        name, equals, path = pair.strip().partition("=")
        if not equals or not path:
            raise InputError(f"{option} {pair.strip()}: NAME=FILE is expected, as in i3d=i3d_torchscript.pt.")
        if not Path(path).is_file():
            raise InputError(f"{option} {name}={path}: there is no such file.")
        found[name] = Path(path)
    return found


def load_networks(files: Mapping[str, str | Path], sha256: Mapping[str, str] | None = None) -> Networks:
    """All networks that the user has files for, by the names of `NAMES`; `sha256` by the same names."""
    sha256 = sha256 or {}
    unknown = [name for name in (*files, *sha256) if name not in NAMES]
    if unknown:
        raise InputError(f"{unknown[0]}: no such feature network; the names are {', '.join(NAMES)}.")
    trunks = [kind for kind in TRUNKS if f"lpips-{kind}" in files]
    if len(trunks) > 1 or bool(trunks) != ("lpips-heads" in files):
        raise InputError("LPIPS needs two files: one trunk (lpips-alex or lpips-vgg) and its lpips-heads.")
    lpips = None
    if trunks:
        name = f"lpips-{trunks[0]}"
        digests = dict(trunk_sha256=sha256.get(name), heads_sha256=sha256.get("lpips-heads"))
        lpips = load_lpips(trunks[0], files[name], files["lpips-heads"], **digests)
    return Networks(
        inception=load_inception(files["inception"], sha256.get("inception")) if "inception" in files else None,
        i3d=load_i3d(files["i3d"], sha256.get("i3d")) if "i3d" in files else None,
        lpips=lpips,
        hashes={name: file_sha256(path) for name, path in files.items()},
    )
