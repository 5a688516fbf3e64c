"""The error of restored 2D poses: in pixels, and by what was hidden."""
import numpy as np
import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.logging import MMLogger

from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.evaluation import Pose2DMetric
from motionbert_mm.geometry.targets import decode_input
from motionbert_mm.registry import METRICS, build
from motionbert_mm.structures.motion_sample import MotionSample

FRAMES, JOINTS = 6, 17


def make_window(name='walk.cam0', frames=None, mask=None, visible=None, shift=0.0, truth=None, persons=1, **meta):
    """Truth and prediction of one window; the prediction is ``shift`` (broadcast to (M, T, J)) pixels to the right."""
    frames = np.arange(FRAMES) if frames is None else np.asarray(frames)
    shape = (persons, len(frames), JOINTS)
    if truth is None:
        truth = np.random.default_rng(0).uniform(0, 1000, (*shape, 2))
    pred = truth + np.stack([np.broadcast_to(shift, shape), np.zeros(shape)], axis=-1)
    meta = dict(dict(sample_id=name, frame_ids=frames, action='walk', skeleton='h36m', fps=30.0,
                     image_size=np.array([1000, 800], np.float32)), **meta)
    meta = {key: value for key, value in meta.items() if value is not None}
    target = MotionSample(metainfo=meta, keypoints_2d=torch.tensor(truth, dtype=torch.float32))
    for field, values in (('mask', mask), ('visible', visible)):
        if values is not None:
            target.set_data({field: torch.from_numpy(values)})
    return target, MotionSample(metainfo=meta, keypoints_2d=torch.tensor(pred, dtype=torch.float32))


def evaluate(*windows, **options):
    metric = Pose2DMetric(**options)
    for target, prediction in windows:
        metric.process(dict(data_samples=MotionSample.stack([target])), [prediction.to_dict()])
    return metric.evaluate(len(windows))


@pytest.fixture
def mask():
    """Joints 0 and 1 are hidden in every frame, everything in frames 0 to 3."""
    mask = np.zeros((1, FRAMES, JOINTS), bool)
    mask[..., :2] = True
    mask[:, :4] = True
    return mask


def test_the_parts_by_hand(mask):
    shift = np.full((1, FRAMES, JOINTS), 1.0)
    shift[..., :2] = 5.0
    shift[:, :4] = 20.0
    result = evaluate(make_window(mask=mask, shift=shift))
    assert result['MPJPE-2D'] == pytest.approx((4 * 20 + 2 * (2 * 5 + 15 * 1) / 17) / 6)
    assert result['MPJPE-2D/seen'] == pytest.approx(1.0, rel=1e-4)
    assert result['MPJPE-2D/hidden-joints'] == pytest.approx(5.0, rel=1e-4)
    assert result['MPJPE-2D/hidden-frames'] == pytest.approx(20.0, rel=1e-4)
    assert result['MPJPE-2D-permille'] == pytest.approx(result['MPJPE-2D'] / 500 * 1000)
    assert result['MPJPE-2D/frame'] == result['MPJPE-2D/clip'] == result['MPJPE-2D/action'] == result['MPJPE-2D']


def test_without_a_mask_all_was_seen():
    result = evaluate(make_window(shift=3.0))
    assert result['MPJPE-2D'] == result['MPJPE-2D/seen'] == pytest.approx(3.0, rel=1e-4)
    assert not any('hidden' in key for key in result)


def test_without_an_image_size_there_are_pixels_only():
    result = evaluate(make_window(shift=3.0, image_size=None))
    assert result['MPJPE-2D'] == pytest.approx(3.0, rel=1e-4) and not any('permille' in key for key in result)


def test_normalised_errors_are_divided_by_the_width_of_their_own_image():
    wide = make_window('walk.cam1', shift=4.0, image_size=np.array([2000, 100], np.float32))
    result = evaluate(make_window(shift=3.0), wide, average='clip')
    assert result['MPJPE-2D-permille'] == pytest.approx((3 / 500 + 4 / 1000) / 2 * 1000, rel=1e-4)


def test_targets_that_are_not_visible_do_not_count(mask):
    visible, shift = np.ones(mask.shape, bool), np.full(mask.shape, 2.0)
    visible[:, 5, 3:], shift[:, 5, 3:] = False, 1000.0
    visible[:, 0], shift[:, 0] = False, np.nan
    result = evaluate(make_window(mask=mask, visible=visible, shift=shift))
    assert result['MPJPE-2D'] == result['MPJPE-2D/seen'] == result['MPJPE-2D/hidden-frames']
    assert result['MPJPE-2D'] == pytest.approx(2.0, rel=1e-4)


def test_overlapping_windows_keep_their_own_masks():
    first, second = np.zeros((2, 1, 4, JOINTS), bool)
    first[:, 2:], second[:, :1] = True, True  # frames 2 and 3; frame 2
    result = evaluate(make_window(frames=range(4), mask=first, shift=10.0),
                      make_window(frames=range(2, 6), mask=second, shift=-30.0))
    # Frame 2 is hidden in both windows, frame 3 in the first and seen in the second.
    assert result['MPJPE-2D/hidden-frames'] == pytest.approx((20 + 10) / 2, rel=1e-4)
    assert result['MPJPE-2D/seen'] == pytest.approx((2 * 10 + 3 * 30) / 5, rel=1e-4)
    assert result['MPJPE-2D'] == pytest.approx((2 * 10 + 2 * 20 + 2 * 30) / 6, rel=1e-4)


def test_every_person_counts():
    shift = np.array([1.0, 4.0])[:, None, None]
    result = evaluate(make_window(shift=shift, persons=2))
    assert result['MPJPE-2D'] == pytest.approx(2.5, rel=1e-4)


def test_a_model_may_predict_some_of_the_frames(mask):
    target, prediction = make_window(mask=mask, shift=np.arange(FRAMES)[:, None])
    centre = MotionSample(metainfo=dict(sample_id='walk.cam0', frame_ids=np.array([4])),
                          keypoints_2d=prediction.keypoints_2d[:, 4:5])
    result = evaluate((target, centre))
    assert result['MPJPE-2D'] == result['MPJPE-2D/hidden-joints'] == pytest.approx(4.0, rel=1e-3)
    assert 'MPJPE-2D/hidden-frames' not in result


def test_the_protocol_is_printed(mask, monkeypatch):
    lines = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', lines.append)
    evaluate(make_window(mask=mask, shift=2.0))
    table, protocol = lines
    assert all(word in table for word in ('MPJPE-2D', 'seen', 'hidden-joints', 'hidden-frames', 'walk'))
    for words in ('Protocol of MPJPE-2D 2.00', 'joints: all of h36m', 'absolute positions in pixels',
                  'hidden by a mask', 'each window measured, errors averaged per frame', '6 frames'):
        assert words in protocol
    evaluate(make_window(shift=2.0))
    assert 'nothing was hidden' in lines[-1]


def test_registry_builds_it_and_the_evaluator_takes_a_batch(mask):
    windows = [make_window(mask=mask, shift=2.0), make_window('sit.cam0', mask=mask, shift=4.0, action='sit')]
    targets, predictions = zip(*windows)
    evaluator = Evaluator([build(METRICS, dict(type='Pose2DMetric', prefix='val'))])
    evaluator.process(data_samples=list(predictions), data_batch=dict(data_samples=MotionSample.stack(targets)))
    assert evaluator.evaluate(2)['val/MPJPE-2D'] == pytest.approx(3.0, rel=1e-4)


@pytest.mark.parametrize('inputs', ['screen', 'crop_scale'])
def test_the_input_moved_by_3_pixels_is_measured_so(tiny_store, inputs):
    pipeline = [dict(type='NormalizeCoords', inputs=inputs, target=None), dict(type='SampleExactMask'),
                dict(type='PackInputs', fields=['keypoints_2d'])]
    dataset = MotionDataset(str(tiny_store), window=dict(num_frames=9), input_2d='exact', pipeline=pipeline)
    batch = collate_batch(dataset.__getitems__([0, 20, 47]))
    truth = batch['data_samples']
    points = decode_input(batch['inputs'][..., :2], truth.metainfo['norm'])
    predictions = MotionSample(metainfo=dict(truth.metainfo_items()), keypoints_2d=points + 3.0).unbind()
    metric = Pose2DMetric()
    metric.process(batch, [prediction.to_dict() for prediction in predictions])
    result = metric.evaluate(3)
    for key in ('MPJPE-2D', 'MPJPE-2D/seen', 'MPJPE-2D/hidden-joints', 'MPJPE-2D/hidden-frames'):
        assert result[key] == pytest.approx(3 * np.sqrt(2), abs=1e-3)


def test_missing_fields_are_named():
    target, prediction = make_window()
    no_truth = MotionSample(metainfo=dict(target.metainfo_items()), confidence=torch.ones(1, FRAMES, JOINTS))
    with pytest.raises(KeyError, match='the prediction has no keypoints_2d'):
        evaluate((target, no_truth))
    with pytest.raises(KeyError, match='the ground truth has no keypoints_2d.*add keypoints_2d to the fields of Pack'):
        evaluate((no_truth, prediction))


def test_points_that_do_not_fit_are_refused(mask):
    target, prediction = make_window()
    fewer = MotionSample(metainfo=dict(target.metainfo_items()), keypoints_2d=prediction.keypoints_2d[:, :, :16])
    with pytest.raises(ValueError, match=r'must be \(M, T, J, 2\), got prediction \(1, 6, 16, 2\)'):
        evaluate((target, fewer))
    with pytest.raises(ValueError, match=r'and mask \(1, 6, 16\)'):
        evaluate(make_window(mask=mask[..., :16]))


@pytest.mark.parametrize('role, word', [('prediction', 'prediction'), ('truth', 'ground truth')])
def test_points_that_are_not_finite_are_refused(role, word):
    points = np.zeros((1, FRAMES, JOINTS, 2))
    points[0, 2, 4] = np.nan
    window = make_window(shift=np.where(np.isnan(points[..., 0]), np.inf, 0.0)) if role == 'prediction' else None
    with pytest.raises(ValueError, match=f'the {word} is NaN or infinite in 1 of 6 frames, first in frame 2'):
        evaluate(window or (make_window(truth=points)[0], make_window()[1]))
