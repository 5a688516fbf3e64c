import copy
import json

import numpy as np
import pytest
import torch
from mmengine.config import Config

from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.registry import MODELS, build
from tests.generated import CLIPS, NUM_FRAMES, load_tool, write_config

retrieve_motion = load_tool('analysis_tools/retrieve_motion.py')
MPM = dict(type='MPMEncoder', num_joints=17, max_frames=NUM_FRAMES, dim=8, depth=1, num_heads=2, hidden_dim=12,
           num_blocks=1)
MODEL = dict(_delete_=True, type='MotionModel', backbone=MPM, neck=dict(type='RestoreFrames', max_frames=NUM_FRAMES),
             heads=dict(pose_3d=dict(type='FramePoseHead', depth=1, num_heads=2)))
HIDING = [dict(type='NormalizeCoords'), dict(type='SampleExactMask', frame_ratio=0.5, num_joints=2),
          dict(type='PackInputs', fields=['keypoints_3d'])]


def make_run(folder, store, **changes):
    """Config whose test data hide inputs, and a checkpoint with random weights."""
    changes = copy.deepcopy({'model': MODEL, 'test_dataloader.dataset.pipeline': HIDING, **changes})
    path = write_config(folder / 'mpm.py', store, **changes)
    model = build(MODELS, Config.fromfile(path).model.to_dict())
    torch.save(dict(state_dict=model.state_dict()), folder / 'model.pth')
    return str(path), str(folder / 'model.pth')


@pytest.fixture
def run(tiny_store, tmp_path):
    return make_run(tmp_path, tiny_store)


def call(arguments, *options):
    retrieve_motion.main([*arguments, '--device', 'cpu', *map(str, options)])


def test_the_tool_prints_a_table_and_writes_it(run, tmp_path, capsys):
    call(run, '--json', tmp_path / 'out' / 'found.json', '--batch-size', 4)
    printed = capsys.readouterr().out
    found = json.loads((tmp_path / 'out' / 'found.json').read_text())
    # Windows of 9 frames side by side of clips of 52 and 47 frames, two cameras each.
    assert (found['num_candidates'], found['num_motions']) == (20, 10)
    assert '20 candidates, 10 motions' in printed and printed.count('2D -> 3D') == printed.count('3D -> 2D') == 4
    rows = {(row['right'], row['features'], row['direction']): row for row in found['results']}
    assert len(rows) == len(found['results']) == 10
    guessed = rows['same view', 'guessed', 'either']
    assert (guessed['R@1'], guessed['R@10'], guessed['median rank']) == pytest.approx((5, 50, 10.5))
    guessed = rows['any view', 'guessed', 'either']
    assert (guessed['R@1'], guessed['median rank']) == pytest.approx((10, 7))
    for row in rows.values():
        assert 0 <= row['R@1'] <= row['R@5'] <= row['R@10'] <= 100


def test_windows_are_encoded_whole_in_both_modalities(run, tiny_store):
    config = Config.fromfile(run[0])
    model = build(MODELS, config.model.to_dict()).eval()
    datasets = retrieve_motion.read_dataset(config, 'test')
    windows = retrieve_motion.encode(model, datasets, one_per_clip=False, batch_size=7, device='cpu')
    store = MotionStore(tiny_store)
    clip = next(clip for clip in store.clips if clip.name.startswith('wave/wave_2'))
    place = windows.views.tolist().index(f':{clip.name}, person 0, from frame 18')
    rows = slice(clip.start + 18, clip.start + 27)
    solid = store.arrays['keypoints_3d'][rows] / 1000
    width, height = clip.image_size
    flat = store.arrays['detected_2d'][rows] * 2 / width - [1, height / width]
    with torch.no_grad():
        for got, door, points in ((windows.flat, model.backbone.encode2d, flat),
                                  (windows.solid, model.backbone.encode3d, solid - solid[:, :1])):
            expected = door(torch.tensor(points, dtype=torch.float32)[None]).mean((1, 2))[0].numpy()
            np.testing.assert_allclose(got[place], expected, atol=1e-5)
    assert windows.flat.shape == windows.solid.shape == (20, 8)


def test_views_of_one_motion_share_its_name(run):
    config = Config.fromfile(run[0])
    model = build(MODELS, config.model.to_dict()).eval()
    windows = retrieve_motion.encode(model, retrieve_motion.read_dataset(config, 'test'), one_per_clip=True,
                                     batch_size=7, device='cpu')
    # The middle one of five windows side by side, in each of two clips seen by two cameras.
    assert len(set(windows.views)) == 4 and sorted(set(windows.motions)) == [
        ':walk/walk_2#, person 0, from frame 18', ':wave/wave_2#, person 0, from frame 18']


@pytest.mark.parametrize('clip, camera, motion', [
    ('walk#front', 'front', 'walk#'), ('S9/Walking.54138969', '54138969', 'S9/Walking.'),
    ('S10/Seq1.0', '0', 'S10/Seq1.'), ('walk', 'front', 'walk'), ('walk', '', 'walk'), ('walk', None, 'walk')])
def test_the_camera_is_taken_out_of_the_name_of_a_clip(clip, camera, motion):
    assert retrieve_motion.motion_of(clip, camera) == motion


def test_ranks_of_known_features():
    # Two motions from two cameras; in 3D, the cameras of the first motion are mixed up.
    flat = np.array([[1.0, 0, 0, 0], [0, 1.0, 0, 0], [0, 0, 1.0, 0], [0, 0, 0, 1.0]])
    windows = retrieve_motion.Windows(flat, flat[[1, 0, 2, 3]], np.array(list('abcd')), np.array(list('xxyy')))
    rows = {(row['right'], row['features'], row['direction']): row for row in retrieve_motion.measure(windows)}
    for direction in ('2D -> 3D', '3D -> 2D'):
        # A mixed-up window is one of three that are equally far.
        assert rows['same view', 'as they are', direction]['R@1'] == 50
        assert rows['same view', 'as they are', direction]['median rank'] == 2
        assert rows['any view', 'as they are', direction]['R@1'] == 100
        assert rows['any view', 'mean removed', direction]['R@1'] == 100


def test_one_camera_needs_no_second_part():
    rng = np.random.default_rng(0)
    names = np.array(list('abc'))
    rows = retrieve_motion.measure(retrieve_motion.Windows(*rng.normal(size=(2, 3, 4)), names, names))
    assert {row['right'] for row in rows} == {'same view'} and len(rows) == 5


def test_everybody_in_a_clip_counts_and_nobody_who_is_not_there(people_store, tmp_path):
    config = Config.fromfile(make_run(tmp_path, people_store, **{'test_dataloader.dataset.include': []})[0])
    model = build(MODELS, config.model.to_dict()).eval()
    windows = retrieve_motion.encode(model, retrieve_motion.read_dataset(config, 'test'), one_per_clip=True,
                                     batch_size=2, device='cpu')
    assert [name.split(', from')[0] for name in windows.views] == [
        ':hug, person 0', ':hug, person 1', ':alone, person 0']
    assert np.isfinite(windows.flat).all() and not np.allclose(windows.flat[0], windows.flat[1])


def test_joined_data_sets_make_one_gallery(tiny_store, tmp_path):
    path, _ = make_run(tmp_path, tiny_store)
    config = Config.fromfile(path)
    part = config.test_dataloader.dataset.to_dict()
    config.test_dataloader.dataset = dict(type='JoinedDataset', datasets=dict(
        first=dict(part, include=['walk/*_1#*']), second=dict(part, include=['wave/*_1#*'])))
    model = build(MODELS, config.model.to_dict()).eval()
    windows = retrieve_motion.encode(model, retrieve_motion.read_dataset(config, 'test'), one_per_clip=False,
                                     batch_size=64, device='cpu')
    counts = {name: CLIPS[name] // NUM_FRAMES * 2 for name in ('walk/walk_1', 'wave/wave_1')}
    assert len(windows.views) == sum(counts.values())
    assert sum(name.startswith('first:walk') for name in windows.views) == counts['walk/walk_1']


@pytest.mark.parametrize('changes, options, message', [
    ({'model': dict(_delete_=True, type='MotionModel', backbone=dict(type='PSTMOEncoder', max_frames=9, dim=8, depth=1,
                                                                     num_heads=2, hidden_dim=12),
                    heads=dict(pose=dict(type='FramePoseHead')))}, (),
     'the backbone is PSTMOEncoder, which has no encode2d and encode3d; expected MPMEncoder'),
    ({'model': dict(MODEL, backbone=dict(MPM, has_3d=False))}, (),
     r'this MPMEncoder reads 2D poses only \(has_3d=False'),
    ({'test_dataloader.dataset.targets': []}, (), 'the data have no 3D truth'),
    ({'test_dataloader.dataset.pipeline': [dict(type='NormalizeCoords', target=None), dict(type='PackInputs')]}, (),
     'no NormalizeCoords with a 3D target'),
    ({'test_dataloader': None}, (), 'no test_dataloader'),
    ({}, ('--batch-size', 0), '--batch-size must be at least 1'),
    ({}, ('--device', 'abacus'), '--device abacus is not available'),
    ({}, ('--cfg-options', 'model.backbone.depth=2'), 'model.pth does not fit the model'),
    ({}, ('--cfg-options', 'test_dataloader.dataset.window.num_frames=99'), 'no clip is as long as a window')])
def test_what_cannot_be_compared_is_refused_in_one_line(tiny_store, tmp_path, changes, options, message):
    arguments = make_run(tmp_path, tiny_store, **changes)
    with pytest.raises(SystemExit, match=f'error: .*{message}'):
        call(arguments, *options)


def test_tasks_that_take_turns_are_refused(tiny_store, tmp_path):
    path, checkpoint = make_run(tmp_path, tiny_store)
    config = Config.fromfile(path)
    part = config.train_dataloader.dataset.to_dict()
    config.train_dataloader.dataset = dict(type='MixedDataset', datasets=dict(m2m=part, m2l=part))
    config.dump(path)
    with pytest.raises(SystemExit, match='error: the train data are a MixedDataset, .*choose a --split'):
        call((path, checkpoint), '--split', 'train')
