"""WFDB headers that name files outside their folder: refused, nothing read or written there."""

from pathlib import Path

import pytest

from echopulse.ecg import read_ecg
from echopulse.errors import InputError


@pytest.mark.parametrize("name", ["../victim.dat", "/etc/passwd", "sub/victim.dat", "..\\victim.dat"])
@pytest.mark.parametrize("date", ["", " 99:99:99 99/99/9999"])  # the second is mended in a folder of its own
def test_a_header_names_files_beside_it_or_is_refused(tmp_path, name, date):
    folder = tmp_path / "set" / "records"
    (folder / "sub").mkdir(parents=True)
    for place in (folder.parent, folder / "sub"):
        (place / "victim.dat").write_bytes(bytes(24000))
    (folder / "rec.hea").write_text(f"rec 1 360 6000{date}\n{name} 16 200 16 0 0 0 0 I\n")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(InputError, match=r"rec\.hea: the header names .* outside its own folder"):
        read_ecg(folder / "rec.hea")
    assert sorted(tmp_path.rglob("*")) == before and not Path("victim.dat").exists()
