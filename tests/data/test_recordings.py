"""Anybody's ECGs as batches: the same for the same seed, whatever cannot be read named once and left out."""

import numpy as np
import pytest
import torch

from echopulse.data.recordings import LEADS, PACES, Recordings, between, load_recordings
from echopulse.data.unseen import HELD_OUT, place_of, unseen_first
from echopulse.errors import InputError


def write(path, *, seconds=6.0, rate_hz=100.0, leads=1, level_mv=0.0):
    """A table of seconds and mV: a ramp from 0 to 1 mV over the recording in the first lead, its half in the next."""
    path.parent.mkdir(parents=True, exist_ok=True)
    count = round(seconds * rate_hz)
    ramp = level_mv + np.linspace(0, 1, count)
    table = np.column_stack([np.arange(count) / rate_hz, *(ramp / (lead + 1) for lead in range(leads))])
    names = ",".join(["time_s", *("I_mV", "II_mV", "III_mV")[:leads]])
    np.savetxt(path, table, delimiter=",", header=names, comments="", fmt="%.5f")
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Five ECGs, two of them in a folder of their own, and two files that are none."""
    folder = tmp_path_factory.mktemp("ecgs")
    for number in range(3):
        write(folder / f"{number}.csv", leads=number + 1)
    for number in range(2):
        write(folder / "more" / f"{number}.csv")
    (folder / "more" / "letter.csv").write_text("Dear sir, no ECG is in here.\n")
    write(folder / "short.csv", seconds=0.5)
    return folder


def rng(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_what_cannot_be_read_is_named_once_with_its_reason_and_left_out(folder):
    told = []
    pair = load_recordings(folder, rate_hz=200.0, on_skip=lambda name, reason: told.append((name, reason)))
    for recordings in pair:
        recordings.draw(40, 100, rng())
        recordings.draw(40, 100, rng(1))
    reasons = dict(told)
    assert sorted(reasons) == ["more/letter.csv", "short.csv"] and len(told) == 2
    assert "no ECG in it" in reasons["more/letter.csv"] and "at least 2 s are needed" in reasons["short.csv"]
    assert not any(str(folder) in reason or reason.endswith(".") for reason in reasons.values())


def test_a_rate_is_assumed_only_for_files_that_do_not_say_theirs(tmp_path):
    write(tmp_path / "says.csv", seconds=6.0, rate_hz=100.0)
    np.save(tmp_path / "silent.npy", np.linspace(0, 1, 1500))
    with pytest.raises(InputError, match=r"does not say its sampling rate; give it in hertz \(--rate 250"):
        Recordings({"silent.npy": tmp_path / "silent.npy"}, rate_hz=200.0).draw(1, 10, rng())
    told = {}
    for recordings in load_recordings(tmp_path, rate_hz=200.0, assumed_hz=250.0, on_skip=told.__setitem__):
        assert int(recordings.draw(1, 1400, rng(), vary=False)[0, 0].isfinite().sum()) == 1200, recordings.names
    assert not told
    with pytest.raises(InputError, match="A sampling rate of 5 Hz was given"):
        load_recordings(tmp_path, rate_hz=200.0, assumed_hz=5.0)


def test_training_and_held_out_files_are_all_files_and_share_none(folder):
    training, judging = load_recordings(folder, rate_hz=200.0)
    assert not set(training.names) & set(judging.names) and judging.readable()
    assert len(training) + len(judging) == 7


def test_a_name_stays_held_out_when_others_come():
    names = [f"{number}.csv" for number in range(300)]
    order, count = unseen_first(names)
    before = set(order[:count])
    more, larger = unseen_first(names + [f"later/{number}.csv" for number in range(300)])
    assert before <= set(more[:larger]) and 15 < count < 50
    assert unseen_first(["b", "a"])[1] == 1 and place_of("a") == place_of("a")


def test_in_a_small_folder_the_nearest_stands_in_until_one_is_held_out_for_good():
    names = sorted((f"{number}.csv" for number in range(300)), key=place_of)
    below = sum(place_of(name) < HELD_OUT for name in names)
    nearest, further, low, lower = names[below], names[below + 1], names[1], names[0]
    assert unseen_first([further, nearest]) == ([nearest, further], 1)
    assert unseen_first([further, nearest, low]) == ([low, nearest, further], 1)  # which is learned from again
    assert unseen_first([further, nearest, low, lower]) == ([lower, low, nearest, further], 2)
    assert unseen_first([low, lower]) == ([lower, low], 1)  # one is left to learn from


class Names(list):
    """Names that may be asked for one at a time only: a folder may hold millions, and every stretch asks."""

    def __getitem__(self, place):
        assert isinstance(place, int)
        return super().__getitem__(place)

    def __iter__(self):
        raise AssertionError("a walk over all names")


def test_a_stretch_of_a_huge_folder_costs_no_more_than_one_of_a_small_one(folder):
    files = {f"{number}.csv": folder / f"{number}.csv" for number in range(3)}
    recordings = Recordings(files, rate_hz=200.0)
    expected = recordings.draw(20, 64, rng(1))
    recordings.names = Names(recordings.names)
    assert torch.equal(recordings.draw(20, 64, rng(1)).nan_to_num(-9), expected.nan_to_num(-9))


def test_what_cannot_be_read_is_opened_once_however_many_are_held_out_in_its_place(tmp_path, monkeypatch):
    for number in range(9):
        (tmp_path / f"{number}.csv").write_text("")
    good = max((f"{number}.csv" for number in range(9)), key=place_of)
    write(tmp_path / good)
    opened = []
    read = Recordings._ecg
    monkeypatch.setattr(Recordings, "_ecg", lambda self, path: opened.append(path.name) or read(self, path))
    with pytest.raises(InputError, match="none of 8 ECGs can be read"):
        load_recordings(tmp_path, rate_hz=200.0)
    assert len(opened) == len(set(opened)) == 8


def test_a_batch_follows_from_its_seed_whatever_was_read_before_or_kept(folder):
    fresh, _ = load_recordings(folder, rate_hz=200.0)
    used, _ = load_recordings(folder, rate_hz=200.0)
    used.kept_bytes = 1  # nothing but the last recording stays
    used.draw(50, 64, rng(9))
    first, again, other = fresh.draw(8, 300, rng(3)), used.draw(8, 300, rng(3)), fresh.draw(8, 300, rng(4))
    assert first.shape == (8, LEADS, 300) and first.dtype == torch.float32
    assert torch.equal(first.nan_to_num(-9), again.nan_to_num(-9))
    assert not torch.equal(first.nan_to_num(-9), other.nan_to_num(-9))
    assert len(used._kept) == 1


def test_stretches_have_one_lead_or_two_different_ones_at_the_rate_asked_for(tmp_path):
    name = write(tmp_path / "x.csv", seconds=30, leads=3)
    recordings = Recordings({"x.csv": name}, rate_hz=200.0)
    plain = recordings.draw(60, 200, rng(), vary=False)
    two = plain[:, 1].isfinite().all(-1)
    assert 5 < int(two.sum()) < 35 and bool(plain[:, 0].isfinite().all())
    slope = plain.diff(dim=-1).mean(-1) * 200 * 30  # mV over the recording: 1, 1/2 or 1/3 by lead
    assert set(slope[:, 0].mul(6).round().int().tolist()) == {6, 3, 2}
    assert not bool((slope[two, 0] - slope[two, 1]).abs().lt(0.1).any())
    varied = recordings.draw(60, 200, rng()).diff(dim=-1).mean(-1)[:, 0] * 200 * 30 / slope[:, 0]
    assert PACES[0] - 0.02 < float(varied.min()) < 0.9 and 1.1 < float(varied.max()) < PACES[1] + 0.02


def test_a_recording_that_is_too_short_ends_in_nothing(tmp_path):
    recordings = Recordings({"x.csv": write(tmp_path / "x.csv", seconds=2.0)}, rate_hz=200.0)
    known = recordings.draw(4, 800, rng(), vary=False)[:, 0].isfinite()
    assert bool(known[:, :395].all()) and not bool(known[:, 400:].any())


def test_between_samples_lie_straight_lines_and_beyond_the_ends_nothing():
    signal = np.array([[0.0, 1.0, np.nan, 3.0]], np.float32)
    found = between(signal, np.array([-0.5, 0.0, 0.25, 1.0, 1.5, 3.0, 3.1]))[0]
    assert found[[1, 2, 3, 5]].tolist() == [0.0, 0.25, 1.0, 3.0]
    assert np.isnan(found[[0, 4, 6]]).all()


def test_folders_that_hold_no_ecgs_are_refused_in_one_sentence(tmp_path):
    with pytest.raises(InputError, match="no such folder; give one with ECG files"):
        load_recordings(tmp_path / "none", rate_hz=200.0)
    with pytest.raises(InputError, match="a folder without any ECG; this version reads WFDB"):
        load_recordings(tmp_path, rate_hz=200.0)
    write(tmp_path / "a.csv")
    with pytest.raises(InputError, match=r"one ECG \(a.csv\); give at least two"):
        load_recordings(tmp_path, rate_hz=200.0)
    for name in ("a.csv", "b.csv", "c.csv"):
        (tmp_path / name).write_text("")
    with pytest.raises(InputError, match=r"none of 2 ECGs can be read; .\.csv: the file is empty"):
        load_recordings(tmp_path, rate_hz=200.0)


def test_values_that_no_heart_makes_are_absent_and_the_rest_is_kept(tmp_path):
    path = write(tmp_path / "filled.csv")
    lines = path.read_text().splitlines()
    lines[301] = lines[301].partition(",")[0] + ",9.96921e36"
    path.write_text("\n".join(lines))
    drawn = Recordings({"filled.csv": path}, rate_hz=100.0).draw(64, 200, rng())[0]
    assert drawn.isnan().any() and float(drawn.nan_to_num().abs().max()) < 1000
    assert float(drawn.isfinite().float().mean()) > 0.4


def test_a_rate_that_no_recorder_has_leaves_the_file_out(tmp_path):
    (tmp_path / "fast.hea").write_text("fast 1 500000 1200000\nfast.dat 16 200 16 0 0 0 0 I\n")
    np.tile(np.arange(600, dtype="<i2"), 2000).tofile(tmp_path / "fast.dat")
    files = {"fast.hea": tmp_path / "fast.hea", "good.csv": write(tmp_path / "good.csv")}
    recordings = Recordings(files, rate_hz=100.0)
    recordings.draw(20, 100, rng())
    assert recordings.skipped == {"fast.hea": "500000 samples a second; at most 20000 are believed"}
