import csv

import numpy as np
import pytest
import torch
from PIL import Image

from motionbert_mm.apis.attention import recorded_attention
from motionbert_mm.datasets.motion_store import MotionStore, MotionStoreWriter
from motionbert_mm.registry import MODELS, build
from tests.generated import TINY_MODEL, load_tool
from tests.io.body import walk_2d

attention_maps = load_tool('analysis_tools/attention_maps.py')
FRAMES, JOINTS, HEADS = 9, 17, 2
ENCODER = dict(type='PSTMOEncoder', max_frames=FRAMES, dim=16, depth=2, num_heads=HEADS, hidden_dim=24)
STAGE_II = dict(
    type='MotionModel', backbone=ENCODER, neck=dict(type='StridedReduction', num_frames=FRAMES, num_heads=HEADS),
    heads=dict(frames=dict(type='FramePoseHead', source='frames'),
               centre=dict(type='FramePoseHead', source='centre', centre=True)), predicts=['centre'])
STAGE_I = dict(type='MotionModel', backbone=dict(ENCODER, has_joint_token=True),
               neck=dict(type='RestoreFrames', out_channels=8, max_frames=FRAMES),
               heads=dict(masked=dict(type='MaskedPoseHead', num_heads=HEADS)))
LIFTING, MASKING = [dict(type='NormalizeCoords')], [dict(type='NormalizeCoords', target=None),
                                                    dict(type='SampleExactMask', frame_ratio=0.5, num_joints=3)]
CLIP = 'walk/walk_2#azimuth045'


def save(path, model, pipeline, **window):
    torch.manual_seed(0)
    description = dict(model=model, window=dict(num_frames=FRAMES, **window), pipeline=pipeline)
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=build(MODELS, model).state_dict()), path)
    return str(path)


@pytest.fixture(scope='module')
def checkpoints(tmp_path_factory):
    folder = tmp_path_factory.mktemp('checkpoints')
    return dict(lifter=save(folder / 'lifter.pth', STAGE_II, LIFTING, kind='centre', dilation=2),
                masked=save(folder / 'masked.pth', STAGE_I, MASKING, kind='centre', dilation=2),
                untold=save(folder / 'untold.pth', STAGE_I, MASKING[:1]),
                dstformer=save(folder / 'dstformer.pth', TINY_MODEL, LIFTING))


@pytest.fixture
def run(checkpoints, tiny_store, tmp_path):
    """Run the tool on a clip of the store; return the arrays of attention.npz and the names of the pictures."""
    def call(model, *options, data=None):
        source = [str(tiny_store), '--clip', CLIP] if data is None else [str(data)]
        attention_maps.main([checkpoints[model], *source, '--out', str(tmp_path / 'out'), '--device', 'cpu',
                             *map(str, options)])
        with np.load(tmp_path / 'out' / 'attention.npz', allow_pickle=False) as file:
            arrays = dict(file)
        return arrays, sorted(path.name for path in (tmp_path / 'out').glob('*.png'))
    return call


@pytest.fixture
def no_pictures(monkeypatch):
    drawn = []
    monkeypatch.setattr(attention_maps, 'plot_attention', lambda rows, path, **facts: drawn.append((rows, path, facts)))
    return drawn


def table(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def shapes(arrays):
    return {name: value.shape for name, value in arrays.items() if value.ndim == 4}


def test_encoder_and_reduction_of_a_lifter(run, tmp_path, capsys):
    arrays, pictures = run('lifter', '--frame', 20)
    assert pictures == ['backbone.layers.png', 'neck.transformer.layers.png']
    assert shapes(arrays) == {
        **{f'backbone.layers.{layer}.attn': (1, HEADS, 9, 9) for layer in range(2)},
        **{f'neck.transformer.layers.{layer}.attn': (1, HEADS, size, size) for layer, size in enumerate((9, 9, 3))}}
    for name in shapes(arrays):
        np.testing.assert_allclose(arrays[name].sum(-1), 1.0, atol=1e-5)
    assert arrays['frame_ids'].tolist() == list(range(12, 30, 2))  # every second frame, as in training
    assert arrays['frame_ids'][arrays['neck.transformer.layers.2.attn.tokens']].tolist() == [12, 18, 24]
    assert not arrays['mask'].any() and arrays['joints'][0] == 'root'
    for name in pictures:
        assert min(Image.open(tmp_path / 'out' / name).size) > 300
    assert f'{CLIP}, 9 frames around frame 20\nwrote ' in capsys.readouterr().out
    rows = table(tmp_path / 'out' / 'attention.csv')
    assert len(rows) == 5 * HEADS and rows[0]['tokens'] == 'frames'
    weights = arrays['backbone.layers.1.attn'][0, 1]
    distance = 2 * np.abs(np.subtract.outer(np.arange(9), np.arange(9)))
    assert float(rows[3]['distance']) == pytest.approx((weights * distance).sum() / 9, rel=1e-5)
    assert float(rows[3]['entropy']) == pytest.approx(-(weights * np.log(weights)).sum() / 9, rel=1e-5)


def test_visible_frames_of_the_encoder_and_hidden_ones_of_the_decoder(run, no_pictures, capsys):
    arrays, _ = run('masked', '--frame', 20)
    is_hidden = arrays['mask'].all(axis=1)
    assert is_hidden.sum() == 4 and (arrays['mask'][~is_hidden].sum(axis=1) == 3).all()
    assert shapes(arrays) == {**{f'backbone.layers.{layer}.attn': (1, HEADS, 5, 5) for layer in range(2)},
                              **{f'heads.masked.output.layers.{layer}.attn': (1, HEADS, 9, 9) for layer in range(2)}}
    (encoder, _, facts), (decoder, path, _) = no_pictures
    assert facts['title'].startswith('TEM (backbone.layers)\n') and path.name == 'heads.masked.output.layers.png'
    assert encoder[0].labels == arrays['frame_ids'][~is_hidden].tolist() and not encoder[0].hidden.any()
    assert decoder[1].labels == arrays['frame_ids'].tolist() and (decoder[1].hidden == is_hidden).all()
    np.testing.assert_array_equal(decoder[1].weights, arrays['heads.masked.output.layers.1.attn'][0])
    assert '9 frames around frame 20, 4 of them hidden' in capsys.readouterr().out


def test_mask_can_be_chosen(run, no_pictures):
    masks = [run('masked', *options)[0]['mask'] for options in
             ((), ('--seed', 1), ('--frame-ratio', 0.7), ('--num-joints', 0))]
    assert (masks[0] != masks[1]).any()
    assert [(mask.all(axis=1).sum(), mask.sum()) for mask in masks] == [
        (4, 4 * 17 + 5 * 3), (4, 4 * 17 + 5 * 3), (6, 6 * 17 + 3 * 3), (4, 4 * 17)]
    mask = run('lifter', '--frame-ratio', 0.25)[0]['mask']
    assert mask.all(axis=1).sum() == 2 and mask.sum() == 2 * 17


def test_a_masked_model_that_does_not_say_what_it_hides_asks(run, no_pictures):
    with pytest.raises(SystemExit, match=r'does not say how many it hides; give --frame-ratio and --num-joints'):
        run('untold')
    assert run('untold', '--frame-ratio', 0, '--num-joints', 0)[0]['mask'].sum() == 0


def test_joints_and_frames_of_dstformer(run, no_pictures, tmp_path):
    arrays, _ = run('dstformer', '--modules', 'backbone.space_first.*')
    assert [(path.name, facts['tokens']) for _, path, facts in no_pictures] == [
        ('backbone.space_first.spatial.png', 'joint'), ('backbone.space_first.temporal.png', 'frame')]
    assert no_pictures[0][0][0].labels[:2] == ['root', 'right_hip']
    assert shapes(arrays) == {
        f'backbone.space_first.{stage}.{kind}.attn': shape for stage in range(2)
        for kind, shape in (('spatial', (9, HEADS, 17, 17)), ('temporal', (17, HEADS, 9, 9)))}
    rows = table(tmp_path / 'out' / 'attention.csv')
    assert {row['tokens'] for row in rows if not row['distance']} == {'joints'} and len(rows) == 4 * HEADS


def test_maps_of_many_joints_are_averaged_in_the_picture(run, no_pictures):
    arrays, _ = run('dstformer', '--modules', '*.temporal.*')
    rows, _, facts = no_pictures[0]
    name = 'backbone.space_first.1.temporal.attn'
    np.testing.assert_allclose(rows[1].weights, arrays[name].mean(axis=0), rtol=1e-6)
    assert facts['title'].startswith('backbone.space_first.temporal, mean over 17 joints\n')


def test_input_is_normalised_as_in_the_checkpoint(run, no_pictures, checkpoints, tiny_store):
    exact, detected = (run('lifter', '--frame', 20, *options)[0] for options in (('--input-2d', 'exact'), ()))
    store = MotionStore(tiny_store)
    clip = next(clip for clip in store.clips if clip.name == CLIP)
    points = store.arrays['keypoints_2d'][clip.start + exact['frame_ids']]
    model = attention_maps.load_model(checkpoints['lifter'], 'cpu')[0]
    width, height = clip.image_size
    inputs = torch.tensor(points / width * 2 - [1, height / width], dtype=torch.float32)
    with torch.no_grad(), recorded_attention(model) as recorded:
        model.backbone(inputs[None])
    np.testing.assert_allclose(exact['backbone.layers.0.attn'], recorded['backbone.layers.0.attn'][0], atol=1e-6)
    assert np.abs(exact['backbone.layers.0.attn'] - detected['backbone.layers.0.attn']).max() > 1e-6


def test_keypoint_files_are_converted_and_keep_their_frame_numbers(run, no_pictures, tmp_path):
    np.savez(tmp_path / 'walk.npz', keypoints=walk_2d('coco17', 30), frame_ids=np.arange(100, 130))
    options = ('--skeleton', 'coco17', '--image-size', 1000, 1000)
    arrays, _ = run('lifter', *options, '--frame', 102, data=tmp_path / 'walk.npz')
    assert arrays['frame_ids'].tolist() == [100, 100, 100, 100, 102, 104, 106, 108, 110]  # the first frame is held
    assert no_pictures[0][0][0].labels == arrays['frame_ids'].tolist()
    assert run('lifter', *options, data=tmp_path / 'walk.npz')[0]['frame_ids'][4] == 115


def test_persons_are_told_apart(run, no_pictures, people_store):
    first, second = (run('lifter', '--clip', 'hug', '--person', person, data=people_store)[0] for person in (0, 1))
    assert np.abs(first['backbone.layers.0.attn'] - second['backbone.layers.0.attn']).max() > 1e-5


def test_image_size_of_a_clip_that_has_none_is_asked_for(run, no_pictures, tmp_path):
    with MotionStoreWriter(tmp_path / 'store', skeleton='h36m', fps=30.0) as writer:
        writer.add_clip('walk', {'keypoints_2d': walk_2d('h36m', 12)})
    with pytest.raises(SystemExit, match=r"clip 'walk' of .* has no image size; give --image-size W H"):
        run('lifter', data=tmp_path / 'store')
    assert run('lifter', '--image-size', 1000, 1000, data=tmp_path / 'store')[0]['frame_ids'][4] == 6


@pytest.mark.parametrize(('options', 'message'), [
    (['--frame', '400'], 'error: --frame 400: the clip has the frames 0 to 51'),
    (['--clip', 'run'], r"has no clip 'run'; its 8 clips are walk/walk_1#azimuth045, .*, \.\.\.$"),
    (['--person', '1'], '--person 1: the persons of clip .* are 0 to 0'),
    (['--modules', 'heads.*'], r'no attention layer fits heads\.\*; the model has backbone\.layers\.0\.attn'),
    (['--skeleton', 'coco17'], '--skeleton cannot be given for .*, which is a motion store'),
    (['--image-size', '0', '5'], '--image-size must be two positive numbers'),
    (['--image-size', '100', '90'], 'lie outside the image of 100 x 90'),
    (['--frame-ratio', '1'], r'SampleExactMask\.frame_ratio is a share of the frames'),
    (['--num-joints', '17'], r'SampleExactMask\.num_joints is 17, but a frame has 17 joints'),
    (['--seed', '-1'], '--seed must be at least 0'),
    (['--device', 'abacus'], '--device abacus is not available')])
def test_tool_refuses_in_one_line(run, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message) as stop:
        run('lifter', *options)
    assert '\n' not in stop.value.code and not (tmp_path / 'out').exists()


@pytest.mark.parametrize(('options', 'message'), [
    (['--image-size', '1000', '1000'], 'does not say which joints it holds; name them with --skeleton'),
    (['--skeleton', 'coco17'], 'does not say how large the video is; give --image-size'),
    (['--skeleton', 'coco17', '--clip', 'a', '--person', '0'],
     '--clip and --person cannot be given for .*, which is a keypoint file')])
def test_options_of_keypoint_files(run, tmp_path, options, message):
    np.save(tmp_path / 'walk.npy', walk_2d('coco17', 12))
    with pytest.raises(SystemExit, match=message):
        run('lifter', *options, data=tmp_path / 'walk.npy')


def test_several_clips_need_a_name(run, tiny_store):
    with pytest.raises(SystemExit, match='needs --clip; its 8 clips are walk/walk_1#azimuth045'):
        run('lifter', data=tiny_store)
