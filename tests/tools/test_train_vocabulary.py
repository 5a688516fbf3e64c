import pytest

from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.models.text_encoder import TextEncoder
from motionbert_mm.models.word_pieces import read_vocabulary
from tests.generated import load_tool, make_cameras, make_clip, run_tool


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    """A clip in each of two splits, and one without text."""
    path, camera = tmp_path_factory.mktemp('stores') / 'texts', make_cameras()[0]
    texts = dict(train=('A person waves the LEFT hand', 'someone waves'), val=('a man jumps',), quiet=())
    splits = dict(train=['train', 'quiet'], val=['val'], quiet=['quiet'])
    with MotionStoreWriter(path, skeleton='h36m', fps=30.0, info=dict(splits=splits)) as writer:
        for name, text in texts.items():
            writer.add_clip(name, make_clip(3, 0, camera), text=text)
    return path


def call(monkeypatch, *options):
    monkeypatch.setattr('sys.argv', ['train_vocabulary.py', *map(str, options)])
    load_tool('train_vocabulary.py').main()


def test_a_vocabulary_of_a_split(monkeypatch, capsys, store, tmp_path):
    out = tmp_path / 'new' / 'vocab.txt'
    call(monkeypatch, store, '--split', 'train', '--out', out)
    words = read_vocabulary(out)
    assert {'waves', 'left', 'someone', 'hand', 'right'} <= set(words) and not {'man', 'jumps'} & set(words)
    report = capsys.readouterr().out
    # Mirror images: 'a person waves the right hand' is the third text.
    assert f'{len(words)} words of 3 texts' in report and '0 have an unknown word' in report
    assert TextEncoder(vocab_file=str(out), num_layers=1)(['someone waves']).shape == (1, 256)


def test_the_same_texts_give_the_same_file_in_every_process(monkeypatch, store, tmp_path):
    call(monkeypatch, store, '--out', tmp_path / 'here.txt', '--size', 90)
    result = run_tool('train_vocabulary.py', store, '--out', tmp_path / 'there.txt', '--size', 90, PYTHONHASHSEED='7')
    assert result.returncode == 0, result.stderr
    assert (tmp_path / 'here.txt').read_bytes() == (tmp_path / 'there.txt').read_bytes()
    assert len(read_vocabulary(tmp_path / 'here.txt')) == 90


@pytest.mark.parametrize('options, message', [
    (['--split', 'quiet'], 'none of its 1 clips has a text; convert a data set that has some'),
    (['--split', 'test'], "has no split 'test'; it has train, val, quiet"),
    (['--size', '20'], 'size 20 is too small'),
])
def test_what_cannot_be_done_is_said_in_one_line(monkeypatch, store, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        call(monkeypatch, store, '--out', tmp_path / 'vocab.txt', *options)
    assert not list(tmp_path.iterdir())


def test_a_store_that_is_not_there(monkeypatch, tmp_path):
    with pytest.raises(SystemExit, match='error: .*nowhere is not a motion store'):
        call(monkeypatch, tmp_path / 'nowhere', '--out', tmp_path / 'vocab.txt')
