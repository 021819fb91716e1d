"""`echopulse tokenize` and `decode`: a clip becomes tokens, and tokens become a clip."""

import argparse
from pathlib import Path

from echopulse.cli.shared import NOTICE, Progress, add_adapter_option, add_verb, load_adapted_tokenizer


def add_tokenize(verbs) -> None:
    """The options of `tokenize` and `decode`."""
    verb = add_verb(
        verbs, "tokenize", run_tokenize, "turn an echo clip into tokens, and say what is lost on the way",
        "echopulse tokenize clip.mp4 --out tokens.npz --png sheet.png",
    )  # fmt: skip
    verb.add_argument("clip", type=Path, help="MP4, AVI, GIF, WebM, NPZ or DICOM, of any size and rate")
    verb.add_argument("--out", type=Path, required=True, metavar="TOKENS.npz")
    verb.add_argument("--model", type=Path, help="a model folder instead of the bundled weights")
    add_adapter_option(verb)
    verb.add_argument("--png", type=Path, help="a sheet: the clip above, decoded below, then with grain if known")
    verb.add_argument("--json", type=Path, help="write the figures here too")
    verb.add_argument("--force", action="store_true", help="replace files that exist")

    verb = add_verb(
        verbs, "decode", run_decode, "turn the tokens of a clip into a clip",
        "echopulse decode tokens.npz --out clip.mp4",
    )  # fmt: skip
    verb.add_argument("tokens", type=Path, help="what `echopulse tokenize` wrote")
    verb.add_argument("--out", type=Path, required=True, help="NAME.mp4, .gif, .webm, .npz or .png")
    verb.add_argument("--model", type=Path, help="the model folder whose tokenizer made them; the bundled one if none")
    add_adapter_option(verb)
    verb.add_argument("--grain", action="store_true", help="draw the speckle that tokens cannot hold")
    verb.add_argument("--plain", action="store_true", help="the picture alone, without scales and marks")
    verb.add_argument("--force", action="store_true", help="replace files that exist")


def run_tokenize(options: argparse.Namespace) -> int:
    """Writes the tokens and prints what they cost and lose."""
    from echopulse.echo import check_output, read_clip

    for path, ending in ((options.out, ".npz"), (options.png, ".png"), (options.json, ".json")):
        if path:
            check_output(path, force=options.force, endings=(ending,))
    from echopulse.echo import save_sheet
    from echopulse.files import write_json
    from echopulse.tokenized import at_rate, compare, decode, save_tokens, side_by_side, tokenize

    tokenizer = load_adapted_tokenizer(options)
    read = read_clip(options.clip, tokenizer.config.size)
    clip = at_rate(read, tokenizer.config.fps)
    tokenized = tokenize(tokenizer, clip)
    with Progress("decoding") as on_step:
        decoded = decode(tokenizer, tokenized, on_step=on_step)
    loss = compare(clip, decoded)
    save_tokens(tokenized, options.out)
    if options.png:
        drawn = {"with_grain": decode(tokenizer, tokenized, grain_seed=0)} if tokenizer.config.grain else {}
        save_sheet(side_by_side(clip, decoded=decoded, **drawn), options.png, force=options.force)
    latents, rows, columns = tokenized.tokens.ids.shape
    if options.json:
        figures = {**vars(loss), "bits_per_second": tokenized.bits_per_second, "frames": tokenized.frames,
                   "fps": tokenized.fps, "latent_frames": latents, "tokenizer": tokenized.tokenizer}  # fmt: skip
        write_json(figures, options.json)
    print(
        f"{options.out}: {tokenized.frames} pictures at {tokenized.fps:g}/s (read: {len(read.frames)} at "
        f"{read.fps:.4g}/s) as {latents} latent frames of {rows}×{columns} tokens of {tokenized.codes} codes: "
        f"{tokenized.bits_per_second:.0f} bits/s.\n"
        f"Decoded again: MSE {loss.mse:.2e}, PSNR {loss.psnr_db:.1f} dB, SSIM {loss.ssim:.3f}; in the sector PSNR "
        f"{loss.sector_psnr_db:.1f} dB, SSIM {loss.sector_ssim:.3f}."
    )
    return 0


def run_decode(options: argparse.Namespace) -> int:
    """Writes the clip."""
    from echopulse.echo import check_output, write_clip

    check_output(options.out, force=options.force)
    from echopulse.tokenized import decode, load_tokens

    tokenized = load_tokens(options.tokens)
    tokenizer = load_adapted_tokenizer(options)
    with Progress("decoding") as on_step:
        clip = decode(tokenizer, tokenized, grain_seed=0 if options.grain else None, on_step=on_step)
    write_clip(clip, options.out, plain=options.plain, force=options.force)
    print(f"{options.out}: {len(clip.frames)} pictures at {tokenized.fps:g}/s. {NOTICE}")
    return 0
