"""The gallery shows every rhythm, conduction, view and pathology once, in loops small enough for a page."""

import importlib.util
import sys

import pytest

from echopulse.phantom.types import CONDUCTIONS, PATHOLOGIES, RHYTHMS, VIEWS


@pytest.fixture(scope="module")
def maker(repository):
    spec = importlib.util.spec_from_file_location("make_gallery", repository / "docs" / "make_gallery.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["make_gallery"] = module
    spec.loader.exec_module(module)
    return module


def test_every_rhythm_conduction_view_and_pathology_has_one_loop(maker):
    names = [loop.name for part in maker.GALLERY.values() for loop in part]
    assert sorted(names) == sorted([*RHYTHMS, *CONDUCTIONS[1:], *VIEWS, *PATHOLOGIES])
    assert len(names) * maker.LARGEST < 6_000_000


def test_a_loop_is_a_gif_with_the_ecg_under_the_picture(maker, tmp_path):
    from PIL import Image

    from echopulse.echo.description import parse_description

    loop = maker.Loop("a4c", "x", "y", {"rhythm": "sinus"}, seconds=0.4)
    maker.make_loop(loop, tmp_path / "a4c.gif", ((64, 2, 8),))
    with Image.open(tmp_path / "a4c.gif") as gif:
        assert gif.size == (64, 84) and gif.n_frames == 5 and gif.info["duration"] == 80
        assert parse_description(gif.info["comment"])["synthetic"]


def test_a_loop_that_is_too_large_is_made_smaller_or_refused(maker, tmp_path, monkeypatch):
    loop = maker.Loop("a4c", "x", "y", {"rhythm": "sinus"}, seconds=0.4)
    monkeypatch.setattr(maker, "LARGEST", 100)
    with pytest.raises(SystemExit, match="even in the lowest quality"):
        maker.make_loop(loop, tmp_path / "a4c.gif", ((64, 1, 32), (32, 2, 4)))


def test_the_page_shows_every_loop(maker, tmp_path):
    text = maker.page(tmp_path / "gallery")
    assert all(f"(gallery/{loop.name}.gif)" in text for part in maker.GALLERY.values() for loop in part)


def test_an_unknown_loop_is_refused(maker, tmp_path, capsys):
    with pytest.raises(SystemExit):
        maker.main(["waltz", "--out", str(tmp_path)])
    assert "waltz: no such loop; there are a4c" in capsys.readouterr().err
