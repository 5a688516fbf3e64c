"""The parts that MMAction2's registries build: layouts, labels, inputs, keys of checkpoints."""
import numpy as np
import pytest
import torch
from mmaction.datasets.transforms import FormatGCNInput, PoseDecode, UniformSampleFrames
from mmaction.registry import MODELS as HOST
from mmaction.structures import ActionDataSample
from mmaction.utils import register_all_modules

from motionbert_mm.checkpoints.load import META_KEY
from motionbert_mm.datasets.windows import resample_indices
from motionbert_mm.integrations.mmaction_weights import describe, from_recognizer, to_recognizer
from motionbert_mm.registry import MODELS, TRANSFORMS, build
from motionbert_mm.structures.motion_sample import MotionSample
from tests.minimal import TINY_BACKBONE, arguments
from tests.pyskl_files import dense_2d, dense_3d

register_all_modules(init_default_scope=False)
MODELS.import_from_location()
BACKBONES = sorted(name for name, entry in MODELS.module_dict.items()
                   if entry.__module__.startswith('motionbert_mm.models.backbones.'))
BATCH, PERSONS, FRAMES, JOINTS, CLASSES = 3, 2, 9, 17, 5
NECK = dict(type='RepresentationLayer', out_channels=8)
STEPS = [dict(type='AssociatePersons'), dict(type='ConvertSkeleton', target='h36m'),
         dict(type='NormalizeCoords', inputs='crop_scale', target=None), dict(type='ZeroMissing')]


def example(*shape):
    return torch.randn(BATCH, *shape, generator=torch.Generator().manual_seed(1))


def recognizer(head, **backbone):
    backbone = {'backbone': TINY_BACKBONE, 'neck': NECK, **backbone}
    return HOST.build(dict(type='mmaction.RecognizerGCN', cls_head=head, _scope_='mmaction',
                           backbone=dict(type='motionbert_mm.RecognizerBackbone', **backbone)))


def action_head(**changes):
    return {**dict(type='ActionHead', in_channels=8, num_classes=CLASSES, hidden_channels=32, drop=0.0,
                   losses=[dict(type='CrossEntropyLoss')]), **changes}


def make_head(head=None, **changes):
    return build(MODELS, dict(type='RecognizerHead', head=head or action_head(), **changes))


def samples(*labels):
    return [ActionDataSample().set_gt_label(label) for label in labels]


@pytest.mark.parametrize('neck', [None, NECK, [dict(type='JointsToFrame', out_channels=12), NECK]],
                         ids=['plain', 'neck', 'necks'])
@pytest.mark.parametrize('name', BACKBONES)
def test_every_person_is_encoded_as_alone(name, neck):
    inner = dict(arguments(name), type=name)
    tokens = getattr(MODELS.get(name), 'num_tokens', JOINTS)
    if isinstance(neck, list):
        neck, tokens = [dict(neck[0], num_joints=tokens), neck[1]], 1
    module = build(MODELS, dict(type='RecognizerBackbone', backbone=inner, neck=neck)).eval()
    inputs = example(PERSONS, FRAMES, JOINTS, 3)
    features = module(inputs)
    assert features.shape == (BATCH, PERSONS, module.out_channels, FRAMES, tokens) and module.num_tokens == tokens
    one = module.neck(module.backbone(inputs[1, 1][None]))[0]  # (T', V', C')
    torch.testing.assert_close(features[1, 1], one.permute(2, 0, 1), rtol=1e-5, atol=1e-5)
    features.view(BATCH * PERSONS, *features.shape[2:])  # as heads of MMAction2 do, without a copy


@pytest.mark.parametrize('name', BACKBONES)
def test_every_backbone_learns_with_the_head_of_graph_networks(name):
    inner = dict(arguments(name), type=name, **(dict(has_3d=False) if name == 'MPMEncoder' else {}))
    model = recognizer(dict(type='GCNHead', num_classes=CLASSES, in_channels=8), backbone=inner)
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    loss = model.loss(example(1, PERSONS, FRAMES, JOINTS, 3), samples(0, 1, 2))['loss_cls']
    loss.backward()
    assert torch.isfinite(loss) and not [key for key, value in model.named_parameters() if value.requires_grad and
                                         (value.grad is None or not value.grad.any())]


def test_parts_have_the_names_of_our_models():
    model = build(MODELS, dict(type='MotionModel', backbone=TINY_BACKBONE, neck=NECK, heads=dict(action=action_head())))
    adapted = build(MODELS, dict(type='RecognizerBackbone', backbone=TINY_BACKBONE, neck=NECK))
    assert list(adapted.state_dict()) == [key for key in model.state_dict() if not key.startswith('heads.')]


def test_inputs_of_another_layout_and_several_features_are_refused():
    module = build(MODELS, dict(type='RecognizerBackbone', backbone=TINY_BACKBONE))
    with pytest.raises(ValueError, match=r'reads \(N, M, T, V, C\), got \(3, 9, 17, 3\).*FormatGCNInput'):
        module(example(FRAMES, JOINTS, 3))
    with pytest.raises(ValueError, match='DSTformer was built for inputs'):
        module(example(PERSONS, FRAMES, JOINTS, 2))
    several = build(MODELS, dict(type='RecognizerBackbone', backbone=TINY_BACKBONE, neck=[
        dict(type='JointsToFrame', out_channels=16),
        dict(type='StridedReduction', num_frames=FRAMES, num_heads=2)]))
    with pytest.raises(ValueError, match='several features, frames, centre.*RepresentationLayer'):
        several(example(PERSONS, FRAMES, JOINTS, 3))


def test_the_head_has_the_losses_of_our_model_and_logs_accuracies():
    head = make_head(topk=(1, 2))
    features, labels = example(PERSONS, 8, FRAMES, JOINTS), [0, 4, 2]
    ours = head.head.loss(features.permute(0, 1, 3, 4, 2), MotionSample(label=torch.tensor(labels)))
    theirs = head.loss(features, samples(*labels))
    assert set(theirs) == {'top1_acc', 'top2_acc', *ours} and ours['loss_class'] == theirs['loss_class']
    order = head(features).argsort(dim=-1, descending=True)
    assert theirs['top1_acc'] == (order[:, 0] == torch.tensor(labels)).float().mean()
    best, second, last = order[0, 0], order[1, 1], order[2, -1]
    accuracies = head.loss(features, samples(int(best), int(second), int(last)))
    assert accuracies['top1_acc'] == pytest.approx(1 / 3) and accuracies['top2_acc'] == pytest.approx(2 / 3)


def test_scores_of_clips_are_averaged_and_all_clips_learn_the_label():
    head, features = make_head().eval(), 3 * example(PERSONS, 8, FRAMES, JOINTS)
    scores = head(features)
    sample, = head.predict(features, samples(1))
    torch.testing.assert_close(sample.pred_score, scores.softmax(dim=-1).mean(dim=0))
    assert sample.pred_label.shape == (1,) and sample.pred_label == sample.pred_score.argmax()
    sample, = make_like(head, average_clips='score').predict(features, samples(1))
    torch.testing.assert_close(sample.pred_score, scores.mean(dim=0))
    expected = head.head.compare(scores, MotionSample(label=torch.tensor([1, 1, 1])))['loss_class']
    torch.testing.assert_close(head.loss(features, samples(1))['loss_class'], expected)
    assert len(head.predict(features, samples(1, 2, 3))) == BATCH


def make_like(head, **changes):
    other = make_head(**changes).eval()
    other.load_state_dict(head.state_dict())
    return other


@pytest.mark.parametrize('changes, message', [
    (dict(head=dict(type='EmbeddingHead', in_channels=8)), 'EmbeddingHead, which gives no class scores'),
    (dict(average_clips='max'), "average_clips='max'.*expected prob or score"),
    (dict(topk=(0,)), r'topk=\(0,\)'),
])
def test_heads_that_cannot_work_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        make_head(**changes)


def test_labels_and_features_that_cannot_be_learned_are_refused():
    head, features = make_head(), example(PERSONS, 8, FRAMES, JOINTS)
    with pytest.raises(ValueError, match=r'one class of every sample.*got \(5,\) of torch.float32'):
        head.loss(features, samples(*torch.eye(5)[:3]))
    with pytest.raises(ValueError, match='labels run from 0 to 7, but ActionHead has 5 classes'):
        head.loss(features, samples(0, 7, 1))
    with pytest.raises(ValueError, match='has no losses'):
        make_head(action_head(losses=[])).loss(features, samples(0, 1, 2))
    with pytest.raises(ValueError, match=r'reads features \(N, M, C, T, V\), got \(3, 2, 8\)'):
        head(features[..., 0, 0])


def decode(clip, sampler):
    """The results of MMAction2's pipeline before ours."""
    return PoseDecode()(sampler(dict(clip)))


def run_pipeline(results, steps=STEPS, **changes):
    return build(TRANSFORMS, dict(type='RecognizerPipeline', pipeline=steps, **changes))(results)


def test_each_clip_of_a_sample_has_inputs_of_its_own():
    results = decode(dense_2d('hug', 0, 30, persons=2), UniformSampleFrames(FRAMES, num_clips=3, test_mode=True))
    whole = FormatGCNInput()(run_pipeline(results))['keypoint']
    assert whole.shape == (3, 2, FRAMES, 17, 3) and whole.dtype == np.float32
    for number in range(3):
        frames = slice(number * FRAMES, (number + 1) * FRAMES)
        alone = dict(results, num_clips=1, **{key: results[key][:, frames] for key in ('keypoint', 'keypoint_score')})
        np.testing.assert_array_equal(FormatGCNInput()(run_pipeline(alone))['keypoint'][0], whole[number])
    np.testing.assert_allclose(np.abs(whole[..., :2]).max(axis=(1, 2, 3, 4)), 1.0)  # the square of each clip


def test_of_many_persons_those_seen_most_are_taken():
    clip = dense_2d('crowd', 0, FRAMES, persons=3)  # scores fall from one to the next
    best = {key: clip[key][:2] for key in ('keypoint', 'keypoint_score')}
    turned = {key: clip[key][[2, 0, 1]] for key in ('keypoint', 'keypoint_score')}
    expected = run_pipeline(dict(clip, **best))
    found = run_pipeline(dict(clip, **turned))
    for key in ('keypoint', 'keypoint_score'):
        np.testing.assert_array_equal(found[key], expected[key])
    assert run_pipeline(clip, num_persons=3, steps=STEPS[1:])['keypoint'].shape == (3, FRAMES, 17, 2)


def test_nobody_is_zero():
    empty = {key: dense_2d('', 0, FRAMES)[key] * 0 for key in ('keypoint', 'keypoint_score')}
    for persons in (0, 1):
        results = run_pipeline({key: value[:persons] for key, value in empty.items()})
        assert results['keypoint'].shape == (2, FRAMES, 17, 2) and not results['keypoint'].any()


def test_results_are_not_written_and_draws_follow_the_seed_of_the_host():
    results = decode(dense_2d('walk', 0, 30), UniformSampleFrames(FRAMES, test_mode=True))
    kept = {key: np.copy(results[key]) for key in ('keypoint', 'keypoint_score')}
    steps = [dict(type='RandomMove'), dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[1, 3])]
    drawn = []
    for seed in (1, 1, 2):
        np.random.seed(seed)  # noqa: NPY002 - the generator of the host
        drawn.append(run_pipeline(results, steps)['keypoint'])
    np.testing.assert_array_equal(drawn[0], drawn[1])
    assert not np.allclose(drawn[0], drawn[2])
    assert all(np.array_equal(results[key], value) for key, value in kept.items())


@pytest.mark.parametrize('change, message', [
    (dict(keypoint_score=None), r"sample 'walk': lacks keypoint_score.*without PreNormalize2D and GenSkeFeat"),
    (dict(keypoint=None), r"sample 'walk': lacks keypoint; it holds keypoint_score, total_frames"),
    (dict(keypoint=np.full((1, FRAMES, 17, 2), np.nan)), "sample 'walk': keypoint holds NaN"),
    (dict(keypoint=np.zeros((1, FRAMES, 18, 2))), r"sample 'walk': keypoint has shape \(1, 9, 18, 2\)"),
    (dense_3d('turn', 0, FRAMES), "sample 'turn' has the joints of ntu25.*take a 2D file"),
])
def test_keypoints_of_another_form_are_refused(change, message):
    clip = {key: value for key, value in {**dense_2d('walk', 0, FRAMES), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=message):
        run_pipeline(clip)


def test_a_pipeline_that_makes_no_inputs_is_refused():
    with pytest.raises(ValueError, match='made no network inputs; end it in NormalizeCoords'):
        run_pipeline(dense_2d('walk', 0, FRAMES), STEPS[:2])
    with pytest.raises(ValueError, match='num_persons is 0'):
        run_pipeline({}, num_persons=0)


def test_frames_are_those_of_our_windows():
    step = build(TRANSFORMS, dict(type='ResampleFrames', num_frames=FRAMES))
    for length in (4, FRAMES, 30):
        found = step(dict(dense_2d('walk', 0, length)))
        np.testing.assert_array_equal(found['frame_inds'], resample_indices(length, FRAMES))
        assert PoseDecode()(found)['keypoint'].shape == (1, FRAMES, 17, 2)
    jittered = build(TRANSFORMS, dict(type='ResampleFrames', num_frames=FRAMES, jitter=True))
    drawn = {tuple(jittered(dict(total_frames=60))['frame_inds']) for _ in range(5)}
    assert len(drawn) > 1 and all(np.all(np.diff(frames) >= 0) for frames in drawn)
    with pytest.raises(ValueError, match='num_frames is 0'):
        build(TRANSFORMS, dict(type='ResampleFrames', num_frames=0))


def test_keys_go_there_and_back():
    model = recognizer(dict(type='motionbert_mm.RecognizerHead', head=action_head()))
    ours = from_recognizer(dict(state_dict=model.state_dict()))
    assert list(ours['state_dict']) == list(build(MODELS, dict(
        type='MotionModel', backbone=TINY_BACKBONE, neck=NECK, heads=dict(action=action_head()))).state_dict())
    assert META_KEY not in ours['meta']  # nothing said what the model is
    assert to_recognizer(ours)['state_dict'].keys() == model.state_dict().keys()


@pytest.mark.parametrize('keys, convert, message', [
    (['backbone.gcn.0.weight'], from_recognizer, r'not the weights of a recognizer with RecognizerBackbone: 1 of 1'),
    (['cls_head.fc.weight'], from_recognizer, '0 of 1 have no place'),
    (['backbone.embed.weight', 'heads.pose.fc.weight'], to_recognizer,
     r"one head, ours is named action; 1 weights.*heads.pose.fc.weight.*init_cfg=dict\(type='Pretrained'"),
])
def test_weights_of_other_models_are_refused(keys, convert, message):
    with pytest.raises(ValueError, match=message):
        convert(dict(state_dict={key: torch.zeros(1) for key in keys}))
    with pytest.raises(ValueError, match='expected a checkpoint of this package with state_dict'):
        convert(dict(weights={}))


def test_only_what_our_parts_alone_make_is_described():
    model = dict(type='RecognizerGCN', backbone=dict(backbone=TINY_BACKBONE, neck=NECK),
                 cls_head=dict(head=action_head()))
    pipeline = [dict(type='UniformSampleFrames', clip_len=FRAMES), dict(type='PoseDecode'),
                dict(type='motionbert_mm.RecognizerPipeline', pipeline=STEPS, num_persons=1)]
    found = describe(dict(model=model, pipeline=pipeline, classes=['a', 'b']))
    assert found['window'] == dict(kind='resample', num_frames=FRAMES) and found['model']['skeleton'] == 'h36m'
    assert found['pipeline'][:-1] == STEPS and (found['num_persons'], found['classes']) == (1, ['a', 'b'])
    assert describe(dict(model=model, pipeline=pipeline[:2])) is None
    assert describe(dict(model=dict(model, cls_head=dict(type='GCNHead')), pipeline=pipeline)) is None
