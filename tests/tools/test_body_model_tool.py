import os
import sys

import numpy as np
import pytest

from motionbert_mm.io.body_files import read_body
from motionbert_mm.models.body_model import BodyModel
from tests.generated import load_tool
from tests.smpl_files import OldObjects, dump, smpl_arrays, write_regressor

tool = load_tool('model_converters/body_model.py')
NAME = 'basicmodel_neutral_lbs_10_207_0_v1.0.0.pkl'


@pytest.fixture
def convert(monkeypatch):
    def run(*arguments):
        monkeypatch.setattr(sys, 'argv', ['body_model.py', *map(str, arguments)])
        tool.main()
    return run


@pytest.fixture
def source(tmp_path, monkeypatch):
    old = OldObjects(monkeypatch)
    path = dump(tmp_path / NAME, old.smpl(smpl_arrays(num_vertices=60)))
    old.forget()
    return path


def test_a_pickle_of_python_2_becomes_plain_arrays(convert, source, tmp_path, capsys):
    convert(source, tmp_path / 'out' / 'SMPL_NEUTRAL.npz')
    assert 'shapedirs (60, 3, 10)' in capsys.readouterr().out
    with np.load(tmp_path / 'out' / 'SMPL_NEUTRAL.npz', allow_pickle=False) as content:
        assert set(content.files) == set(smpl_arrays(num_vertices=4 * 5))
        for name, expected in smpl_arrays(num_vertices=60).items():
            np.testing.assert_array_equal(content[name], expected)
            assert content[name].dtype == expected.dtype
    assert os.listdir(tmp_path / 'out') == ['SMPL_NEUTRAL.npz']


def test_the_result_is_the_same_body(convert, source, tmp_path):
    convert(source, tmp_path / 'SMPL_NEUTRAL.npz')
    for name, array in vars(read_body(source, 'smpl', 10)).items():
        np.testing.assert_array_equal(getattr(read_body(tmp_path / 'SMPL_NEUTRAL.npz', 'smpl', 10), name), array)
    regressor = write_regressor(tmp_path, smpl_arrays(num_vertices=60))
    assert BodyModel(tmp_path, regressor).num_vertices == 60


@pytest.mark.parametrize('content, options, message', [
    (None, (), 'no such file, expected a smpl body model; SMPL is free for research: register at'),
    (b'', (), 'not a complete pickle'),
    ({'v_template': np.zeros((4, 3))}, (), 'lacks shapedirs, posedirs'),
    (smpl_arrays(num_vertices=30), ('--kind', 'smplh'), r'posedirs has shape \(30, 3, 207\), a smplh body'),
])
def test_errors_are_one_line_and_leave_no_file(convert, tmp_path, content, options, message):
    if isinstance(content, bytes):
        (tmp_path / NAME).write_bytes(content)
    elif content is not None:
        dump(tmp_path / NAME, content)
    with pytest.raises(SystemExit, match=message) as error:
        convert(tmp_path / NAME, tmp_path / 'out' / 'a.npz', *options)
    assert '\n' not in str(error.value) and not (tmp_path / 'out').exists()


def test_another_suffix_is_refused(convert, source, tmp_path, capsys):
    with pytest.raises(SystemExit):
        convert(source, tmp_path / 'SMPL_NEUTRAL.pkl')
    assert 'must end in .npz' in capsys.readouterr().err
