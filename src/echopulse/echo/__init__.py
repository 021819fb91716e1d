"""The echo room: echo files become clips, and clips become files that people can watch and trust."""

from echopulse.echo.read import read_clip, read_frame
from echopulse.echo.sheet import contact_sheet, strip_sheet
from echopulse.echo.types import Clip
from echopulse.echo.write import check_output, save_sheet, write_clip

__all__ = [
    "Clip",
    "check_output",
    "contact_sheet",
    "read_clip",
    "read_frame",
    "save_sheet",
    "strip_sheet",
    "write_clip",
]
