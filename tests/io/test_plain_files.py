import json
import zipfile

import numpy as np
import pytest

from motionbert_mm.io.plain_files import read_json, read_npy, read_npz


@pytest.mark.parametrize('mark', [b'', b'\xef\xbb\xbf'])
def test_json_with_and_without_byte_order_mark(tmp_path, mark):
    (tmp_path / 'a.json').write_bytes(mark + json.dumps({'name': 'é'}).encode())
    assert read_json(tmp_path / 'a.json', 'write it again') == {'name': 'é'}


@pytest.mark.parametrize('content', [b'', b'{"a": [1, 2', b'\xff\xfe{', b'[' * 100_000])
def test_damaged_json_is_named_with_the_cure(tmp_path, content):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(ValueError, match=r'a\.json: empty, truncated or no JSON \(.*; write it again$'):
        read_json(tmp_path / 'a.json', 'write it again')


def test_npz_gives_what_is_asked_for(tmp_path):
    path = tmp_path / 'a.npz'
    np.savez(path, x=np.arange(3), y=np.eye(2), z=np.zeros(1))
    assert set(read_npz(path, 'copy it')) == {'x', 'y', 'z'}
    assert set(read_npz(path, 'copy it', required=('x',), optional=('y', 'absent'))) == {'x', 'y'}
    with pytest.raises(ValueError, match=r'a\.npz lacks w; it holds x, y, z; copy it$'):
        read_npz(path, 'copy it', required=('x', 'w'))


def spoil_middle(path):
    """Change bytes of the compressed data, which zlib or the check sum notices."""
    with zipfile.ZipFile(path) as archive:
        start = archive.infolist()[0].header_offset + 60
    content = bytearray(path.read_bytes())
    content[start:start + 40] = bytes(40)
    path.write_bytes(content)


def cut(path):
    path.write_bytes(path.read_bytes()[:-30])


@pytest.mark.parametrize('damage', [spoil_middle, cut])
@pytest.mark.parametrize('save', [np.savez, np.savez_compressed])
def test_damaged_npz_is_named(tmp_path, save, damage):
    path = tmp_path / 'a.npz'
    save(path, x=np.random.default_rng(0).random(500))
    damage(path)
    with pytest.raises(ValueError, match=r'a\.npz: truncated or no \.npz of plain arrays \(.*; copy it$'):
        read_npz(path, 'copy it')


def test_the_other_kind_of_numpy_file_is_refused(tmp_path):
    np.save(tmp_path / 'a.npy', np.zeros(2))
    np.savez(tmp_path / 'b.npz', x=np.zeros(2))
    (tmp_path / 'a.npy').rename(tmp_path / 'a.npz')
    (tmp_path / 'b.npz').rename(tmp_path / 'b.npy')
    with pytest.raises(ValueError, match='it is an .npy'):
        read_npz(tmp_path / 'a.npz', 'copy it')
    with pytest.raises(ValueError, match='it is an .npz'):
        read_npy(tmp_path / 'b.npy', 'copy it')


def test_objects_text_and_absent_files_are_refused(tmp_path):
    np.save(tmp_path / 'objects.npy', np.array([{}], object))
    (tmp_path / 'text.npy').write_text('1 2 3')
    for name in ('objects', 'text'):
        with pytest.raises(ValueError, match=rf'{name}\.npy: truncated or no \.npy .*it holds Python objects, or is'):
            read_npy(tmp_path / f'{name}.npy', 'copy it')
    with pytest.raises(FileNotFoundError, match=r'none\.npy: no such file, expected an \.npy; copy it$'):
        read_npy(tmp_path / 'none.npy', 'copy it')
