"""A bank keeps what was simulated, takes in what arrives later, and is the same whoever makes it."""

import os
import time

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from echopulse.data.bank import (
    RHYTHMS,
    VIEWS,
    Bank,
    bank_from_clips,
    clips_to_tensors,
    fill_bank,
    frame_motion,
    pack_bits,
    pack_pairs,
    unpack_bits,
    unpack_pairs,
)
from echopulse.errors import InputError
from echopulse.phantom import simulate

SMALL = {"frames": 3, "size": 32, "shard": 2}


@pytest.fixture(scope="module")
def clips():
    return simulate(2, frames=5, size=32, seed=3, rhythm="sinus", view=["a4c", "a2c"])


def test_bits_are_packed_eight_to_a_byte_and_come_back():
    mask = torch.rand(3, 4, 32, generator=torch.Generator().manual_seed(0)) < 0.5
    packed = pack_bits(mask)
    assert packed.shape == (3, 4, 4) and packed.dtype == torch.uint8
    assert torch.equal(unpack_bits(packed), mask)
    assert bool(unpack_bits(pack_bits(torch.ones(1, 8, dtype=torch.bool))).all())


def test_a_bank_holds_the_clips_their_ecg_and_their_truth(clips):
    bank = bank_from_clips(clips)
    assert len(bank) == 2 and torch.equal(bank.frames, clips.frames) and torch.equal(bank.ecg, clips.ecg)
    assert torch.equal(bank.volume_ml, clips.truth.volume_ml)
    assert bank.fps == 25 and bank.ecg_rate_hz == 200 and bank.ecg_start_s == pytest.approx(-1.6)
    assert [VIEWS[i] for i in bank.view] == list(clips.truth.view)
    assert [RHYTHMS[i] for i in bank.rhythm] == ["sinus", "sinus"]


def test_masks_and_sectors_come_back_for_any_clip_and_frame(clips):
    bank = bank_from_clips(clips)
    rows, frames = torch.tensor([1, 0, 1]), torch.tensor([4, 2, 0])
    assert torch.equal(bank.masks(rows, frames), clips.truth.lv_mask[rows, frames])
    assert torch.equal(bank.sectors(rows), clips.truth.sector[rows])


def test_labels_are_packed_two_to_a_byte_and_kept_where_asked_for(tmp_path, clips):
    labels = torch.randint(7, (3, 4, 32), generator=torch.Generator().manual_seed(0)).to(torch.uint8)
    packed = pack_pairs(labels)
    assert packed.shape == (3, 4, 16) and torch.equal(unpack_pairs(packed), labels)
    fill_bank(tmp_path, 2, seed=7, labels=True, **SMALL)
    again = simulate(2, frames=3, size=32, seed=7 * 100_003, prior="uniform")
    rows, frames = torch.tensor([1, 0]), torch.tensor([2, 1])
    assert torch.equal(Bank.load(tmp_path).labels(rows, frames), again.truth.labels[rows, frames])
    with pytest.raises(InputError, match="hold the ventricle alone"):
        bank_from_clips(clips).labels(rows, frames)


def test_motion_is_what_tissue_moved_since_the_frame_before_also_where_it_stretches():
    side, pixel_cm = 64, 0.1
    y, x = torch.meshgrid(*(torch.arange(side) + 0.5,) * 2, indexing="ij")
    stretch = 1 + 0.04 * torch.arange(4.0)[:, None, None]  # of where tissue began, to the right
    right = x * (1 - 1 / stretch) * pixel_cm
    down = 0.2 * torch.arange(4.0)[:, None, None].expand(-1, side, side)
    found = frame_motion(torch.stack([right, down], -1)[None], torch.tensor([pixel_cm]))[0]
    centres = torch.arange(2, 64, 4.0)
    expected = centres * (1 - stretch[2, 0] / stretch[3, 0])
    assert found.shape == (4, 16, 16, 2) and not found[0].any()
    assert torch.allclose(found[3, 8, :-1, 0] * side, expected[:-1], atol=0.05)
    assert torch.allclose(found[1:, ..., 1] * side, torch.tensor(2.0), atol=1e-3)


def test_a_bank_with_motion_has_it_for_every_frame(tmp_path):
    fill_bank(tmp_path, 2, seed=0, motion=True, **SMALL)
    bank = Bank.load(tmp_path)
    assert bank.motion.shape == (2, 3, 8, 8, 2) and bank.motion.dtype == torch.float16
    assert not bank.motion[:, 0].any() and bank.motion[:, 1:].any()


def test_a_name_that_is_no_column_is_an_attribute_error(clips):
    with pytest.raises(AttributeError, match="colour"):
        _ = bank_from_clips(clips).colour


def test_a_bank_on_disk_is_what_was_simulated(tmp_path):
    fill_bank(tmp_path, 2, seed=7, **SMALL)
    bank = Bank.load(tmp_path)
    again = bank_from_clips(simulate(2, frames=3, size=32, seed=7 * 100_003, prior="uniform"))
    assert bank.fps == 25 and bank.ecg_start_s == pytest.approx(-1.6)
    for name, tensor in again.tensors.items():
        assert torch.equal(tensor.nan_to_num(-9), bank.tensors[name].nan_to_num(-9)), name


def test_shards_that_arrive_later_are_taken_in_and_nothing_is_read_twice(tmp_path):
    fill_bank(tmp_path, 2, seed=0, **SMALL)
    bank = Bank.load(tmp_path)
    first = bank.frames.clone()
    assert bank.refresh() == 0 and len(bank) == 2
    fill_bank(tmp_path, 4, seed=0, **SMALL)
    assert bank.refresh() == 2 and len(bank) == 4
    assert torch.equal(bank.frames[:2], first) and bank.refresh() == 0


def test_the_same_seed_makes_the_same_shard_and_another_another(tmp_path):
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        fill_bank(tmp_path / name, 2, seed=seed, **SMALL)
    a, b, c = (Bank.load(tmp_path / name) for name in "abc")
    assert a.shards == b.shards != c.shards
    assert all(torch.equal(tensor.nan_to_num(-9), b.tensors[name].nan_to_num(-9)) for name, tensor in a.tensors.items())
    assert not torch.equal(a.frames, c.frames)


def test_shards_that_are_there_are_kept_and_progress_is_told(tmp_path):
    told: list[int] = []
    fill_bank(tmp_path, 2, seed=0, **SMALL)
    before = next(tmp_path.glob("shard-*")).stat().st_mtime_ns
    fill_bank(tmp_path, 3, seed=0, on_shard=told.append, **SMALL)
    assert told == [1] and min(path.stat().st_mtime_ns for path in tmp_path.iterdir()) == before
    assert not list(tmp_path.glob("*.partial"))


def test_runs_of_the_same_seed_do_not_disturb_each_other(tmp_path, clips, monkeypatch):
    written = []

    def save(tensors, path, **about):
        written.append(path)
        if len(written) == 1:  # while this run writes its shard, another one starts, and finishes it first
            path.write_bytes(b"half")
            fill_bank(tmp_path, 2, seed=0, **SMALL)
            assert path.exists()
        save_file(tensors, path, **about)

    monkeypatch.setattr("echopulse.data.bank.save_file", save)
    assert fill_bank(tmp_path, 2, seed=0, **SMALL) == 1
    assert len({path.name for path in written}) == 2 and len(Bank.load(tmp_path)) == 2
    assert [path.name for path in tmp_path.iterdir()] == ["shard-000000-00000.safetensors"]


def test_what_a_killed_run_left_is_cleared_away_and_what_is_being_written_is_not(tmp_path):
    left, live = (tmp_path / f"shard-000000-00007.{name}.partial" for name in ("left", "live"))
    for path in (left, live):
        path.write_bytes(b"half")
    os.utime(left, (time.time() - 7200,) * 2)
    fill_bank(tmp_path, 2, seed=0, **SMALL)
    assert live.exists() and not left.exists()


def test_older_shards_load_beside_newer_ones_without_their_event_times(tmp_path):
    fill_bank(tmp_path, 4, seed=0, **SMALL)
    older = tmp_path / "shard-000000-00000.safetensors"
    with safe_open(older, "pt") as file:
        tensors, metadata = {key: file.get_tensor(key) for key in file.keys()}, file.metadata()
    assert "events" not in tensors
    save_file(tensors | {"events": torch.zeros(2, 4, 24)}, older, metadata=metadata)
    bank = Bank.load(tmp_path)
    assert len(bank) == 4 and "events" not in bank.tensors and bank.ecg.shape[0] == 4


def test_an_unfinished_shard_is_not_read(tmp_path):
    fill_bank(tmp_path, 2, seed=0, **SMALL)
    (tmp_path / "shard-000000-00009.partial").write_bytes(b"half")
    assert len(Bank.load(tmp_path)) == 2


def test_shards_are_the_same_bytes_whatever_the_number_of_workers(tmp_path):
    for workers in (1, 2):
        fill_bank(tmp_path / str(workers), 4, seed=0, workers=workers, **SMALL)
    one, two = ([path.read_bytes() for path in sorted((tmp_path / name).iterdir())] for name in "12")
    assert len(one) == 2 and one == two


def test_a_shard_of_other_settings_is_refused_and_replaced_with_force_only(tmp_path):
    assert fill_bank(tmp_path, 4, seed=0, **SMALL) == 2
    with pytest.raises(InputError, match="00000.safetensors: made with other settings .ef null, not 0.3.*--force"):
        fill_bank(tmp_path, 2, seed=0, ef=0.3, **SMALL)
    assert len(Bank.load(tmp_path)) == 4
    assert fill_bank(tmp_path, 2, seed=0, ef=0.3, force=True, **SMALL) == 1
    bank = Bank.load(tmp_path)
    assert len(bank) == 2 and fill_bank(tmp_path, 2, seed=0, ef=0.3, force=True, **SMALL) == 0  # they fit now


def test_shards_of_another_seed_may_differ_in_hearts_but_not_in_kind(tmp_path):
    fill_bank(tmp_path, 2, seed=0, **SMALL)
    fill_bank(tmp_path, 2, seed=1, ef=0.3, **SMALL)
    assert len(Bank.load(tmp_path)) == 4
    with pytest.raises(InputError, match="shard-000000-.*frames 3, not 4"):
        fill_bank(tmp_path, 2, seed=2, **SMALL | {"frames": 4})
    fill_bank(tmp_path, 2, seed=2, force=True, **SMALL | {"frames": 4})
    assert Bank.load(tmp_path).frames.shape[:2] == (2, 4)


def test_a_shard_that_lacks_what_those_before_it_hold_is_refused(tmp_path, clips):
    about = {"fps": "25.0", "ecg_rate_hz": "200.0", "ecg_start_s": "-1.6"}
    still = clips_to_tensors(clips)
    moving = still | {"motion": torch.zeros(1)}
    for number, tensors in enumerate((moving, still)):
        save_file(tensors, tmp_path / f"shard-{number:06d}-00000.safetensors", metadata=about)
    with pytest.raises(InputError, match="shard-000001-00000.* holds no motion, which shards before it do"):
        Bank.load(tmp_path)
    with pytest.raises(InputError, match="do not say how tissue moves; make some with .*--displacement"):
        Bank(still, 25.0, 200.0, -1.6).check_moving()


def test_pictures_that_cannot_be_packed_are_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(InputError, match="36 by 36 pixels: .* ask for 32 or 40"):
        fill_bank(tmp_path / "new", 2, seed=0, frames=1, size=36)
    assert not (tmp_path / "new").exists()


def test_an_empty_folder_is_refused_with_the_command_that_fills_it(tmp_path):
    with pytest.raises(InputError, match="simulate --bank"):
        Bank.load(tmp_path)
