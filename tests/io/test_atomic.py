import stat

import pytest

from motionbert_mm.io import atomic_path


def test_file_appears_complete_with_its_folders(tmp_path):
    with atomic_path(tmp_path / 'a' / 'b.txt') as work:
        work.write_text('new')
        assert work.suffix == '.txt' and not (tmp_path / 'a' / 'b.txt').exists()
    assert (tmp_path / 'a' / 'b.txt').read_text() == 'new'
    assert stat.S_IMODE((tmp_path / 'a' / 'b.txt').stat().st_mode) & 0o400
    assert [path.name for path in (tmp_path / 'a').iterdir()] == ['b.txt']


def test_failure_leaves_the_old_file(tmp_path):
    path = tmp_path / 'b.txt'
    path.write_text('old')
    with pytest.raises(KeyError), atomic_path(path) as work:
        work.write_text('half')
        raise KeyError
    assert path.read_text() == 'old'
    assert [entry.name for entry in tmp_path.iterdir()] == ['b.txt']
