"""The command that searches a store: its table, its files and its refusals."""
import json

import numpy as np
import pytest

from motionbert_mm.apis import MotionSearch
from tests.generated import TINY_MODEL, load_tool, run_tool
from tests.text_files import JUMP, WALK, WAVE, save_text_model, write_text_store

tool = load_tool('search_motion.py')


@pytest.fixture(scope='module')
def store(tmp_path_factory):
    return write_text_store(tmp_path_factory.mktemp('search') / 'store')


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    return save_text_model(tmp_path_factory.mktemp('search') / 'model.pth')


def call(checkpoint, store, *options):
    tool.main([str(checkpoint), str(store), *map(str, options), '--device', 'cpu'])


def expected_hits(checkpoint, store, texts, **options):
    search = MotionSearch.from_checkpoint(checkpoint, 'cpu')
    search.index(store)
    return search.search(texts, **options)


def test_a_table_for_each_text_is_printed(checkpoint, store, capsys):
    call(checkpoint, store, WALK, WAVE, '--top', 2)
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f'"{WALK}"' and lines[4] == f'"{WAVE}"' and len(lines) == 9
    assert lines[1].split() == ['rank', 'score', 'clip', 'action', 'seconds', 'text']
    for line, hit in zip(lines[2:4], expected_hits(checkpoint, store, [WALK], top=2)[0]):
        cells = line.split()
        assert cells[:3] == [str(hit.rank), f'{hit.score:.3f}', hit.clip]
        assert f'{hit.seconds[0]:.2f}-{hit.seconds[1]:.2f}' in cells and line.endswith(' / '.join(hit.text) or '-')
    assert lines[-1] == f'searched 4 clips, 4 windows, of {store}'


def test_hits_are_written_as_json_and_arrays(checkpoint, store, tmp_path):
    for name in ('out/hits.json', 'out/hits.npz'):
        call(checkpoint, store, WALK, JUMP, '--top', 3, '--out', tmp_path / name)
    hits = expected_hits(checkpoint, store, [WALK, JUMP], top=3)
    written = json.loads((tmp_path / 'out' / 'hits.json').read_text())
    assert written['store'] == str(store) and [query['text'] for query in written['queries']] == [WALK, JUMP]
    for query, row in zip(written['queries'], hits):
        assert [hit['clip'] for hit in query['hits']] == [hit.clip for hit in row]
        assert [hit['seconds'] for hit in query['hits']] == [list(hit.seconds) for hit in row]
    with np.load(tmp_path / 'out' / 'hits.npz', allow_pickle=False) as arrays:
        assert arrays['queries'].tolist() == [WALK, JUMP] and arrays['seconds'].shape == (2, 3, 2)
        np.testing.assert_allclose(arrays['scores'], [[hit.score for hit in row] for row in hits], atol=1e-6)
        assert arrays['clip'].tolist() == [[hit.clip for hit in row] for row in hits]


def test_windows_are_found_with_every(checkpoint, store, tmp_path, capsys):
    call(checkpoint, store, WALK, '--every', 0.2, '--split', 'half', '--out', tmp_path / 'hits.json')
    assert 'searched 2 clips, 8 windows' in capsys.readouterr().out
    hits = json.loads((tmp_path / 'hits.json').read_text())['queries'][0]['hits']
    assert len(hits) == 8 and {hit['clip'] for hit in hits} == {'r1/0', 'r2/0'}
    assert all(np.diff(hit['seconds']) == pytest.approx(0.3) for hit in hits)


def test_vectors_are_kept_in_the_cache(checkpoint, store, tmp_path, capsys):
    printed = []
    for _ in range(2):
        call(checkpoint, store, WALK, '--cache', tmp_path / 'cache')
        printed.append(capsys.readouterr().out)
    assert printed[0] == printed[1] and len(list((tmp_path / 'cache').iterdir())) == 1


def test_the_command_runs_by_itself(checkpoint, store):
    result = run_tool('search_motion.py', checkpoint, store, WALK, '--device', 'cpu')
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith(f'"{WALK}"')


@pytest.mark.parametrize('options, message', [
    ((' ',), '1 of the 1 texts have no word'), ((WALK, '--top', 0), '--top must be at least 1, got 0'),
    ((WALK, '--batch-size', 0), '--batch-size must be at least 1'), ((WALK, '--split', 'no'), "no split 'no'"),
    ((WALK, '--out', 'hits.txt'), '--out must be a .json or .npz file'), ((WALK, '--every', -1), 'expected a positive'),
    ((WALK, '--cache', __file__), 'is a file; name a folder')])
def test_what_cannot_be_done_is_refused_in_one_line(checkpoint, store, options, message):
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        call(checkpoint, store, *options)


def test_wrong_files_are_refused_in_one_line(checkpoint, store, tmp_path):
    lifter = save_text_model(tmp_path / 'lifter.pth', model=TINY_MODEL)
    for wrong, message in (((lifter, store), 'holds no model that knows texts'),
                           ((tmp_path / 'no.pth', store), 'no.pth does not exist'),
                           ((checkpoint, tmp_path), 'is not a motion store'),
                           ((store / 'index.json', store), 'truncated')):
        with pytest.raises(SystemExit, match=f'error: .*{message}') as stopped:
            call(*wrong, WALK)
        assert '\n' not in str(stopped.value)
