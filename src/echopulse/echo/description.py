"""What a written file says about itself, so that a made clip can never pass for a recorded one.

The text stands in the file's own metadata (MP4 and WebM comment, GIF comment, PNG text): one plain
sentence for people, then one JSON object by which EchoPulse finds the picture in its own files again.
"""

from __future__ import annotations

import json
from typing import Any

from echopulse.echo.types import Clip

MARK = "EchoPulse"
VIEW_NAMES = {
    "a4c": "apical four-chamber",
    "a2c": "apical two-chamber",
    "a3c": "apical three-chamber",
    "plax": "parasternal long axis",
    "psax": "parasternal short axis",
    "psax_mitral": "parasternal short axis at the mitral valve",
    "psax_papillary": "parasternal short axis at the papillary muscles",
    "psax_apical": "parasternal short axis near the apex",
}


def title(clip: Clip) -> str:
    """The file's title, for players and file managers."""
    return f"{MARK}: {'SYNTHETIC echocardiogram' if clip.synthetic else 'echocardiogram'}, not for diagnosis"


def notice(clip: Clip) -> str:
    """The line that stands at the foot of every picture."""
    return "A computed heart, not a recorded one. Not for diagnosis." if clip.synthetic else "Not for diagnosis."


def describe(clip: Clip, kind: str, picture: tuple[int, int, int, int] | None = None) -> str:
    """The comment of a written file; `kind` is "loop" or "sheet", `picture` the loop's x, y, width, height in it."""
    spacing = clip.pixel_spacing_cm
    if spacing is not None and picture is not None:
        spacing = spacing * clip.frames.shape[2] / picture[2]
    facts = {
        "made_by": MARK,
        "kind": kind,
        "synthetic": clip.synthetic,
        "view": clip.view,
        "start_s": round(float(clip.times_s[0]), 6),
        "pixel_spacing_cm": spacing,
        "picture": picture,
    }
    return f"{title(clip)}. {json.dumps(facts)}"


def parse_description(text: str | bytes | None) -> dict[str, Any]:
    """The facts of an EchoPulse comment; empty for anybody else's."""
    if isinstance(text, bytes):
        text = text.decode("utf-8", "replace")
    if not text or not text.startswith(MARK) or "{" not in text:
        return {}
    try:
        facts = json.loads(text[text.index("{") :])
    except json.JSONDecodeError:
        return {}
    return facts if facts.get("made_by") == MARK else {}
