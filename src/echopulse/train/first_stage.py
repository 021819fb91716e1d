"""Do natural videos teach a tokenizer anything about hearts? Echo after them, and echo from the start."""

import copy
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from echopulse.data.videos import load_videos
from echopulse.jobs import usable_cores
from echopulse.model.config import TokenizerConfig
from echopulse.model.tokenizer import Tokenizer
from echopulse.train.loop import Run, read_log
from echopulse.train.rate_study import claim
from echopulse.train.settings import SETTINGS
from echopulse.train.tokenizer import TokenizerTask
from echopulse.train.transfer import FRAMES, SMALL, banks_of


@dataclass(frozen=True)
class Course:
    """How one tokenizer came along: steps on videos before, and the held-out MSE of echo by steps on echo."""

    way: str
    before: int
    mse: dict[int, float]

    def steps_to(self, mse: float) -> int | None:
        """Steps on echo after which the held-out MSE was so low; None if it never was."""
        return next((step for step, reached in sorted(self.mse.items()) if reached <= mse), None)


def first_stage(
    work: Path,
    videos: Path,
    *,
    config: TokenizerConfig = SMALL,
    clips: int = 256,
    held_out: int = 48,
    first_steps: int = 400,
    steps: int = 400,
    every: int = 50,
    batch: int = 6,
    seed: int = 0,
    on_progress: Callable[[float], None] = lambda _: None,
) -> list[Course]:
    """A tokenizer that learns echo from chance, and one that has learned from a folder of `videos` first.

    Both see the same stretches of the same simulated clips in the same order. All stays in `work`, where the same call
    goes on where it stopped. InputError where the folder holds no video that can be read, or `work` another study.
    """
    seen, unseen = load_videos(videos, size=config.size, fps=config.fps, workers=usable_cores())[:2]
    claim(work, {
        "videos": str(videos), "config": asdict(config), "clips": clips, "held_out": held_out,
        "first_steps": first_steps, "steps": steps, "every": every, "batch": batch, "seed": seed,
    })  # fmt: skip
    learned, held = banks_of(work / "echo", {}, config.size, clips, held_out, seed)
    total, done = first_steps + 2 * steps, 0

    def learn(folder: str, task: TokenizerTask, count: int) -> tuple[Tokenizer, dict[int, float]]:
        nonlocal done
        settings = replace(SETTINGS["tokenizer"], steps=count, ema=0.99, seed=seed, evaluate_every=every)
        run = Run(task, settings, work / folder, resume=True)
        run.train(lambda step, *_: on_progress((done + step) / total))
        done += count
        rows = [row for row in read_log(work / folder) if "evaluation" in row]
        return run.averaged_model(), {row["step"]: row["evaluation"]["mse"] for row in rows}

    shared = {"batch": batch, "frames": FRAMES, "seed": seed}
    first, _ = learn("videos", TokenizerTask(config, seen, unseen, **shared), first_steps)
    _, after = learn("after-videos", TokenizerTask(config, learned, held, model=copy.deepcopy(first), **shared), steps)
    _, alone = learn("alone", TokenizerTask(config, learned, held, **shared), steps)
    return [Course("from chance", 0, alone), Course("after videos", first_steps, after)]


def to_table(courses: Sequence[Course]) -> str:
    """The courses side by side as Markdown, and how many steps each took to what the first reached in the end."""
    head = " | ".join(f"MSE {one.way}" for one in courses)
    lines = [f"| steps on echo | {head} |", f"|{'---|' * (len(courses) + 1)}"]
    for step in sorted(courses[0].mse):
        lines.append(f"| {step} | {' | '.join(f'{one.mse[step]:.3e}' for one in courses)} |")
    aim = courses[0].mse[max(courses[0].mse)]
    for one in courses:
        took = one.steps_to(aim)
        words = f"{took} steps on echo" if took else "not reached"
        before = f", {one.before} on videos" if one.before else ""
        lines.append(f"\nMSE {aim:.3e} {one.way}: {words}{before}")
    return "\n".join(lines)
