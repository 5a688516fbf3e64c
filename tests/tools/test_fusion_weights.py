import csv

import numpy as np
import pytest
import torch
from mmengine.config import Config
from scipy.stats import pearsonr, spearmanr

import stream_weights
from motionbert_mm.datasets.motion_store import MotionStore
from motionbert_mm.models.backbones.dstformer import StreamFusion
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures.motion_sample import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import load_tool, write_config

fusion_weights = load_tool('analysis_tools/fusion_weights.py')
LAYERS, FRAMES, SKELETON = 3, 5, get_skeleton('h36m')
JOINTS = SKELETON.num_joints


def random_batch(rng, actions, persons):
    """Weights (W, L, T, J) and ground truth of every second frame, with hidden joints and a padded frame."""
    shape = (len(actions), persons, FRAMES, JOINTS)
    visible = rng.random(shape) < 0.97
    visible[0, 0, -1] = False
    frame_ids = np.tile(2 * np.arange(FRAMES), (len(actions), 1))
    frame_ids[0, -1] = frame_ids[0, -2]
    samples = MotionSample(metainfo=dict(frame_ids=frame_ids, action=actions, skeleton=SKELETON.name),
                           keypoints_3d=torch.tensor(rng.normal(0, 100, (*shape, 3))), visible=torch.tensor(visible))
    return rng.random((len(actions) * persons, LAYERS, FRAMES, JOINTS)).astype(np.float32), samples


@pytest.fixture
def batches():
    rng = np.random.default_rng(0)
    return [random_batch(rng, ['walk', 'wave', 'walk'], persons=2), random_batch(rng, ['wave', 'walk'], persons=1)]


def table(path):
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def test_speed_is_measured_per_frame_and_relative_to_the_root():
    frame_ids = np.array([[0, 1, 2, 4, 4]])  # a gap, then a repeated frame
    root = np.array([0.0, 1.0, 2.0, 4.0, 4.0])
    points = np.zeros((1, 5, 3, 3))
    points[0, :, :, 0] = root[:, None] + np.stack([0 * root, 3 * root, 0 * root], axis=1)
    valid = np.ones((1, 5, 3), bool)
    valid[0, 0, 2] = False
    sums, steps = stream_weights.sum_speeds(points, valid, frame_ids, root=0)
    assert steps.tolist() == [[3, 3, 2]]
    np.testing.assert_allclose(sums / steps[:, None], [[[1, 4, 1], [0, 3, 0]]])
    valid[0, 2, 0] = False  # without the root no joint can be placed, neither before nor after
    assert stream_weights.sum_speeds(points, valid, frame_ids, root=0)[1].tolist() == [[1, 1, 0]]


def test_means_are_those_of_all_valid_tokens(batches):
    tokens = stream_weights.Tokens.join([stream_weights.sum_tokens(*batch, layer=1) for batch in batches])
    weights = np.concatenate([batch[0] for batch in batches])  # (W, L, T, J)
    valid = np.concatenate([batch[1].visible.numpy().reshape(-1, FRAMES, JOINTS) for batch in batches])
    actions = np.array(['walk', 'walk', 'wave', 'wave', 'walk', 'walk', 'wave', 'walk'])
    by_action = stream_weights.group_by_action(tokens)
    assert by_action.names == ('walk', 'wave')
    for row, action in enumerate(by_action.names):
        chosen = valid & (actions == action)[:, None, None]
        assert by_action.counts[row] == chosen.sum()
        for layer in range(LAYERS):
            assert by_action.weights[row, layer] == pytest.approx(weights[:, layer][chosen].mean(), rel=1e-6)
    by_joint = stream_weights.group_by_joint(tokens, SKELETON.joints)
    for joint in range(JOINTS):
        assert by_joint.weights[joint, 2] == pytest.approx(weights[:, 2, :, joint][valid[..., joint]].mean(), rel=1e-6)
    matrix = stream_weights.correlate_joints(tokens.moments, JOINTS)
    whole = weights[:, 1][valid.all(axis=2)]
    assert tokens.moments[0] == len(whole) > 10
    np.testing.assert_allclose(matrix, np.corrcoef(whole.T), rtol=1e-9, atol=1e-12)


def test_groups_without_valid_tokens_are_left_out(batches):
    weights, samples = batches[0]
    samples.visible[..., 2] = False
    tokens = stream_weights.sum_tokens(weights, samples, layer=0)
    assert stream_weights.group_by_joint(tokens, SKELETON.joints).names == (*SKELETON.joints[:2], *SKELETON.joints[3:])
    samples.visible[:] = False
    with pytest.raises(ValueError, match='no two neighbouring frames with valid ground truth'):
        stream_weights.group_by_action(stream_weights.sum_tokens(weights, samples, layer=0))


def test_other_tokens_than_those_of_the_ground_truth_are_refused(batches):
    weights, samples = batches[0]
    with pytest.raises(ValueError, match=r'fuses \(4, 17\) \(frames, joints\) of 6 windows, .* has \(5, 17\) of 6'):
        stream_weights.sum_tokens(weights[:, :, 1:], samples, layer=0)


def test_correlations_are_those_of_scipy_and_undefined_for_constants():
    first, second = np.random.default_rng(1).normal(size=(2, 12))
    pearson, spearman = stream_weights.correlate(first, second)
    assert pearson == pytest.approx(pearsonr(first, second)[0])
    assert spearman == pytest.approx(spearmanr(first, second)[0])
    assert np.isnan(stream_weights.correlate(first, np.ones(12))).all()


def test_recorded_weights_are_the_softmax_of_the_paper():
    fusion, (first, second) = StreamFusion(8), torch.randn(2, 2, 3, 4, 8).unbind()
    torch.nn.init.normal_(fusion.weight)
    torch.nn.init.normal_(fusion.bias)
    with torch.no_grad(), stream_weights.recorded([fusion]) as weights:
        fused = fusion(first, second)
    expected = torch.nn.functional.linear(torch.cat([first, second], dim=-1), fusion.weight, fusion.bias).softmax(-1)
    torch.testing.assert_close(weights[0], expected[..., 0])
    torch.testing.assert_close(fused, first * expected[..., :1] + second * expected[..., 1:])
    fusion(first, second)
    assert len(weights) == 1  # nothing is recorded afterwards


@pytest.fixture
def run(tiny_store, tmp_path):
    """Config file and checkpoint of an untrained model whose second layer prefers the first stream, always alike."""
    path = write_config(tmp_path / 'tiny.py', tiny_store, **{'model.flip_test': True})
    model = build(MODELS, Config.fromfile(path).model.to_dict())
    model.backbone.fusion[1].bias.data = torch.tensor([1.5, 0.5])
    torch.nn.init.normal_(model.backbone.fusion[0].weight, std=0.1)
    torch.save(dict(state_dict=model.state_dict()), tmp_path / 'model.pth')
    return str(path), str(tmp_path / 'model.pth')


def test_tool_writes_tables_and_pictures(run, tiny_store, tmp_path, capsys):
    out = tmp_path / 'out'
    fusion_weights.main([*run, '--out', str(out), '--device', 'cpu', '--layer', '2'])
    rows = table(out / 'by_action.csv')
    assert [row['action'] for row in rows] == ['walk', 'wave']
    # Windows of 9 frames every 4 frames and one at the end, of clips of 52 and 47 frames seen by two cameras.
    assert [int(row['tokens']) for row in rows] == [2 * 12 * 9 * 17, 2 * 11 * 9 * 17]
    assert all(float(row['layer_2']) == pytest.approx(1 / (1 + np.exp(-1.0)), rel=1e-6) for row in rows)
    assert all(float(row['layer_1']) != pytest.approx(0.5, abs=1e-4) for row in rows)
    joints = table(out / 'by_joint.csv')
    assert len(joints) == 17 and joints[0]['joint'] == 'root' and float(joints[0]['speed_from_root']) == 0
    clip = next(clip for clip in MotionStore(tiny_store).clips if clip.name.startswith('walk/walk_2#'))
    points = MotionStore(tiny_store).arrays['keypoints_3d'][clip.start:clip.start + clip.length]
    speed = np.linalg.norm(np.diff(points, axis=0), axis=-1).mean()
    assert float(rows[0]['speed']) == pytest.approx(speed, rel=0.1)  # windows overlap, a clip's ends count less
    correlation = table(out / 'correlation.csv')
    assert [(row['over'], row['n'], row['layer'], row['speed']) for row in correlation[:2]] == [
        ('action', '2', '1', 'speed'), ('action', '2', '1', 'speed_from_root')]
    assert len(correlation) == 2 * 2 * 2 and correlation[-1]['pearson'] == 'nan'
    matrix = table(out / 'joint_correlation.csv')
    assert len(matrix) == 17 and matrix[3]['root'] == 'nan'  # layer 2 is constant
    for name in ('by_action', 'by_joint', 'joint_correlation'):
        assert (out / f'{name}.png').stat().st_size > 10_000
    assert 'layer 2, weight against speed over 17 joints: Pearson nan' in capsys.readouterr().out


@pytest.mark.parametrize(('options', 'message'), [
    (['--layer', '3'], 'error: --layer 3: the backbone has layers 1 to 2'),
    (['--cfg-options', 'model.backbone.use_fusion=False'], 'DSTformer, does not weigh two streams per token'),
    (['--cfg-options', 'test_dataloader.dataset.pipeline.1.fields=[confidence]'], "give .*confidence.* add it to"),
    (['--cfg-options', 'model.backbone.dim=8'], 'model.pth does not fit the model')])
def test_tool_refuses_in_one_line(run, tmp_path, options, message):
    with pytest.raises(SystemExit, match=message):
        fusion_weights.main([*run, '--out', str(tmp_path / 'out'), '--device', 'cpu', *options])
    assert not (tmp_path / 'out').exists()


def test_a_config_without_test_data_is_refused(run, tmp_path):
    (tmp_path / 'short.py').write_text('model = dict()')
    with pytest.raises(SystemExit, match='error: the config has no test_dataloader; it holds '):
        fusion_weights.main([str(tmp_path / 'short.py'), run[1], '--out', str(tmp_path / 'out'), '--device', 'cpu'])
