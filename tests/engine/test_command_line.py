import pytest
from torch._utils import ExceptionWrapper

from motionbert_mm.engine.command_line import check_options, describe_error, one_line_errors, read_config
from tests.generated import write_config


@pytest.fixture
def config_file(tiny_store, tmp_path):
    return write_config(tmp_path / 'tiny.py', tiny_store)


def test_options_and_places_are_applied(config_file, tmp_path):
    options = {'model.flip_test': True, 'train_dataloader.batch_size': 3}
    config = read_config(str(config_file), options, launcher='pytorch')
    assert config.model.flip_test is True and config.train_dataloader.batch_size == 3 and config.launcher == 'pytorch'
    assert config.work_dir == 'work_dirs/tiny'
    assert read_config(str(config_file), work_dir=str(tmp_path)).work_dir == str(tmp_path)


def test_a_missing_config_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'nowhere\.py does not exist'):
        read_config(str(tmp_path / 'nowhere.py'))


def test_a_config_that_is_not_python_is_named(tmp_path):
    path = tmp_path / 'torn.py'
    path.write_text('model = dict(')
    with pytest.raises(ValueError, match=r'torn\.py is not Python'):
        read_config(str(path))


def test_windows_of_mixed_and_joined_sources_are_checked(config_file):
    inner = dict(type='MotionDataset', data_root='x', window=dict(num_frame=9))
    joined = dict(type='JoinedDataset', datasets=dict(h36m=inner))
    for source, place in ((inner, ''), (joined, r'\.datasets\.h36m')):
        mixed = dict(type='MixedDataset', datasets=dict(poses=source), _delete_=True)
        with pytest.raises(TypeError, match=rf'dataset\.datasets\.poses{place}\.window has num_frame'):
            read_config(str(config_file), {'train_dataloader.dataset': mixed})


def test_keys_that_no_class_takes_are_found_before_anything_is_built(config_file):
    with pytest.raises(TypeError, match='config.train_dataloader.dataset has widnow, which MotionDataset does not'):
        read_config(str(config_file), {'train_dataloader.dataset.widnow.num_frames': 9})


@pytest.mark.parametrize('option', ['max_epochs', 'data_root', 'modle.flip_test'])
def test_options_that_nothing_reads_are_refused(option):
    with pytest.raises(KeyError, match=f'--cfg-options {option} would change nothing: the Runner reads'):
        check_options({'model.flip_test': True, option: 1})


@pytest.mark.parametrize('error', [ValueError('bad\n  value'), KeyError('bad value'), TypeError('bad value'),
                                   FileNotFoundError('bad value')])
def test_expected_errors_end_in_one_line_and_keep_their_traceback(tmp_path, error):
    with pytest.raises(SystemExit) as exit_info, one_line_errors(str(tmp_path / 'work')):
        raise error
    path = tmp_path / 'work' / 'error.txt'
    assert exit_info.value.code == f'error: bad value (traceback in {path})'
    assert 'Traceback' in path.read_text() and 'raise error' in path.read_text()


def test_without_a_place_no_file_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(SystemExit, match='^error: bad$'), one_line_errors():
        raise ValueError('bad')
    assert list(tmp_path.iterdir()) == []


def test_bugs_keep_their_traceback(tmp_path):
    with pytest.raises(ZeroDivisionError), one_line_errors(str(tmp_path)):
        raise ZeroDivisionError('division by zero')


@pytest.mark.parametrize('error', [ValueError('sample is NaN'), KeyError('sample is NaN')])
def test_errors_of_workers_are_reduced_to_their_message(error):
    try:
        raise error
    except type(error):
        sent = ExceptionWrapper(where='in DataLoader worker process 0')  # as a worker of a data loader sends it
    with pytest.raises(type(error), match='Caught .*Error in DataLoader worker process 0') as caught:
        sent.reraise()
    assert describe_error(caught.value).strip("'") == 'sample is NaN'
