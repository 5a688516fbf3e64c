import importlib.util
import json
import os
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
import trimesh
from PIL import Image

from motionbert_mm.apis.mesh_output import choose_frames
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.models.body_model import BodyModel
from motionbert_mm.registry import MODELS, build
from tests.apis.test_centre_lifting import PSTMO
from tests.apis.test_labelling import ACTION_MODEL, EMBEDDING_MODEL, save
from tests.apis.test_mesh import MESH_MODEL, REFINER
from tests.apis.test_mesh import save as save_mesh_model
from tests.apis.test_missing import MASKED
from tests.generated import TINY_MODEL
from tests.io.body import walk_2d
from tests.io.openpose import write_openpose

TOOL = Path(__file__).resolve().parents[2] / 'tools' / 'infer.py'


@pytest.fixture(scope='module')
def tool():
    spec = importlib.util.spec_from_file_location('infer_tool', TOOL)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope='module')
def checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('checkpoints') / 'tiny.pth'
    description = dict(model=TINY_MODEL, window=dict(num_frames=9), pipeline=[dict(type='NormalizeCoords')])
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=build(MODELS, TINY_MODEL).state_dict()), path)
    return path


@pytest.fixture(scope='module')
def centre_checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('checkpoints') / 'centre.pth'
    description = dict(model=PSTMO, window=dict(num_frames=9, kind='centre', dilation=2),
                       pipeline=[dict(type='NormalizeCoords')])
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=build(MODELS, PSTMO).state_dict()), path)
    return path


@pytest.fixture(scope='module')
def masked_checkpoint(tmp_path_factory):
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp('checkpoints') / 'masked.pth'
    description = dict(model=MASKED, window=dict(num_frames=9), pipeline=[dict(type='NormalizeCoords')],
                       trained_mask=[dict(type='SampleJointGroups', groups=['left_arm'])])
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=build(MODELS, MASKED).state_dict()), path)
    return path


@pytest.fixture
def run(tool, checkpoint, tmp_path, monkeypatch, capsys):
    """Call the tool; return exit code, stdout, stderr."""
    def call(keypoints, *options, size=('1000', '1000'), checkpoint=checkpoint, out=tmp_path / 'out'):
        arguments = [checkpoint, keypoints, '--image-size', *size, '--out', out, '--device', 'cpu', *options]
        monkeypatch.setattr(sys, 'argv', ['infer.py', *map(str, arguments)])
        try:
            code = tool.main()
        except SystemExit as error:
            code = error.code
        return (code, *capsys.readouterr())
    return call


@pytest.fixture
def no_pictures(tool, monkeypatch):
    for name in ('lift_output.draw_strip', 'lift_output.animate', 'mesh_output.draw_mesh_strip',
                 'mesh_output.animate_meshes'):
        monkeypatch.setattr(f'motionbert_mm.apis.{name}', lambda *args, **kwargs: None)
    monkeypatch.setattr(tool, 'animate_labels', lambda *args, **kwargs: None)


@pytest.fixture
def walk_file(tmp_path):
    np.savez(tmp_path / 'walk.npz', keypoints=walk_2d('coco17', 12), frame_ids=np.arange(5, 17))
    return tmp_path / 'walk.npz'


def test_numbers_strip_and_animation_are_written(run, walk_file, tmp_path):
    code, out, _ = run(walk_file, '--skeleton', 'coco17', '--fps', '25')
    assert code == 0
    assert sorted(os.listdir(tmp_path / 'out')) == ['walk.gif', 'walk_3d.npz', 'walk_strip.png']
    for name in ('walk.gif', 'walk_3d.npz', 'walk_strip.png'):
        assert f'wrote {tmp_path / "out" / name}' in out
    assert 'coco17 -> h36m, 12 frames' in out
    assert 'averaged: root, spine, thorax, head' in out and 'invented: none' in out
    assert Image.open(tmp_path / 'out' / 'walk.gif').info['duration'] == 40


def test_motion_file_describes_itself(run, walk_file, tmp_path, no_pictures):
    run(walk_file, '--skeleton', 'coco17')
    with np.load(tmp_path / 'out' / 'walk_3d.npz', allow_pickle=False) as file:
        content = dict(file)
    assert content['keypoints_3d'].shape == (12, 17, 3) and content['confidence'].shape == (12, 17)
    np.testing.assert_array_equal(content['frame_ids'], np.arange(5, 17))
    assert content['joints'][3] == 'right_ankle' and len(content['joints']) == 17
    assert (str(content['unit']), str(content['skeleton']), float(content['fps'])) == ('mm', 'h36m', 30.0)
    assert 'y down' in str(content['frame'])


@pytest.mark.parametrize('length', [1, 5, 40])
def test_a_model_of_the_centre_frame_lifts_every_frame(run, centre_checkpoint, tmp_path, length):
    np.save(tmp_path / 'walk.npy', walk_2d('coco17', length))
    code, out, _ = run(tmp_path / 'walk.npy', '--skeleton', 'coco17', '--no-animation', '--batch-size', '16',
                       checkpoint=centre_checkpoint)
    assert code == 0 and f'coco17 -> h36m, {length} frame' in out
    assert sorted(os.listdir(tmp_path / 'out')) == ['walk_3d.npz', 'walk_strip.png']
    motion = np.load(tmp_path / 'out' / 'walk_3d.npz')['keypoints_3d']
    assert motion.shape == (length, 17, 3) and np.isfinite(motion).all() and np.abs(motion).max() > 10


def test_three_thousand_frames_are_lifted(run, centre_checkpoint, tmp_path, no_pictures):
    np.save(tmp_path / 'long.npy', walk_2d('coco17', 3000))
    code, out, _ = run(tmp_path / 'long.npy', '--skeleton', 'coco17', '--no-animation', '--no-tta', '--batch-size',
                       '256', checkpoint=centre_checkpoint)
    assert code == 0 and 'coco17 -> h36m, 3000 frames' in out
    assert np.load(tmp_path / 'out' / 'long_3d.npz')['keypoints_3d'].shape == (3000, 17, 3)


def test_windows_can_be_denser_than_in_training(run, centre_checkpoint, walk_file, tmp_path, no_pictures):
    motions = []
    for options in ((), ('--dilation', '2'), ('--dilation', '1')):
        assert run(walk_file, '--skeleton', 'coco17', '--no-animation', *options, checkpoint=centre_checkpoint)[0] == 0
        motions.append(np.load(tmp_path / 'out' / 'walk_3d.npz')['keypoints_3d'])
    np.testing.assert_array_equal(motions[0], motions[1])
    assert np.abs(motions[0] - motions[2]).max() > 1e-3


def test_alphapose_needs_no_skeleton_and_its_notes_are_printed(run, tmp_path, no_pictures):
    points = np.concatenate([walk_2d('halpe26', 12), np.ones((12, 26, 1))], -1).reshape(12, -1)
    items = [dict(image_id=f'{frame}.jpg', keypoints=points[frame].tolist(), score=1.0, idx=track)
             for track, frames in ((1, range(12)), (2, range(4))) for frame in frames if frame != 5]
    (tmp_path / 'people.json').write_text(json.dumps(items))
    code, out, _ = run(tmp_path / 'people.json', '--no-animation')
    assert code == 0
    assert 'note: several persons: took track 1' in out and '1 of 12 frames have no detection' in out
    code, out, _ = run(tmp_path / 'people.json', '--no-animation', '--track', '2')
    assert code == 0 and 'halpe26 -> h36m, 4 frames' in out


def test_a_folder_of_openpose_is_lifted(run, tmp_path, no_pictures):
    walker = walk_2d('body25', 12)
    folder = write_openpose(tmp_path / 'dance.mp4', [walker, walker + [300, 0]])
    code, out, _ = run(folder, '--no-animation')
    assert code == 0 and 'note: several persons without track ids' in out and 'body25 -> h36m, 12 frames' in out
    assert os.listdir(tmp_path / 'out') == ['dance_3d.npz']


def test_one_frame_is_lifted_and_the_animation_left_out(run, tmp_path):
    np.save(tmp_path / 'one.npy', walk_2d('coco17', 1))
    code, out, _ = run(tmp_path / 'one.npy', '--skeleton', 'coco17', '--no-animation')
    assert code == 0 and '1 frame\n' in out
    assert sorted(os.listdir(tmp_path / 'out')) == ['one_3d.npz', 'one_strip.png']


def test_mirroring_can_be_left_out(run, walk_file, tmp_path, no_pictures):
    motions = []
    for options in ((), ('--no-tta',)):
        assert run(walk_file, '--skeleton', 'coco17', '--no-animation', *options)[0] == 0
        motions.append(np.load(tmp_path / 'out' / 'walk_3d.npz')['keypoints_3d'])
    assert np.abs(motions[0] - motions[1]).max() > 1e-3


@pytest.fixture
def file_with_holes(tmp_path):
    points = walk_2d('coco17', 12)
    points[3:7, 9], points[10] = np.nan, np.nan  # the left wrist, and everything
    np.save(tmp_path / 'holes.npy', points)
    return tmp_path / 'holes.npy'


def test_missing_joints_are_filled_and_said(run, masked_checkpoint, file_with_holes, tmp_path):
    code, out, _ = run(file_with_holes, '--skeleton', 'coco17', checkpoint=masked_checkpoint)
    assert code == 0 and 'note:' not in out
    assert '  filled:   left_wrist: 4 by the model and 1 by interpolation, of 12 frames\n' in out
    assert out.count('  filled: ') == 2 and 'right_wrist: 1 by interpolation, of 12 frames\n' in out
    with np.load(tmp_path / 'out' / 'holes_3d.npz', allow_pickle=False) as file:
        filled, hidden, motion = file['filled'], file['hidden'], file['keypoints_3d']
    assert np.isfinite(motion).all() and filled[10].all() and filled.sum() == 17 + 4
    assert np.argwhere(hidden).tolist() == [[frame, 13] for frame in range(3, 7)]
    assert sorted(os.listdir(tmp_path / 'out')) == ['holes.gif', 'holes_3d.npz', 'holes_strip.png']


@pytest.mark.parametrize('options, by_model', [((), 0), (('--missing', 'model'), 4), (('--missing', 'interpolate'), 0)])
def test_who_fills_missing_joints_can_be_chosen(run, file_with_holes, tmp_path, no_pictures, options, by_model):
    code, out, _ = run(file_with_holes, '--skeleton', 'coco17', '--no-animation', *options)
    assert code == 0 and ('by the model' in out) is (by_model > 0)
    assert ('note: hidden from a model that was not trained with hidden joints: left_wrist;' in out) is (by_model > 0)
    content = np.load(tmp_path / 'out' / 'holes_3d.npz')
    assert content['filled'].sum() == 17 + 4 and content['hidden'].sum() == by_model


def test_a_complete_file_says_that_nothing_was_filled(run, walk_file, tmp_path, no_pictures):
    assert '  filled:   none\n' in run(walk_file, '--skeleton', 'coco17', '--no-animation')[1]
    assert not np.load(tmp_path / 'out' / 'walk_3d.npz')['filled'].any()


@pytest.mark.parametrize('options, message', [
    ((), 'name them with --skeleton'),
    (('--skeleton', 'coco'), "unknown skeleton 'coco'"),
    (('--skeleton', 'halpe26'), '17 joints per frame'),
    (('--skeleton', 'h36m'), 'do not look like h36m order'),
    (('--skeleton', 'coco17', '--track', '1'), 'arrays hold one person'),
    (('--skeleton', 'coco17', '--fps', '0'), '--fps must be positive'),
    (('--skeleton', 'coco17', '--batch-size', '0'), '--batch-size must be at least 1'),
    (('--skeleton', 'coco17', '--dilation', '0'), '--dilation must be at least 1'),
    (('--skeleton', 'coco17', '--device', 'abacus'), '--device abacus is not available'),
    (('--skeleton', 'coco17', '--format', 'avi'), "invalid choice: 'avi'"),
    (('--skeleton', 'coco17', '--missing', 'guess'), "invalid choice: 'guess'"),
    (('--skeleton', 'coco17', '--image-size', '0', '5'), '--image-size must be two positive numbers'),
    (('--skeleton', 'coco17', '--image-size', '100', '90'), 'lie outside the image'),
])
def test_expected_errors_are_one_line_and_code_2(run, walk_file, tmp_path, options, message):
    code, out, err = run(walk_file, *options)
    assert code == 2 and message in err
    assert err.count('\n') == 1 and 'Traceback' not in err
    assert not (tmp_path / 'out').exists()


def test_mp4_without_ffmpeg_is_refused_before_the_model_runs(run, walk_file, tmp_path, monkeypatch):
    monkeypatch.setenv('PATH', str(tmp_path))
    code, _, err = run(walk_file, '--skeleton', 'coco17', '--format', 'mp4')
    assert code == 2 and 'needs the program ffmpeg' in err and not (tmp_path / 'out').exists()


def test_wrong_order_can_be_trusted(run, walk_file, no_pictures):
    assert run(walk_file, '--skeleton', 'h36m', '--trust-order', '--no-animation')[0] == 0


def test_missing_and_torn_files_are_named(run, walk_file, checkpoint, tmp_path):
    torn = tmp_path / 'torn.pth'
    torn.write_bytes(checkpoint.read_bytes()[:500])
    for kwargs, message in ((dict(checkpoint=tmp_path / 'no.pth'), 'no.pth'), (dict(checkpoint=torn), 'torn.pth'),
                            (dict(keypoints=tmp_path / 'no.npz'), 'no.npz'), (dict(out=walk_file), 'is a file')):
        keypoints = kwargs.pop('keypoints', walk_file)
        code, _, err = run(keypoints, '--skeleton', 'coco17', **kwargs)
        assert code == 2 and message in err and err.count('\n') == 1


@pytest.fixture(scope='module')
def action_checkpoint(tmp_path_factory):
    return save(tmp_path_factory.mktemp('checkpoints') / 'action.pth', ACTION_MODEL, window_seconds=1.0, fps=25.0,
                classes=['walk', 'wave', 'squat'], num_persons=2)


def people_file(path, **tracks):
    """AlphaPose results; name of a track -> (points (F, J, 2), number of its first frame, confidence)."""
    items = [dict(image_id=f'{first + row}.jpg', idx=name, score=1.0,
                  keypoints=np.concatenate([pose, np.full((len(pose), 1), sure)], -1).reshape(-1).tolist())
             for name, (points, first, sure) in tracks.items() for row, pose in enumerate(points)]
    path.write_text(json.dumps(items))
    return path


@pytest.fixture
def two_people(tmp_path):
    walker = walk_2d('coco17', 60)
    return people_file(tmp_path / 'party.json', a=(walker, 0, 0.9), b=(walker[:30] * 0.5 + 300, 20, 0.8))


def check_segments(person, fps, first, last):
    """The segments of somebody who is always there cover all frames in order, in both reckonings of time."""
    segments = person['segments']
    assert segments[0]['start_frame'] == first and segments[-1]['end_frame'] == last
    for before, after in zip(segments, segments[1:]):
        assert after['start_frame'] == before['end_frame'] + 1 and after['start'] == before['end']
    for segment in segments:
        assert segment['start'] == pytest.approx(segment['start_frame'] / fps, abs=1e-3)
        assert segment['end'] == pytest.approx((segment['end_frame'] + 1) / fps, abs=1e-3)


def test_an_action_model_labels_everybody(run, action_checkpoint, two_people, tmp_path):
    code, out, _ = run(two_people, '--fps', '25', checkpoint=action_checkpoint)
    assert code == 0
    assert sorted(os.listdir(tmp_path / 'out')) == ['party_actions.gif', 'party_actions.json', 'party_scores.npz']
    content = json.loads((tmp_path / 'out' / 'party_actions.json').read_text())
    assert (content['classes'], content['fps'], content['window_seconds']) == (['walk', 'wave', 'squat'], 25.0, 1.0)
    assert [(person['track'], person['frames']) for person in content['persons']] == [('a', [0, 59]), ('b', [20, 49])]
    for person in content['persons']:
        check_segments(person, 25.0, *person['frames'])
        assert sum(entry['score'] for entry in person['top']) == pytest.approx(1, abs=1e-3)
        assert person['top'][0]['score'] == max(entry['score'] for entry in person['top'])
        for segment in person['segments']:
            line = f'{segment["start"]:8.2f} s to {segment["end"]:8.2f} s  {segment["label"]}'
            assert line in out and f'{segment["score"]:.2f}' in out
    with np.load(tmp_path / 'out' / 'party_scores.npz', allow_pickle=False) as file:
        assert file['scores'].shape == (90, 3) and list(file['classes']) == content['classes']
        np.testing.assert_array_equal(file['frame_ids'][file['track'] == 'b'], np.arange(20, 50))
        overall = file['scores'][file['track'] == 'b'].mean(axis=0)
    best = content['persons'][1]['top'][0]
    assert content['classes'][int(overall.argmax())] == best['label']
    assert best['score'] == pytest.approx(overall.max(), abs=1e-4)
    assert Image.open(tmp_path / 'out' / 'party_actions.gif').n_frames == 60


def test_one_person_can_be_labelled(run, action_checkpoint, two_people, tmp_path):
    code, out, _ = run(two_people, '--track', 'b', '--no-animation', checkpoint=action_checkpoint)
    assert code == 0 and 'track a' not in out
    content = json.loads((tmp_path / 'out' / 'party_actions.json').read_text())
    assert [person['track'] for person in content['persons']] == ['b']
    assert sorted(os.listdir(tmp_path / 'out')) == ['party_actions.json', 'party_scores.npz']


def test_a_pair_is_labelled_together_and_a_third_person_left_out(run, action_checkpoint, tmp_path):
    walker = walk_2d('coco17', 60)
    path = people_file(tmp_path / 'three.json', a=(walker[:20], 0, 0.9), b=(walker * 0.5 + 300, 5, 0.8),
                       c=(walker[:40] * 0.5, 30, 0.7))
    code, out, _ = run(path, '--together', checkpoint=action_checkpoint)
    assert code == 0 and 'note: tracks b and c: 3 persons for a model of 2: took the 2 seen most' in out
    (pair,) = json.loads((tmp_path / 'out' / 'three_actions.json').read_text())['persons']
    assert pair['track'] == ['b', 'c'] and pair['frames'] == [0, 69]
    assert pair['segments'][0]['start_frame'] == 5 and pair['segments'][-1]['end_frame'] == 69
    assert Image.open(tmp_path / 'out' / 'three_actions.gif').n_frames == 65 // 2 + 1  # 30 fps, shown at half


def test_times_count_from_frame_0_of_the_file(run, action_checkpoint, tmp_path, no_pictures):
    np.savez(tmp_path / 'late.npz', keypoints=walk_2d('coco17', 60), frame_ids=np.arange(1000, 1120, 2))
    code, out, _ = run(tmp_path / 'late.npz', '--skeleton', 'coco17', '--fps', '10', checkpoint=action_checkpoint)
    assert code == 0 and 'give the frame rate of the images, not of the video' in out
    (person,) = json.loads((tmp_path / 'out' / 'late_actions.json').read_text())['persons']
    assert person['frames'] == [1000, 1118]
    assert person['segments'][0]['start'] == 50.0 and person['segments'][-1]['end'] == 56.0


def test_segments_follow_the_options_of_the_command_line(run, action_checkpoint, two_people, tmp_path, no_pictures):
    code, out, _ = run(two_people, '--threshold', '1', '--min-seconds', '0.1', '--step', '0.1', '--window-seconds',
                       '0.5', '--no-animation', checkpoint=action_checkpoint)
    content = json.loads((tmp_path / 'out' / 'party_actions.json').read_text())
    assert code == 0 and content['window_seconds'] == 0.5 and 'windows of 0.5 s' in out
    assert {segment['label'] for person in content['persons'] for segment in person['segments']} == {'unknown'}


def test_somebody_never_seen_is_left_out_with_a_note(run, action_checkpoint, tmp_path, no_pictures):
    walker = walk_2d('coco17', 20)
    path = people_file(tmp_path / 'a.json', a=(walker, 0, 0.9), ghost=(walker, 0, 0.0))
    code, out, _ = run(path, checkpoint=action_checkpoint)
    assert code == 0 and 'note: left out 1, never seen' in out and 'track ghost' not in out
    code, _, err = run(people_file(tmp_path / 'b.json', ghost=(walker, 0, 0.0)), checkpoint=action_checkpoint)
    assert code == 2 and 'every joint has confidence 0' in err and err.count('\n') == 1


def test_few_frames_are_labelled_with_a_note(run, action_checkpoint, tmp_path, no_pictures):
    path = people_file(tmp_path / 'short.json', a=(walk_2d('coco17', 3), 0, 0.9))
    code, out, _ = run(path, checkpoint=action_checkpoint)
    assert code == 0 and 'note: track a: only 3 frames: a label of so few is unsure' in out


def test_a_crowd_is_labelled_and_the_animation_shows_those_seen_most(run, action_checkpoint, tmp_path):
    walker = walk_2d('coco17', 20) * 0.5
    tracks = {f'p{place}': (walker[:20 - place] + [40 * place, 0], 0, 0.9) for place in range(9)}
    code, out, _ = run(people_file(tmp_path / 'crowd.json', **tracks), checkpoint=action_checkpoint)
    assert code == 0 and 'note: the animation shows the 8 people who are seen most' in out
    assert len(json.loads((tmp_path / 'out' / 'crowd_actions.json').read_text())['persons']) == 9


@pytest.mark.parametrize('options, message', [
    (('--missing', 'model', '--no-tta'), '--missing and --no-tta are not for an action model as'),
    (('--dilation', '2'), '--dilation is not for an action model'),
    (('--skeleton', 'coco'), "unknown skeleton 'coco'"),
    (('--track', 'z'), 'no track z; tracks here: a (60 frames), b (30 frames)'),
    (('--track', 'a', '--together'), 'leave --track out'),
    (('--step', '0'), '--step must be positive'), (('--window-seconds', 'nan'), '--window-seconds must be positive'),
    (('--min-seconds', '-1'), '--min-seconds must be 0 or more'), (('--threshold', '50'), '--threshold is a probab'),
    (('--image-size', '100', '90'), 'lie outside the image'),
])
def test_errors_of_labelling_are_one_line_and_code_2(run, action_checkpoint, two_people, tmp_path, options, message):
    code, _, err = run(two_people, *options, checkpoint=action_checkpoint)
    assert code == 2 and message in err
    assert err.count('\n') == 1 and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('options', [('--together',), ('--step', '1'), ('--threshold', '0.5'), ('--min-seconds', '0'),
                                     ('--window-seconds', '2')])
def test_a_lifter_refuses_options_of_labelling(run, walk_file, tmp_path, options):
    code, _, err = run(walk_file, '--skeleton', 'coco17', *options)
    assert code == 2 and f'{options[0]} is not for a lifter as' in err and err.count('\n') == 1
    assert not (tmp_path / 'out').exists()


def test_an_embedding_is_refused_with_what_reads_it(run, two_people, tmp_path):
    checkpoint = save(tmp_path / 'embed.pth', EMBEDDING_MODEL, window_seconds=1.0)
    code, _, err = run(two_people, checkpoint=checkpoint)
    assert code == 2 and 'embed.pth holds a model that predicts embeddings' in err and 'tools/test.py' in err


@pytest.fixture(scope='module')
def mesh_checkpoint(tmp_path_factory):
    return save_mesh_model(tmp_path_factory.mktemp('checkpoints') / 'mesh.pth', MESH_MODEL)


def test_a_mesh_model_writes_parameters_meshes_and_pictures(run, mesh_checkpoint, tmp_path):
    np.savez(tmp_path / 'walk.npz', keypoints=walk_2d('coco17', 3), frame_ids=np.arange(5, 8))
    code, out, _ = run(tmp_path / 'walk.npz', '--skeleton', 'coco17', '--fps', '25', checkpoint=mesh_checkpoint)
    assert code == 0 and 'coco17 -> h36m, 3 frames' in out and 'note:' not in out
    names = ['walk_mesh.gif', 'walk_mesh.glb', 'walk_mesh.npz', 'walk_mesh_strip.png']
    assert sorted(os.listdir(tmp_path / 'out')) == names
    for name in names:
        assert f'wrote {tmp_path / "out" / name}' in out
    assert Image.open(tmp_path / 'out' / 'walk_mesh.gif').n_frames == 3
    with np.load(tmp_path / 'out' / 'walk_mesh.npz', allow_pickle=False) as file:
        content = dict(file)
    shapes = dict(smpl_pose=(3, 24, 3), smpl_betas=(3, 10), keypoints_3d=(3, 17, 3), camera=(3, 3), joints=(17,))
    assert {name: content[name].shape for name in shapes} == shapes
    np.testing.assert_array_equal(content['frame_ids'], np.arange(5, 8))
    assert (str(content['unit']), float(content['fps'])) == ('mm', 25.0)
    assert 'y down' in str(content['frame']) and 'without translation' in str(content['frame'])
    assert 'radians' in str(content['unit_smpl_pose']) and 'px per mm' in str(content['unit_camera'])


def test_meshes_of_some_frames_are_written_as_obj(run, mesh_checkpoint, walk_file, tmp_path, no_pictures):
    code, out, _ = run(walk_file, '--skeleton', 'coco17', '--no-animation', '--mesh-format', 'obj', '--mesh-every', '5',
                       checkpoint=mesh_checkpoint)
    assert code == 0 and 'note: meshes of 3 of 12 frames are written' in out
    assert sorted(os.listdir(tmp_path / 'out' / 'walk_obj')) == ['000005.obj', '000010.obj', '000015.obj']
    vertices = trimesh.load(tmp_path / 'out' / 'walk_obj' / '000010.obj', process=False).vertices
    content = np.load(tmp_path / 'out' / 'walk_mesh.npz')
    rotations = axis_angle_to_matrix(torch.tensor(content['smpl_pose'][5:6]))
    expected = BodyModel('synthetic')(rotations, torch.tensor(content['smpl_betas'][5:6]))[0].numpy()
    np.testing.assert_allclose(vertices, expected * [1e-3, -1e-3, -1e-3], atol=1e-4)


def test_without_mesh_files_trimesh_is_not_needed(run, mesh_checkpoint, walk_file, tmp_path, no_pictures, monkeypatch):
    monkeypatch.setitem(sys.modules, 'trimesh', None)
    code, _, err = run(walk_file, '--skeleton', 'coco17', checkpoint=mesh_checkpoint)
    assert code == 2 and 'mesh files need trimesh' in err and not (tmp_path / 'out').exists()
    code, _, _ = run(walk_file, '--skeleton', 'coco17', '--mesh-format', 'none', '--no-animation',
                     checkpoint=mesh_checkpoint)
    assert code == 0 and 'walk_mesh.npz' in os.listdir(tmp_path / 'out')


def test_a_refiner_takes_its_own_output(run, mesh_checkpoint, walk_file, tmp_path, no_pictures):
    refiner = save_mesh_model(tmp_path / 'refiner.pth', REFINER)
    options = ('--skeleton', 'coco17', '--no-animation', '--mesh-format', 'none')
    code, _, err = run(walk_file, *options, checkpoint=refiner)
    assert code == 2 and '(--initial)' in err
    assert run(walk_file, *options, checkpoint=mesh_checkpoint, out=tmp_path / 'first')[0] == 0
    initial = tmp_path / 'first' / 'walk_mesh.npz'
    code, _, _ = run(walk_file, *options, '--initial', initial, checkpoint=refiner)
    assert code == 0
    first, refined = np.load(initial), np.load(tmp_path / 'out' / 'walk_mesh.npz')
    np.testing.assert_allclose(refined['smpl_betas'], first['smpl_betas'], atol=1e-5)
    assert np.abs(refined['smpl_pose'] - first['smpl_pose']).max() > 1e-3
    code, _, err = run(walk_file, *options, '--initial', initial, checkpoint=mesh_checkpoint)
    assert code == 2 and 'does not refine one' in err and err.count('\n') == 1


@pytest.mark.parametrize('options, message', [
    (('--step', '1'), '--step is not for a mesh model as'), (('--mesh-every', '0'), '--mesh-every must be at least 1'),
    (('--mesh-format', 'stl'), "invalid choice: 'stl'"), (('--body-model', 'gone/SMPL.npz'), 'gone/SMPL.npz'),
    (('--initial', 'gone.npz'), 'gone.npz: no such file'), (('--image-size', '100', '90'), 'lie outside the image')])
def test_errors_of_mesh_recovery_are_one_line_and_code_2(run, mesh_checkpoint, walk_file, tmp_path, options, message):
    code, _, err = run(walk_file, '--skeleton', 'coco17', *options, checkpoint=mesh_checkpoint)
    assert code == 2 and message in err and err.count('\n') == 1 and not (tmp_path / 'out').exists()


@pytest.mark.parametrize('options', [('--mesh-format', 'obj'), ('--mesh-every', '2'), ('--initial', 'a.npz')])
def test_other_models_refuse_options_of_meshes(run, action_checkpoint, walk_file, options):
    for other in (dict(), dict(checkpoint=action_checkpoint)):
        code, _, err = run(walk_file, '--skeleton', 'coco17', *options, **other)
        assert code == 2 and f'{options[0]} is not for a' in err and err.count('\n') == 1
    code, _, err = run(walk_file, '--skeleton', 'coco17', '--body-model', 'SMPL.npz')
    assert code == 2 and 'without bodies' in err and err.count('\n') == 1


@pytest.mark.parametrize('length, every, count', [(12, None, 12), (300, None, 300), (301, None, 151), (12, 5, 3)])
def test_few_meshes_are_written_of_long_motions(length, every, count):
    assert len(choose_frames(length, every)) == count
