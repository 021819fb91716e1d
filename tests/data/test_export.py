"""A folder of simulated hearts: whole files, on where it stopped, the same whoever made it, nothing overwritten."""

import json
from pathlib import Path

import pytest

from echopulse.data.export import FORMS, Exported, export
from echopulse.errors import InputError

SMALL = {"seconds": 0.2, "size": 32}


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_every_clip_has_its_files_and_the_folder_says_what_it_holds(tmp_path, by_hand):
    assert export(tmp_path, 2, seed=5, pins={"ef": 0.3}, **SMALL).made == 2
    endings = ("atr", "csv", "dat", "hea", "json", "mp4", "npz")
    names = [f"0000{k}.{ending}" for k in range(2) for ending in endings]
    assert list(contents(tmp_path)) == [*names, "simulation.json"]
    about = json.loads((tmp_path / "simulation.json").read_text())
    assert (about["seed"], about["clips"], about["pins"]) == (5, 2, {"ef": 0.3}) and "SYNTHETIC" in about["notice"]


@pytest.mark.parametrize("form", FORMS)
def test_a_run_that_was_stopped_goes_on_and_ends_with_the_same_bytes(tmp_path, by_hand, form):
    export(tmp_path / "whole", 4, form=form, **SMALL)

    def stop(share: float) -> None:
        if share >= 0.5:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        export(tmp_path / "parts", 4, form=form, on_step=stop, **SMALL)
    assert export(tmp_path / "parts", 4, form=form, **SMALL).made == 2
    assert contents(tmp_path / "parts") == contents(tmp_path / "whole")
    assert export(tmp_path / "parts", 4, form=form, **SMALL).made == 0


def test_a_longer_export_begins_with_the_shorter_ones_clips(tmp_path, by_hand):
    export(tmp_path, 1, **SMALL)
    before = contents(tmp_path)
    told: list[float] = []
    assert export(tmp_path, 3, on_step=told.append, **SMALL) == Exported(made=2, there=3) and told == [2 / 3, 1.0]
    assert export(tmp_path, 1, **SMALL) == Exported(made=0, there=3)
    after = contents(tmp_path)
    assert all(after[name] == data for name, data in before.items() if name != "simulation.json")


def test_shards_tell_the_share_that_is_there_and_are_replaced_with_force(tmp_path, monkeypatch, make_heart):
    def shard(n, *, frames, **options):
        made = make_heart(1, frames=frames, **options)
        assert n == 32 and made.frames.shape[1] == 5
        return made

    monkeypatch.setattr("echopulse.data.bank.simulate", shard)
    told: list[float] = []
    assert export(tmp_path, 32, form="shards", on_step=told.append, **SMALL).made == 32 and told == [1.0]
    assert export(tmp_path, 96, form="shards", on_step=told.append, **SMALL).made == 64 and told[1:] == [2 / 3, 1.0]
    with pytest.raises(InputError, match="size 32, not 64"):
        export(tmp_path, 32, form="shards", **SMALL | {"size": 64})
    assert export(tmp_path, 32, form="shards", force=True, **SMALL | {"size": 64}).made == 32
    assert list(contents(tmp_path)) == ["shard-000000-00000.safetensors"]


def test_what_a_killed_run_left_is_cleared_away_and_made_again(tmp_path, by_hand):
    export(tmp_path, 2, **SMALL)
    whole = contents(tmp_path)
    (tmp_path / "00001.npz").unlink()
    (tmp_path / ".partial-abc").mkdir()
    (tmp_path / ".partial-abc" / "00001.npz").write_bytes(b"half")
    assert export(tmp_path, 2, **SMALL).made == 1 and contents(tmp_path) == whole


def test_a_second_run_into_the_same_folder_is_refused_and_leaves_the_first_ones_work_alone(tmp_path, by_hand):
    refused = []

    def start_another(share: float) -> None:
        (tmp_path / ".partial-mine").mkdir(exist_ok=True)
        for force in (False, True):
            with pytest.raises(InputError, match="another run is writing here; wait for its end"):
                export(tmp_path, 4, force=force, **SMALL)
            refused.append((tmp_path / ".partial-mine").exists())

    assert export(tmp_path, 2, on_step=start_another, **SMALL).made == 2 and refused == [True] * 4
    assert export(tmp_path, 2, **SMALL).made == 0 and not list(tmp_path.glob(".*"))


def test_the_lock_of_a_killed_run_holds_nobody_up(tmp_path, by_hand):
    (tmp_path / ".lock").touch()
    assert export(tmp_path, 1, **SMALL).made == 1 and not (tmp_path / ".lock").exists()


@pytest.mark.parametrize(
    ("other", "words"),
    [
        ({"seed": 1}, "clips made with seed 0, not 1"),
        ({"pins": {"ef": 0.3}}, 'pins none, not {"ef": 0.3}'),
        ({"fps": 30.0}, "fps 25.0, not 30.0"),
        ({"form": "echonet"}, "format pairs, not echonet"),
        ({"views": ["a2c"]}, 'views none, not ["a2c"]'),
    ],
)
def test_a_folder_of_other_settings_is_refused_and_replaced_with_force_only(tmp_path, by_hand, other, words):
    export(tmp_path, 2, **SMALL)
    (tmp_path / "notes.txt").write_text("mine")
    before = contents(tmp_path)
    with pytest.raises(InputError) as refusal:
        export(tmp_path, 1, **SMALL, **other)
    assert words in str(refusal.value) and "--force" in str(refusal.value) and contents(tmp_path) == before
    export(tmp_path, 1, force=True, **SMALL, **other)
    after = contents(tmp_path)
    assert after["notes.txt"] == b"mine" and "00001.npz" not in after


def test_somebody_elses_file_is_not_overwritten_without_force(tmp_path, by_hand):
    (tmp_path / "00000.mp4").write_text("precious")
    with pytest.raises(InputError, match="00000.mp4 exists already; give --force"):
        export(tmp_path, 1, **SMALL)
    assert contents(tmp_path) == {"00000.mp4": b"precious"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"clips": 0}, "--clips 0: at least one"),
        ({"workers": 0}, "--workers 0: at least one"),
        ({"form": "avi"}, "--format avi: expected one of pairs, echonet, camus, dicom, shards"),
        ({"seconds": float("nan")}, "nan s at 25 frames/s"),
        ({"fps": 0.0}, "0.2 s at 0 frames/s"),
        ({"seconds": 0.01}, "a single picture"),
        ({"form": "shards", "size": 100}, "100 by 100 pixels: shards pack masks by eights, so ask for 96 or 104"),
        ({"size": 8}, "--size 8: pictures of 16 to 1024"),
        ({"form": "shards", "seconds": 2.0, "fps": 50.0}, "100 frames; the tokenizer takes 1 .* --seconds 1.94 or"),
        ({"views": ["sideways"]}, "view 'sideways' is unknown"),
        ({"form": "echonet", "views": ["plax"]}, "--views plax: the echonet layout holds a4c, a2c, a3c only"),
        ({"form": "echonet", "displacement": True}, "--displacement: the echonet layout has no place"),
        ({"at_s": 1.0}, "--at needs --ecg"),
        ({"rate_hz": 500.0}, "--rate needs --ecg"),
        ({"allow_flat": True}, "--allow-flat needs --ecg FILE; .* say --set rhythm=asystole"),
        ({"ecg": Path("nowhere.csv")}, "nowhere.csv: there is no such file"),
    ],
)
def test_what_cannot_be_is_refused_before_a_folder_is_made(tmp_path, by_hand, options, words):
    with pytest.raises(InputError, match=words):
        export(tmp_path / "new", **{"clips": 1, **SMALL, **options})
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_made_is_named(tmp_path, by_hand):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="cannot make this folder"):
        export(tmp_path / "file" / "pairs", 1, **SMALL)


def test_a_manifest_that_is_none_is_not_trusted(tmp_path, by_hand):
    (tmp_path / "simulation.json").write_text("{")
    with pytest.raises(InputError, match="simulation.json: cannot be read"):
        export(tmp_path, 1, **SMALL)
    (tmp_path / "simulation.json").write_text("[1]")
    with pytest.raises(InputError, match="was not written by this program"):
        export(tmp_path, 1, **SMALL)


# --- with the phantom itself ---


@pytest.mark.parametrize(
    ("pins", "words"),
    [
        ({"ef": 7.0}, "ef lies between"),
        ({"ef": "low"}, "ef is a number; got 'low'"),
        ({"heart_rate_bpm": 500.0}, "heart_rate_bpm lies between"),
        ({"rhythm": "waltz"}, "rhythm 'waltz' is unknown; choose one of sinus, af"),
        ({"pathology": "grief"}, "pathology 'grief' is unknown"),
        ({"colour": 1.0}, "no parameter 'colour'"),
        ({"rhythm": "bradycardia", "heart_rate_bpm": 150.0}, "contradict each other: a bradycardia has at most 60/min"),
    ],
)
def test_what_no_heart_or_scanner_can_do_is_refused(tmp_path, pins, words):
    with pytest.raises(InputError, match=words):
        export(tmp_path / "new", 1, pins=pins, **SMALL)
    assert not (tmp_path / "new").exists()


def test_the_files_are_the_same_whatever_the_number_of_workers(tmp_path):
    for workers in (1, 2):
        export(tmp_path / str(workers), 3, form="camus", workers=workers, seconds=0.2, size=32)
    assert contents(tmp_path / "1") == contents(tmp_path / "2")
