"""`echopulse bench`: how long things take on this machine."""

import argparse
from pathlib import Path

from echopulse.cli.shared import Progress, add_verb
from echopulse.errors import InputError

PARTS = ("generate", "tokenizer", "batches")
BATCHES = {"cpu": "1,4", "cuda": "1,8,64,256,1024"}
CODING = {
    "encode_s": "encode 3 s of video",
    "decode_s_per_s": "decode, per second of video",
    "decode_chunks_s_per_s": "the same, 4 latent frames at a time",
    "chunk_s": "the first 4 latent frames alone",
}


def add_bench(verbs) -> None:
    """The options of `bench`."""
    verb = add_verb(
        verbs, "bench", run_bench, "measure speed and memory on this machine",
        "echopulse bench --only tokenizer --json speed.json\n"
        "  echopulse bench --only batches --device cuda --batch 1,64,512",
    )  # fmt: skip
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    verb.add_argument("--only", choices=PARTS, help="one part; a folder of the tokenizer alone has only that")
    verb.add_argument("--batch", metavar="N,...", help="clips that `batches` makes at once: 1,4; on a GPU to 1024")
    verb.add_argument("--device", default="cpu", help="of `batches`")
    verb.add_argument("--json", type=Path, help="write the figures here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_bench(options: argparse.Namespace) -> int:
    """Prints seconds, and writes them where asked."""
    from echopulse.echo import check_output

    if options.json:
        check_output(options.json, force=options.force, endings=(".json",))
    from echopulse.files import write_json

    if options.only not in (None, "batches") and (options.batch or options.device != "cpu"):
        raise InputError("--batch, --device: they are for the part batches; leave them out, or say --only batches.")
    usual = BATCHES.get(options.device.partition(":")[0], BATCHES["cpu"])
    batches = parse_batches(usual if options.batch is None else options.batch)
    parts = PARTS if options.only is None else (options.only,)
    found = {}
    for part in parts:  # generation first: its memory is the most that this process has held so far
        with Progress(f"timing {part}") as on_step:
            if part == "batches":
                found[part] = _batches(options.model, options.device, batches, on_step)
            else:
                found[part] = {"generate": _generate, "tokenizer": _tokenizer}[part](options.model, on_step)
    if "generate" in found:
        print(_generate_lines(found["generate"]))
    if "tokenizer" in found:
        print(_tokenizer_lines(found["tokenizer"]))
    for name, made in found.get("batches", {}).items():
        print(f"{'video made in a second, ' + name.removeprefix('batch.') + ' at once':<40}{made:>10.3f} s")
    if options.json:
        write_json(found, options.json)
    return 0


def parse_batches(text: str) -> list[int]:
    """Numbers of clips, as in "1,4,16"; InputError for anything else."""
    counts = text.split(",")
    if not all(count.isdecimal() and int(count) > 0 for count in counts):
        raise InputError(f"--batch {text}: numbers of clips are expected, as in 1,4,16.")
    return [int(count) for count in counts]


def _batches(model: Path | None, device: str, batches: list[int], on_step) -> dict[str, float]:
    import torch

    from echopulse.evaluate.batch_speed import batch_speed
    from echopulse.model.networks import load_network
    from echopulse.pipeline import BUNDLED

    if device.startswith("cuda") and not torch.cuda.is_available():
        raise InputError(f"--device {device}: this machine or this PyTorch has none; leave it out for the CPU.")
    networks = [load_network(model or BUNDLED, name).to(device) for name in ("tokenizer", "generator")]
    return batch_speed(*networks, batches, on_step=on_step)


def _generate(model: Path | None, on_step) -> dict[str, float]:
    from echopulse.evaluate.speed import speed_scores
    from echopulse.pipeline import EchoPulse

    return speed_scores(EchoPulse.from_pretrained(model), on_step=on_step)


def _tokenizer(model: Path | None, on_step) -> dict[str, float]:
    from echopulse.evaluate.coding_speed import coding_speed
    from echopulse.model.networks import load_network
    from echopulse.pipeline import BUNDLED

    return coding_speed(load_network(model or BUNDLED, "tokenizer"), on_step=on_step)


def _generate_lines(scores: dict[str, float]) -> str:
    return (
        f"{'generate, per second of video':<40}{scores['generate_s_per_s']:>10.3f} s  "
        f"(first time {scores['first_s_per_s']:.3f} s; {scores['threads']:.0f} threads)\n"
        f"{'the same with half the passes (--fast)':<40}{scores['fast_s_per_s']:>10.3f} s\n"
        f"{'with all passes in float32':<40}{scores['float32_s_per_s']:>10.3f} s\n"
        f"{'first block of a live clip':<40}{scores['first_block_s']:>10.3f} s\n"
        f"{'memory at most':<40}{scores['peak_memory_gb']:>10.2f} GiB\n"
        f"{'import, beyond torch and numpy':<40}{scores['import_s']:>10.3f} s"
    )


def _tokenizer_lines(scores: dict[str, float]) -> str:
    kinds = sorted({name.partition(".")[0] for name in scores}, reverse=True)  # float32 first
    lines = [f"{'tokenizer':<40}" + "".join(f"{kind:>12}" for kind in kinds)]
    for name, words in CODING.items():
        lines.append(f"{words:<40}" + "".join(f"{scores[f'{kind}.{name}']:>10.3f} s" for kind in kinds))
    differ = ", ".join(f"{scores[f'{kind}.chunks_differ']:.1e} ({kind})" for kind in kinds)
    return "\n".join([*lines, f"chunks differ from the whole by at most {differ} of 1"])
