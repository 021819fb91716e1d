"""How a measurer is trained: outlines on single frames first, then the curve of volumes over all of a clip's."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from echopulse.data import Bank
from echopulse.errors import InputError
from echopulse.measure.segmenter import Segmenter, SegmenterConfig, load_segmenter
from echopulse.model.checkpoint import load_config, save_config, save_weights
from echopulse.phantom.types import LABELS, VIEWS
from echopulse.train.measurer import MeasurerTask
from echopulse.train.settings import BATCH, SETTINGS
from echopulse.train.sources import load_simulated
from echopulse.train.volume_curve import shows_apical_views, train_curve_head

MEASURER_CHANNELS = (32, 64, 96, 128, 160)
MEASURER_CONTEXT_S = 0.08
MEASURER_SEQUENCE = 3  # layers


def prepare_measurer(
    data: str, run: Path, clips: int, size: int, *, batch: int, device: str, seed: int
) -> tuple[MeasurerTask, Bank, Bank]:
    """The task, the clips that it learns from, and those that it is judged by.

    Where every pixel has a label it learns all chambers, views and volumes, else the ventricle alone.
    """
    bank, held_out, labelled = load_simulated("measurer", data, run, clips, seed, size, 1, device)
    config = SegmenterConfig(size=size)
    if labelled:
        config = SegmenterConfig(
            size, MEASURER_CHANNELS, classes=len(LABELS), views=len(VIEWS), context_s=MEASURER_CONTEXT_S, volumes=True
        )
    return MeasurerTask(config, bank, held_out, batch=batch, device=device, seed=seed), bank, held_out


def with_curve(
    segmenter: Segmenter, bank: Bank, held_out: Bank, run: Path, seed: int
) -> tuple[Segmenter, dict[str, float]]:
    """The measurer that also reads volumes with a clip's other frames, and its scores; as it is where none can be read.

    What it has seen of the bank is kept in `run`.
    """
    if not (segmenter.config.volumes and shows_apical_views(bank) and shows_apical_views(held_out)):
        return segmenter, {}
    settings = replace(SETTINGS["volumes"], seed=seed)
    segmenter, scores = train_curve_head(segmenter, MEASURER_SEQUENCE, bank, held_out, run, settings, resume=True)
    return segmenter, {f"curve_{name}": value for name, value in scores.items()}


def train_only_volumes(
    what: str,
    start_from: Path | None,
    *,
    data: str,
    clips: int,
    run: Path,
    resume: bool,
    out: Path,
    device: str,
    seed: int,
    batch: int | None,
    on_progress: Callable[[float], None] | None,
    **given: int | float | None,
) -> tuple[dict[str, float], Path]:
    """The curve of volumes for a measurer that is there already; the last scores and the model folder.

    All other weights are those of `start_from`. What it has seen of the bank is kept in the run, so a run that was
    killed goes on where it was. Raises InputError where `start_from` reads no volumes or no clip shows an apical view.
    """
    if what != "measurer" or start_from is None:
        raise InputError("--only-volumes: `train measurer --from MODEL` is needed, with a measurer that reads volumes.")
    segmenter = load_segmenter(start_from)
    if not segmenter.config.volumes:
        raise InputError(f"{start_from}: this measurer reads no volumes that could be corrected; train a whole one.")
    bank, held_out, _ = load_simulated(what, data, run, clips, seed, segmenter.config.size, 1, device)
    asked = {name: value for name, value in given.items() if value is not None}
    segmenter, scores = train_curve_head(
        segmenter.to(device), MEASURER_SEQUENCE, bank, held_out, run, replace(SETTINGS["volumes"], seed=seed, **asked),
        batch=batch or BATCH["volumes"], resume=resume, on_progress=on_progress,
    )  # fmt: skip
    save_weights(segmenter, out / what)
    save_config(out, name=load_config(start_from).get("name", "echopulse"), measurer=segmenter.config)
    return scores, out
