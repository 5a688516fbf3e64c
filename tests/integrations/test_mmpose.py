"""Our networks, heads and metric in the real MMPose: training, testing, checkpoints both ways and inference."""
import copy
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from mmengine.logging import HistoryBuffer
from mmengine.registry import DefaultScope
from mmengine.runner import Runner
from mmengine.structures import InstanceData
from mmpose.apis import inference_pose_lifter_model, init_model
from mmpose.apis.inferencers import Pose3DInferencer
from mmpose.datasets.datasets.utils import parse_pose_metainfo
from mmpose.evaluation.metrics import MPJPE
from mmpose.registry import DATASETS as HOST_DATASETS
from mmpose.registry import MODELS as HOST_MODELS
from mmpose.structures import PoseDataSample

from motionbert_mm.checkpoints.load import META_KEY, load_model
from motionbert_mm.datasets.human36m_mmpose import MMPoseFiles
from motionbert_mm.datasets.transforms.basic import NormalizeCoords
from motionbert_mm.integrations.mmpose_config import dataset_meta, lifter_config
from motionbert_mm.integrations.mmpose_weights import from_lifter, to_lifter
from motionbert_mm.registry import METRICS, MODELS, TRANSFORMS, build, check_arguments
from motionbert_mm.structures.motion_sample import MotionSample
from tests.generated import ROOT, TINY_MODEL, load_tool, make_motion
from tests.h36m_files import write_mmpose
from tests.minimal import TINY_TEXT
from tests.parity.vectors import assert_identical

CONFIGS = sorted(path for path in (ROOT / 'configs' / 'mmpose').glob('*.py'))
NAMES = [path.name.split('_')[0] for path in CONFIGS]
FRAMES = 9
VIDEOS = {'train': [('S1', 'Walking_1', '54138969', 22), ('S5', 'TakingPhoto', '55011271', 12)],
          'test': [('S9', 'Greeting', '60457274', 10), ('S9', 'Waiting_2', '60457274', 10),
                   ('S11', 'WalkDog', '58860488', 19)]}
# Sizes of networks by the names that the classes of both packages give them.
SMALL = dict(max_frames=FRAMES, seq_len=FRAMES, num_frames=FRAMES, dim=16, feat_size=16, depth=1, num_heads=2,
             hidden_dim=24, embedding_size=8)
CODEC = dict(type='MotionBERTLabel', num_keypoints=17, concat_vis=True)


@pytest.fixture(autouse=True)
def in_mmpose():
    """What MMPose's tools do; its scope is gone afterwards."""
    with DefaultScope.overwrite_default_scope('mmpose'):
        yield


@pytest.fixture(scope='session')
def h36m(tmp_path_factory):
    """Human3.6M in MMPose's layout."""
    folder = tmp_path_factory.mktemp('h36m') / 'annotation_body3d'
    folder.mkdir()
    paths = write_mmpose(folder, VIDEOS)
    (folder / 'fps50').mkdir()
    for split in VIDEOS:
        paths[split].rename(folder / 'fps50' / paths[split].name)
    return folder.parent


def shrink(model):
    """Make a lifter of a config tiny."""
    parts = [model.backbone, model.backbone.get('backbone') or {}, model.backbone.get('neck') or {}, model.head]
    for part in parts:
        part.update({key: size for key, size in SMALL.items() if key in part})
    body, neck = parts[1:3]
    if body.get('type') == 'TemporalConvNet':
        body.update(channels=16, filter_widths=[3, 3])
    if body:
        body.update(dim=16, **({} if 'channels' in body else dict(depth=1, num_heads=2)))
    if 'out_channels' in neck:
        neck.out_channels = 8
    for head in [model.head, *model.head.get('heads', {}).values()]:
        if 'in_channels' in head:
            head.in_channels = neck.get('out_channels', 16)


def make_config(name, h36m, work_dir, **changes):
    """A config of configs/mmpose for the generated data and a tiny network: 20 iterations, then validation."""
    config = Config.fromfile(CONFIGS[NAMES.index(name)])
    shrink(config.model)
    for stage in ('train', 'val', 'test'):
        loader = config[f'{stage}_dataloader']
        loader.update(batch_size=2, num_workers=0, persistent_workers=False, pin_memory=False)
        sizes = {key: min(loader.dataset.get(key, 1), FRAMES)
                 for key in ('seq_len', 'multiple_target', 'multiple_target_step') if key in loader.dataset}
        loader.dataset.update(data_root=str(h36m), subset_frac=1.0, **sizes)
    config.merge_from_dict({
        'train_dataloader.sampler.type': 'InfiniteSampler', 'log_processor.by_epoch': False, 'param_scheduler': None,
        'default_hooks.checkpoint': dict(_delete_=True, type='CheckpointHook', by_epoch=False, interval=10),
        'work_dir': str(work_dir), 'experiment_name': f'{name}-{work_dir.name}', 'log_level': 'ERROR',
        'randomness': dict(seed=0), **changes})
    config.train_cfg = dict(by_epoch=False, max_iters=20, val_interval=20)
    return config


@pytest.mark.parametrize('name', NAMES)
def test_training_and_validation(name, h36m, tmp_path):
    config = make_config(name, h36m, tmp_path)
    check_arguments(config.to_dict())
    runner = Runner.from_cfg(config)
    before = {key: value.clone() for key, value in runner.model.named_parameters()}
    runner.train()
    moved = [key for key, value in runner.model.named_parameters() if not torch.equal(value, before[key])]
    assert runner.iter == 20 and len(moved) > 0.9 * len(before)
    assert runner.message_hub.get_scalar('train/loss').current() > 0
    assert 10 < runner.message_hub.get_scalar('val/MPJPE').current() < 2000  # millimetres


@pytest.mark.parametrize('path', CONFIGS, ids=NAMES)
def test_backbone_and_heads_fit_in_full_size(path):
    config = Config.fromfile(path).model
    heads = list(config.head.get('heads', dict(only=config.head)).values())
    if config.backbone.type == 'DSTFormer':
        width = config.backbone.feat_size
    else:
        with torch.device('meta'):
            body = HOST_MODELS.build(config.backbone)
            parts = [body, *(build(MODELS, head) for head in heads if 'motionbert_mm' in config.head.type)]
        width, parameters = body.out_channels, sum(value.numel() for part in parts for value in part.parameters())
        known = {'dstformer-base': 42_466_317, 'pstmo-s': 6_482_278}  # those of the official code
        assert parameters == known.get(path.name.split('_')[0], parameters)
    assert [head.in_channels for head in heads] == [width] * len(heads)


def motion_model(**changes):
    """A lifter of this package with weights that no initialisation makes, and its description."""
    model = build(MODELS, {**TINY_MODEL, **changes})
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.05 * torch.randn_like(value))
    target = 'image_space' if 'pose' in model.heads else 'root_relative'
    description = dict(model={**TINY_MODEL, **changes}, window=dict(num_frames=FRAMES),
                       pipeline=[dict(type='NormalizeCoords', target=target), dict(type='PackInputs')])
    return model.eval(), dict(state_dict=model.state_dict(), meta={META_KEY: description})


PSTMO = dict(
    backbone=dict(type='PSTMOEncoder', max_frames=FRAMES, dim=16, depth=1, num_heads=2, hidden_dim=24),
    neck=dict(type='StridedReduction', num_frames=FRAMES, num_heads=2), predicts=['centre'], flip_test=True,
    heads=dict(frames=dict(type='FramePoseHead', source='frames', losses=[dict(type='MPJPELoss')]),
               centre=dict(type='FramePoseHead', source='centre', centre=True, losses=[dict(type='MPJPELoss')])))
LIFTERS = {'dstformer': dict(flip_test=True), 'pstmo': PSTMO}


def as_lifter(checkpoint, own=False):
    """The MMPose model of a checkpoint of ours, its weights loaded strictly."""
    lifter = HOST_MODELS.build(lifter_config(checkpoint['meta'][META_KEY], own=own))
    lifter.load_state_dict(to_lifter(checkpoint, own=own)['state_dict'])
    return lifter.eval()


def batch_of(config, stage='test'):
    """All samples of a data set of MMPose, as its loaders hand them out."""
    dataset = HOST_DATASETS.build(config[f'{stage}_dataloader'].dataset)
    return pseudo_collate([dataset[index] for index in range(len(dataset))])


def our_batch(batch, target):
    """What our pipeline makes of the samples of MMPose: inputs and metainfo."""
    meta = [sample.metainfo for sample in batch['data_samples']]
    sizes = np.array([[entry['camera_param'][key] for key in 'wh'] for entry in meta], np.float32)
    norm = dict(target=target, root=np.zeros(len(meta), int), image_size=sizes, scale=np.full(len(meta), 1000.0))
    if target == 'image_space':
        norm['factor'] = np.stack([entry['factor'].reshape(-1) for entry in meta])[:, None]
    return torch.stack(batch['inputs'])[:, None].float(), MotionSample(
        metainfo=dict(norm=norm, skeleton='h36m', sample_id=list(range(len(meta)))))


@torch.no_grad()
def compare(lifter, model, batch, target):
    """Predict with a lifter of MMPose and a model of ours; metres of the one are a thousand of the other."""
    expected = model.predict(*our_batch(batch, target))
    found = lifter.predict(torch.stack(batch['inputs']), batch['data_samples'])
    for ours, theirs in zip(expected, found):
        points = theirs.pred_instances.keypoints - theirs.metainfo.get('target_root', np.zeros((1, 3)))[:, None]
        np.testing.assert_allclose(points.reshape(-1, 17, 3), ours.keypoints_3d[0] / 1000, rtol=0, atol=2e-5)


@pytest.mark.parametrize('kind', LIFTERS)
def test_our_lifter_predicts_in_mmpose_what_it_predicts_here(kind, h36m, tmp_path):
    model, checkpoint = motion_model(**LIFTERS[kind])
    name, target = ('dstformer-base', 'image_space') if kind == 'dstformer' else ('pstmo-s', 'root_relative')
    batch = batch_of(make_config(name, h36m, tmp_path))
    compare(as_lifter(checkpoint), model, batch, target)
    assert {sample.pred_instances.keypoint_scores.shape for sample in batch['data_samples']} == {
        (FRAMES if kind == 'dstformer' else 1, 17)}


@pytest.mark.parametrize('use_fusion', [True, False])
def test_the_dstformer_of_mmpose_gives_the_same_outputs_with_our_weights(use_fusion, h36m, tmp_path):
    model, checkpoint = motion_model(backbone=dict(TINY_MODEL['backbone'], use_fusion=use_fusion), flip_test=True)
    lifter = as_lifter(checkpoint, own=True)
    assert type(lifter.backbone).__module__ == 'mmpose.models.backbones.dstformer'
    inputs = torch.rand(2, 7, 17, 3) * 2 - 1
    expected = model.run_heads(model.extract_features(inputs[:, None]))['pose']
    torch.testing.assert_close(lifter(inputs, None, mode='tensor'), expected, rtol=0, atol=2e-5)
    compare(lifter, model, batch_of(make_config('dstformer-base', h36m, tmp_path)), 'image_space')


def test_of_a_model_aligned_with_text_the_lifter_is_taken(h36m, tmp_path):
    sizes = {key: value for key, value in TINY_MODEL['backbone'].items() if key != 'type'}
    pose, text = TINY_MODEL['heads']['pose'], dict(type='TextAlignHead', source='token', text_encoder=TINY_TEXT)
    model, checkpoint = motion_model(
        backbone=dict(type='ActionPoseEncoder', gives_token=True, tap_layer=1, **sizes),
        neck=dict(type='FeatureBranches', branches=dict(
            frames=TINY_MODEL['neck'], token=dict(type='PosePooling', out_channels=12))),
        heads=dict(pose=dict(pose, source='frames'), text=text))
    lifter = to_lifter(checkpoint)
    assert not [key for key in lifter['state_dict'] if 'text' in key or 'branches' in key]
    host = HOST_MODELS.build(lifter_config(lifter['meta'][META_KEY]))
    host.load_state_dict(lifter['state_dict'])
    compare(host.eval(), model, batch_of(make_config('dstformer-base', h36m, tmp_path)), 'image_space')
    with pytest.raises(ValueError, match="MMPose's DSTFormer is MotionBERT.*class_token"):
        to_lifter(checkpoint, own=True)


@pytest.mark.parametrize('own', [True, False])
def test_weights_come_back_bit_identical(own):
    _, checkpoint = motion_model(flip_test=True)
    back = from_lifter(to_lifter(checkpoint, own=own))
    assert_identical(back, checkpoint)


def test_weights_of_a_foreign_dstformer_describe_themselves(tmp_path):
    model, checkpoint = motion_model()
    weights = to_lifter(checkpoint, own=True)['state_dict']
    torch.save(from_lifter(dict(state_dict=weights), num_heads=2), tmp_path / 'ours.pth')
    loaded, info = load_model(tmp_path / 'ours.pth', 'cpu')
    inputs = torch.rand(1, 1, 9, 17, 3)
    torch.testing.assert_close(loaded(inputs), model(inputs))
    assert info['input'] == [dict(type='NormalizeCoords', inputs='screen', target='image_space')]


@pytest.mark.skipif(not hasattr(torch.serialization, 'safe_globals'), reason='torch < 2.5 admits no further classes')
def test_a_checkpoint_as_mmpose_writes_it_by_itself_is_read(tmp_path):
    model, checkpoint = motion_model()
    notes = dict(dataset_meta=parse_pose_metainfo(dict(from_file='configs/_base_/datasets/h36m.py')), cfg='model = 1')
    torch.save(dict(state_dict=to_lifter(checkpoint, own=True)['state_dict'], meta=notes,
                    message_hub=dict(log_scalars={'train/loss': HistoryBuffer([1.0], [1])})), tmp_path / 'theirs.pth')
    run_converter(tmp_path / 'theirs.pth', tmp_path / 'ours.pth', '--num-heads', 2)
    inputs = torch.rand(1, 1, 9, 17, 3)
    torch.testing.assert_close(load_model(tmp_path / 'ours.pth', 'cpu')[0](inputs), model(inputs))


def test_the_codec_of_mmpose_makes_our_inputs_and_targets(h36m, tmp_path):
    config = make_config('dstformer-base', h36m, tmp_path)
    config.train_dataloader.dataset.pipeline.pop(1)  # the flip
    arrays = np.load(h36m / 'annotation_body3d' / 'fps50' / 'h36m_train.npz')
    cameras = MMPoseFiles({'train': str(h36m / 'annotation_body3d' / 'fps50' / 'h36m_train.npz')},
                          h36m / 'annotation_body3d' / 'cameras.pkl')
    batch = batch_of(config, 'train')
    first = cameras.read('train', cameras.keys('train')[0])
    raw = dict(keypoints_2d=arrays['part'][None, None, :FRAMES, :, :2].astype(np.float32),
               keypoints_3d=1000 * arrays['S'][None, None, :FRAMES, :, :3].astype(np.float32),
               confidence=np.ones((1, 1, FRAMES, 17), np.float32), image_size=np.array([first.image_size], np.float32),
               intrinsics=np.array([first.intrinsics], np.float32), skeleton='h36m', sample_id=['walk'])
    ours = NormalizeCoords(target='image_space')(raw, np.random.default_rng(0))
    np.testing.assert_allclose(batch['inputs'][0], ours['inputs'][0, 0], atol=1e-6)
    label = batch['data_samples'][0].gt_instance_labels.lifting_target_label
    np.testing.assert_allclose(label, ours['target_3d'][0, 0], atol=1e-5)


def test_the_metric_is_that_of_mmpose_in_millimetres(h36m, tmp_path):
    batch = batch_of(make_config('dstformer-base', h36m, tmp_path))
    rng = np.random.default_rng(0)
    for sample in batch['data_samples']:
        truth = sample.gt_instances.lifting_target
        points = truth + rng.normal(0, 0.1, truth.shape)
        points[:, 0] = truth[:, 0]  # MMPose does not subtract the root
        sample.pred_instances = InstanceData(keypoints=points)
    samples = [sample.to_dict() for sample in batch['data_samples']]
    results = {}
    for mode, metric in (('', build(METRICS, dict(type='Pose3DMetricForMMPose', protocol='mmpose'))),
                         ('MPJPE', MPJPE(skip_list=['S9_Greeting'])),
                         ('P-MPJPE', MPJPE('p-mpjpe', skip_list=['S9_Greeting']))):
        metric.process(batch, samples)
        results[mode] = metric.evaluate(len(samples))
    for mode in ('MPJPE', 'P-MPJPE'):
        assert results[''][mode] == pytest.approx(1000 * results[mode][mode], rel=1e-4)
    assert results['']['MPJPE/action'] > 0


def resumed(config, path):
    config.merge_from_dict(dict(resume=True, load_from=str(path), experiment_name=f'{config.experiment_name}-again'))
    runner = Runner.from_cfg(config)
    runner.train()
    return runner


@pytest.mark.parametrize('name', ['dstformer-base', 'pstmo-s', 'dstformer-base-mmpose'])
def test_runs_are_resumed_and_their_checkpoints_load_here(name, h36m, tmp_path):
    config = make_config(name, h36m, tmp_path, **{'model.test_cfg.flip_test': name != 'dstformer-base-mmpose'})
    runner = Runner.from_cfg(config)
    runner.train()
    again = resumed(make_config(name, h36m, tmp_path / 'again'), tmp_path / 'iter_10.pth')
    for key, value in runner.model.state_dict().items():
        assert torch.equal(value, again.model.state_dict()[key]), key

    run_converter(tmp_path / 'iter_20.pth', tmp_path / 'ours.pth')
    model, _ = load_model(tmp_path / 'ours.pth', 'cpu')
    compare(runner.model.eval(), model, batch_of(config), 'root_relative' if name == 'pstmo-s' else 'image_space')


def run_converter(source, target, *options):
    """tools/model_converters/mmpose.py in this process."""
    tool = load_tool('model_converters/mmpose.py')
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, 'argv', ['mmpose.py', str(source), str(target), *map(str, options)])
        tool.main()


def detections(num_frames, seed=0):
    """A walk in pixels, as MMPose's 2D estimators hand it on: for every frame a list of one person."""
    points = 500 + 0.3 * make_motion(num_frames, seed)[..., [0, 2]]
    frames = []
    for pose in points:
        sample = PoseDataSample(gt_instances=InstanceData(), track_id=0)
        sample.pred_instances = InstanceData(keypoints=pose[None], bboxes=np.array([[0.0, 0.0, 900.0, 900.0]]))
        frames.append([sample])
    return points, frames


@pytest.mark.parametrize('kind', LIFTERS)
def test_the_inference_api_lifts_the_centre_of_a_window(kind, tmp_path):
    model, checkpoint = motion_model(**LIFTERS[kind])
    torch.save(checkpoint, tmp_path / 'ours.pth')
    run_converter(tmp_path / 'ours.pth', tmp_path / 'lifter.pth', '--reverse', '--config', tmp_path / 'lifter.py')
    lifter = init_model(str(tmp_path / 'lifter.py'), str(tmp_path / 'lifter.pth'), device='cpu')
    points, frames = detections(FRAMES)
    result, = inference_pose_lifter_model(lifter, frames, image_size=(1000, 1002))
    meta = dict(skeleton='h36m', sample_id=['walk'], image_size=np.array([[1000, 1002]], np.float32))
    raw = dict(meta, keypoints_2d=points[None, None].astype(np.float32), confidence=np.ones((1, 1, FRAMES, 17)))
    step = checkpoint['meta'][META_KEY]['pipeline'][0]
    made = build(TRANSFORMS, step)(raw, np.random.default_rng(0))
    batch = torch.from_numpy(made['inputs']).float(), MotionSample(metainfo=dict(meta, norm=made['norm']))
    expected = model.predict(*batch)[0].keypoints_3d[0].detach().numpy() / 1000
    np.testing.assert_allclose(result.pred_instances.keypoints[0], expected[len(expected) // 2], rtol=0, atol=2e-5)


BODY = dict(
    default_scope='mmpose', data_mode='topdown', dataset_type='CocoDataset',
    model=dict(
        type='TopdownPoseEstimator', data_preprocessor=dict(type='PoseDataPreprocessor', mean=[0] * 3, std=[255] * 3),
        backbone=dict(type='MobileNetV2', widen_factor=0.1, out_indices=(7,)),
        head=dict(type='HeatmapHead', in_channels=1280, out_channels=17, deconv_out_channels=None,
                  loss=dict(type='KeypointMSELoss'),
                  decoder=dict(type='MSRAHeatmap', input_size=(64, 64), heatmap_size=(2, 2), sigma=2))),
    train_dataloader=dict(dataset=dict(type='CocoDataset')),
    test_dataloader=dict(dataset=dict(type='CocoDataset', pipeline=[
        dict(type='LoadImage'), dict(type='GetBBoxCenterScale'), dict(type='TopdownAffine', input_size=(64, 64)),
        dict(type='PackPoseInputs')])),
    visualizer=dict(type='PoseLocalVisualizer', name='visualizer_2d'))


@pytest.mark.parametrize('own', [False, True])
def test_the_inferencer_of_images_and_videos_runs_our_checkpoint(own, tmp_path):
    _, checkpoint = motion_model(flip_test=True)
    torch.save(checkpoint, tmp_path / 'ours.pth')
    run_converter(tmp_path / 'ours.pth', tmp_path / 'lifter.pth', '--reverse', '--config', tmp_path / 'lifter.py',
                  *(['--own'] if own else []))
    (tmp_path / 'body.py').write_text(Config(BODY).pretty_text)
    lift = Pose3DInferencer(str(tmp_path / 'lifter.py'), str(tmp_path / 'lifter.pth'), device='cpu',
                            pose2d_model=str(tmp_path / 'body.py'), det_model='whole_image')
    image = np.random.default_rng(0).integers(0, 255, (120, 160, 3)).astype(np.uint8)
    person, = next(lift(image))['predictions'][0]
    points = np.array(person['keypoints'])
    assert points.shape == (17, 3) and np.isfinite(points).all() and np.ptp(points) > 0
    film = cv2.VideoWriter(str(tmp_path / 'film.mp4'), cv2.VideoWriter_fourcc(*'mp4v'), 10, (160, 120))
    for _ in range(3):
        film.write(image)
    film.release()
    frames = [frame['predictions'][0][0]['keypoints'] for frame in lift(str(tmp_path / 'film.mp4'))]
    assert np.shape(frames) == (3, 17, 3)


def test_the_notes_on_the_data_are_those_of_mmpose():
    theirs, ours = parse_pose_metainfo(dict(from_file='configs/_base_/datasets/h36m.py')), dataset_meta()
    links = 'skeleton_links', 'skeleton_link_colors'
    for notes in (theirs, ours):
        notes['links'] = sorted((*link, *map(int, colour)) for link, colour in zip(*map(notes.pop, links)))
    stats = theirs.pop('stats_info'), ours.pop('stats_info')
    assert theirs.keys() == ours.keys() and stats[0].keys() == stats[1].keys()
    for name, value in theirs.items():
        np.testing.assert_array_equal(np.array(value), np.array(ours[name]))
    for name, value in stats[0].items():
        np.testing.assert_array_equal(value, stats[1][name])


BACKBONES = {
    'DSTformer': dict(max_frames=FRAMES, dim=16, depth=1, num_heads=2), 'TemporalConvNet': dict(dim=16, channels=16),
    'PoseFormer': dict(max_frames=FRAMES, dim=4, depth=1, num_heads=2),
    'PSTMOEncoder': dict(max_frames=FRAMES, dim=16, depth=1, num_heads=2, hidden_dim=24),
    'MPMEncoder': dict(num_joints=17, max_frames=FRAMES, dim=16, depth=1, num_heads=2, hidden_dim=24)}


def backbone(name, kind='PoseLifterBackbone', **options):
    return HOST_MODELS.build(dict(type=f'motionbert_mm.{kind}', backbone=dict(type=name, **BACKBONES[name]),
                                  **options)).eval()


@pytest.mark.parametrize('name', BACKBONES)
def test_both_layouts_and_numbers_of_channels_are_read(name):
    is_frame = name in ('PSTMOEncoder', 'MPMEncoder')
    adapter = backbone(name, neck=dict(type='FrameToJoints', out_channels=5) if is_frame else None)
    points = torch.rand(2, FRAMES, 17, 2)
    features = adapter(torch.cat([points, torch.ones(2, FRAMES, 17, 1)], dim=-1))
    assert features.shape == (2, FRAMES, 17, adapter.out_channels)
    torch.testing.assert_close(adapter(points), features)
    torch.testing.assert_close(adapter(points.permute(0, 2, 3, 1).flatten(1, 2)), features)
    assert not adapter.causal


def test_the_centre_is_read_by_heads_of_one_frame():
    whole, centre = backbone('DSTformer'), backbone('DSTformer', 'CentreLifterBackbone')
    centre.load_state_dict(whole.state_dict())
    points = torch.rand(2, FRAMES, 17, 3)
    features, = centre(points)
    assert features.shape == (2, centre.out_channels, 1) and centre.out_channels == 17 * 16
    torch.testing.assert_close(features[..., 0], whole(points)[:, FRAMES // 2].flatten(1))


def lift_head(**options):
    return build(MODELS, dict(type='LiftHeadForMMPose', **{**dict(
        heads=dict(pose=dict(type='PoseLiftHead', in_channels=16, losses=[dict(type='MPJPELoss')]))), **options}))


def test_joints_that_are_not_visible_do_not_count():
    head, sample = lift_head(), PoseDataSample()
    label = torch.rand(FRAMES, 17, 3)
    label[0, 3] = 1e6
    weight = torch.ones(FRAMES, 17)
    weight[0, 3] = 0
    sample.gt_instance_labels = InstanceData(lifting_target_label=label, lifting_target_weight=weight)
    assert head.loss(torch.rand(1, FRAMES, 17, 16), [sample])['loss_mpjpe'] < 10


@pytest.mark.parametrize('make, message', [
    (lambda: backbone('PSTMOEncoder'), 'PSTMOEncoder and its neck give 1 token for a frame of 17.*FrameToJoints'),
    (lambda: backbone('DSTformer')(torch.zeros(1, 9, 16, 3)), r'expected inputs \(B, T, 17, C\).*got \(1, 9, 16, 3\)'),
    (lambda: backbone('DSTformer')(torch.zeros(1, 9, 17, 4)), r'with 2 or 3 channels, got \(1, 9, 17, 4\)'),
    (lambda: lift_head(target='metres'), "target is 'metres', expected one of image_space, root_relative"),
    (lambda: lift_head(predicts='centre'), "predicts is 'centre', expected one of the heads pose"),
    (lambda: lift_head(heads=dict(action=dict(type='ActionHead', in_channels=4, num_classes=2))),
     'the heads action do not lift to 3D'),
    (lambda: lift_head().predict(torch.zeros(1, 9, 17, 16), [PoseDataSample(gt_instances=InstanceData())]),
     'has no camera_param with w and h'),
    (lambda: lift_head().loss(torch.zeros(1, 9, 17, 16), [PoseDataSample(gt_instance_labels=InstanceData())]),
     'no lifting_target_label; put dict.*MotionBERTLabel'),
    (lambda: build(METRICS, dict(type='Pose3DMetricForMMPose')).process(None, [dict(id=1)]), 'no target_img_path'),
])
def test_errors_say_what_to_change(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize('change, message', [
    (lambda file: file['meta'].clear(), 'does not say which model it holds'),
    (lambda file: file['meta'][META_KEY]['pipeline'][0].update(inputs='crop_scale'), "inputs 'screen'.*'crop_scale'"),
    (lambda file: file['meta'][META_KEY]['pipeline'][0].update(given_2d=True), 'without given_2d'),
    (lambda file: file['meta'][META_KEY]['model'].update(skeleton='h36m16'), "skeleton 'h36m16'"),
    (lambda file: file['state_dict'].update(extra=torch.zeros(1)), r"have no place in .*\['extra'\]"),
])
def test_only_lifters_that_mmpose_has_data_for_are_converted(change, message):
    _, checkpoint = motion_model()
    checkpoint = copy.deepcopy(checkpoint)
    change(checkpoint)
    for own in (False, True):
        with pytest.raises(ValueError, match=message):
            to_lifter(checkpoint, own=own)


def test_other_networks_are_not_mmposes_dstformer():
    _, checkpoint = motion_model(**PSTMO)
    with pytest.raises(ValueError, match="MMPose's DSTFormer is MotionBERT"):
        to_lifter(checkpoint, own=True)


@pytest.mark.parametrize('weights, message', [
    ({'backbone.conv.weight': torch.zeros(1)}, "not the weights of MMPose's DSTFormer, nor.*'backbone.conv.weight'"),
    ({'backbone.backbone.embed.weight': torch.zeros(1)}, 'does not say which model it holds; train with custom_hooks'),
])
def test_other_checkpoints_of_mmpose_are_refused(weights, message):
    with pytest.raises(ValueError, match=message):
        from_lifter(dict(state_dict=weights))


def test_the_tool_ends_with_one_line(tmp_path):
    torch.save(dict(state_dict={'a': torch.zeros(1)}), tmp_path / 'other.pth')
    with pytest.raises(SystemExit, match='^.*other.pth: these are not the weights of MMPose'):
        run_converter(tmp_path / 'other.pth', tmp_path / 'ours.pth')
    with pytest.raises(SystemExit, match='2'):
        run_converter('other.pth', 'ours.pth', '--own')
    assert [path.name for path in tmp_path.iterdir()] == ['other.pth']
