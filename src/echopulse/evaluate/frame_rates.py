"""What a tokenizer loses at frame rates that it has not learned: the same simulated hearts, filmed at each."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from echopulse.errors import InputError
from echopulse.evaluate.reconstruction import reconstruction_scores
from echopulse.model.tokenizer import Tokenizer
from echopulse.phantom import simulate

AT_ONCE = 8
SEED = 955_000  # training seeds stay below 900,000
SAID = ("mse", "psnr_sector", "ssim_sector")


def errors_at_rates(
    tokenizer: Tokenizer,
    rates: Sequence[float],
    *,
    clips: int,
    seconds: float,
    seed: int = SEED,
    on_step: Callable[[float], None] = lambda _: None,
) -> list[dict[str, float]]:
    """For every rate in frames/s: `fps`, the mean `mse`, `psnr_sector` in dB and `ssim_sector` over all clips.

    The apical hearts are the same at every rate, `seconds` long but for the few pictures that a latent frame more would
    take. InputError where not a single latent frame fits.
    """
    per = tokenizer.config.frames_per_latent
    rows = []
    for number, fps in enumerate(rates):
        frames = 1 + int(seconds * fps + 1e-6) // per * per
        if frames == 1:
            raise InputError(f"{seconds:g} s at {fps:g} frames/s: {per} pictures at least are needed; ask for longer.")

        def pieces(number=number, fps=fps, frames=frames):
            for first in range(0, clips, AT_ONCE):
                count = min(AT_ONCE, clips - first)
                made = simulate(
                    count, seed=seed + first // AT_ONCE, frames=frames, fps=fps, view=("a4c", "a2c"), leads=1,
                    size=tokenizer.config.size,
                )  # fmt: skip
                yield from zip(made.frames, made.truth.sector, strict=True)
                on_step((number + (first + count) / clips) / len(rates))

        device = next(tokenizer.parameters()).device
        found = reconstruction_scores(tokenizer.eval(), pieces(), device).scores
        rows.append({"fps": fps} | {name: found[name] for name in SAID})
    return rows
