import copy

import numpy as np
import pytest
import torch

from motionbert_mm.apis.labelling import FEW_FRAMES, ActionLabeller
from motionbert_mm.datasets.base import MotionDataset
from motionbert_mm.datasets.loading import collate_batch
from motionbert_mm.datasets.motion_store import MotionStoreWriter
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures import MotionSample
from motionbert_mm.structures.skeleton import get_skeleton
from tests.generated import TINY_MODEL
from tests.io.body import walk_2d

SIZE, FPS = (1000, 1000), 10.0
PIPELINE = [dict(type='ConvertSkeleton', target='h36m'),
            dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2.0, 2.0])]
OFFICIAL = [dict(type='OfficialActionPose'), PIPELINE[1]]
ACTION_MODEL = dict(TINY_MODEL, heads=dict(action=dict(type='ActionHead', num_classes=3, hidden_channels=8)))
EMBEDDING_MODEL = dict(TINY_MODEL, heads=dict(embed=dict(type='EmbeddingHead', out_channels=8)))


class Planned(torch.nn.Module):
    """Gives a window the share of its frames that have each label, by a plan."""

    def __init__(self, plan, num_classes=3):
        super().__init__()
        self.scores, self.windows, self.inputs = np.eye(num_classes)[plan], [], []

    def test_step(self, batch):
        frames = batch['data_samples'].metainfo['frame_ids']
        self.windows += list(frames)
        self.inputs += list(batch['inputs'].numpy())
        return [MotionSample(scores=torch.as_tensor(self.scores[window].mean(axis=0))) for window in frames]


def make_labeller(plan, *, seconds=2.0, num_frames=9, num_persons=1, transforms=PIPELINE):
    return ActionLabeller(Planned(plan), skeleton='h36m', num_frames=num_frames, transforms=transforms,
                          classes=['walk', 'wave', 'squat'], window_seconds=seconds, num_persons=num_persons)


def label(labeller, keypoints, confidence=None, *, skeleton='coco17', **options):
    return labeller.label(keypoints, confidence, skeleton=skeleton, image_size=SIZE, **{'fps': FPS, **options})


def spans(result):
    return [(segment.start, segment.end, result.name(segment)) for segment in result.segments]


def save(path, model, **description):
    """Write a checkpoint of an untrained model; the description is of ``PlainCheckpointHook``."""
    torch.manual_seed(0)
    facts = dict(model=model, window=dict(num_frames=9, kind='resample'), pipeline=PIPELINE, **description)
    weights = build(MODELS, copy.deepcopy(model)).state_dict()
    torch.save(dict(meta=dict(motionbert_mm=facts), state_dict=weights), path)
    return path


@pytest.mark.parametrize('fps', [10.0, 25.0])
def test_segments_of_a_composite_are_found(fps):
    frames = [round(seconds * fps) for seconds in (4, 5, 3)]
    plan = np.repeat([0, 1, 2], frames)
    result = label(make_labeller(plan), walk_2d('coco17', len(plan)), fps=fps)
    assert [name for *_, name in spans(result)] == ['walk', 'wave', 'squat']
    ends = np.cumsum(frames)
    np.testing.assert_allclose([segment.end for segment in result.segments], ends, atol=0.25 * fps)
    assert result.segments[0].start == 0 and result.segments[-1].end == ends[-1]
    np.testing.assert_allclose(result.scores.sum(axis=1), 1.0, rtol=1e-6)
    np.testing.assert_allclose(result.overall.sum(), 1.0, rtol=1e-6)
    assert result.scores.dtype == np.float32 and result.notes == () and result.persons == (0,)


def test_windows_last_as_long_as_in_training_and_overlap():
    labeller = make_labeller(np.zeros(100, int), seconds=2.0, num_frames=10)
    label(labeller, walk_2d('coco17', 100))
    windows = np.array(labeller.model.windows)
    np.testing.assert_array_equal(windows[0], np.arange(0, 20, 2))  # 20 frames, brought to 10
    np.testing.assert_array_equal(windows[:-1, 0], np.arange(0, 80, 5))
    assert windows[-1, 0] == 80


def test_the_step_can_be_chosen():
    labeller = make_labeller(np.zeros(100, int), seconds=2.0)
    label(labeller, walk_2d('coco17', 100), step=1.0)
    assert [window[0] for window in labeller.model.windows] == list(range(0, 81, 10))


@pytest.mark.parametrize('length', [5, 11, 19])
def test_a_short_sequence_is_one_window_of_its_whole_length(length):
    labeller = make_labeller(np.ones(length, int))
    result = label(labeller, walk_2d('coco17', length))
    assert spans(result) == [(0, length, 'wave')] and result.notes == ()
    assert len(labeller.model.windows) == 1
    np.testing.assert_array_equal(labeller.model.windows[0], np.arange(9) * length // 9)


@pytest.mark.parametrize('length', [1, FEW_FRAMES - 1])
def test_a_label_of_few_frames_is_noted_as_unsure(length):
    result = label(make_labeller(np.ones(length, int)), walk_2d('coco17', length))
    assert spans(result) == [(0, length, 'wave')]
    assert len(result.notes) == 1 and f'only {length} frame' in result.notes[0] and 'unsure' in result.notes[0]


def write_clip(path, keypoints, confidence, skeleton='coco17'):
    with MotionStoreWriter(path, skeleton=skeleton, fps=FPS) as writer:
        arrays = dict(detected_2d=keypoints, detected_confidence=confidence)
        writer.add_clip('clip', arrays, persons=1 if keypoints.ndim == 3 else len(keypoints), action='walk', label=0,
                        image_size=SIZE)
    return path


@pytest.mark.parametrize('pipeline', [PIPELINE, [*PIPELINE, dict(type='ZeroMissing')], OFFICIAL])
@pytest.mark.parametrize('persons', [1, 2])
def test_inputs_are_those_of_the_data_set(tmp_path, pipeline, persons):
    rng = np.random.default_rng(0)
    keypoints = np.stack([walk_2d('coco17', 15) + 60 * person for person in range(persons)])
    confidence = np.sort(rng.uniform(0.2, 1.0, keypoints.shape[:3]), axis=0)[::-1].astype(np.float32)  # seen most first
    keypoints, confidence = (keypoints, confidence) if persons > 1 else (keypoints[0], confidence[0])
    dataset = MotionDataset(str(write_clip(tmp_path / 'store', keypoints, confidence)), targets=(), num_persons=2,
                            window=dict(num_frames=9, kind='resample'), test_mode=True,
                            pipeline=[*pipeline, dict(type='PackInputs', fields=[])])
    labeller = make_labeller(np.zeros(15, int), num_persons=2, transforms=pipeline)
    label(labeller, keypoints, confidence)
    expected = collate_batch(dataset.__getitems__([0]))['inputs'].numpy()
    np.testing.assert_allclose(np.stack(labeller.model.inputs), expected, rtol=0, atol=1e-6)


def test_missing_joints_are_interpolated_with_confidence_0():
    labeller = make_labeller(np.zeros(9, int), num_frames=9, transforms=[dict(type='NormalizeCoords')])
    points = walk_2d('h36m', 9)
    points[3:6, 13] = np.nan
    label(labeller, points, skeleton='h36m')
    inputs = labeller.model.inputs[0][0]
    np.testing.assert_array_equal(np.argwhere(inputs[..., 2] == 0), [[frame, 13] for frame in (3, 4, 5)])
    np.testing.assert_allclose(inputs[4, 13, :2], inputs[[2, 6], 13, :2].mean(axis=0), atol=1e-6)


def test_frames_without_the_person_get_no_label():
    plan = np.repeat([0, 1], [40, 45])
    points = walk_2d('coco17', 85)
    points[40:55], points[10:13] = np.nan, np.nan
    labeller = make_labeller(plan)
    result = label(labeller, points)
    assert spans(result) == [(0, 40, 'walk'), (55, 85, 'wave')]
    np.testing.assert_array_equal(np.flatnonzero(np.isnan(result.scores[:, 0])), np.arange(40, 55))
    windows = np.array(labeller.model.windows)
    assert ((windows < 40).all(axis=1) | (windows >= 55).all(axis=1)).all()
    assert np.isfinite(result.overall).all()


def test_a_gap_counts_in_seconds():
    points = walk_2d('coco17', 60)
    points[20:30] = np.nan
    assert len(label(make_labeller(np.zeros(60, int)), points, fps=25).segments) == 1  # 0.4 s
    assert len(label(make_labeller(np.zeros(60, int)), points, fps=10).segments) == 2


def test_short_stays_are_noted():
    points = walk_2d('coco17', 40)
    points[20:37] = np.nan
    result = label(make_labeller(np.zeros(40, int)), points)
    assert spans(result) == [(0, 20, 'walk'), (37, 40, 'walk')]
    assert '1 of 2 stays in the picture have fewer than 5 frames' in result.notes[0]


def test_segments_follow_the_options():
    plan = np.repeat([0, 1, 0], [40, 4, 40])
    labeller = make_labeller(plan, seconds=0.3)
    points = walk_2d('coco17', len(plan))
    assert len(label(labeller, points, min_seconds=0.2).segments) == 3
    assert spans(label(labeller, points)) == [(0, 84, 'walk')]
    assert spans(label(labeller, points, threshold=0.99)) == [(0, 84, 'unknown')]


def test_two_persons_are_labelled_together():
    pair = np.stack([walk_2d('coco17', 30), walk_2d('coco17', 30) + [300, 0]])
    labeller = make_labeller(np.ones(30, int), num_persons=2, num_frames=20)
    confidence = np.stack([np.full((30, 17), 0.5), np.full((30, 17), 0.9)])
    confidence[0, :10] = 0
    result = label(labeller, pair, confidence)
    assert result.persons == (1, 0) and spans(result) == [(0, 30, 'wave')]
    first = labeller.model.inputs[0]  # frames 0 to 19
    assert (first[0, ..., 2] > 0.8).all()
    assert (first[1, :10, :, 2] == 0).all() and (first[1, 10:, :, 2] > 0.4).all()


def test_a_third_person_and_one_never_seen_are_left_out_with_notes():
    people = np.stack([walk_2d('coco17', 12) + [100 * place, 0] for place in range(4)])
    confidence = np.ones((4, 12, 17)) * np.array([0.3, 0.9, 0.0, 0.6])[:, None, None]
    result = label(make_labeller(np.zeros(12, int), num_persons=2), people, confidence)
    assert result.persons == (1, 3)
    assert result.notes == ('1 of 4 persons never seen: left out',
                            '3 persons for a model of 2: took the 2 seen most')


def test_a_person_alone_is_the_same_as_with_one_never_seen():
    points = walk_2d('coco17', 12)
    alone, paired = (make_labeller(np.zeros(12, int), num_persons=2) for _ in range(2))
    label(alone, points)
    label(paired, np.stack([np.full_like(points, np.nan), points]))
    np.testing.assert_array_equal(alone.model.inputs, paired.model.inputs)


def test_a_real_model_labels_a_checkpoint_of_its_own(tmp_path):
    path = save(tmp_path / 'a.pth', ACTION_MODEL, classes=['walk', 'wave', 'squat'], window_seconds=1.5, fps=30.0,
                num_persons=2)
    labeller = ActionLabeller.from_checkpoint(path, 'cpu')
    assert (labeller.window_seconds, labeller.num_persons, labeller.num_frames) == (1.5, 2, 9)
    result = label(labeller, walk_2d('halpe26', 40), skeleton='halpe26')
    assert result.scores.shape == (40, 3) and result.classes == ('walk', 'wave', 'squat')
    np.testing.assert_allclose(result.scores.sum(axis=1), 1.0, rtol=1e-5)
    for size in (1, 5):
        np.testing.assert_allclose(label(labeller, walk_2d('halpe26', 40), skeleton='halpe26', batch_size=size).scores,
                                   result.scores, atol=1e-6)


def test_a_window_that_the_checkpoint_does_not_know_must_be_given(tmp_path):
    path = save(tmp_path / 'a.pth', dict(ACTION_MODEL), num_persons=None)
    with pytest.raises(ValueError, match=r'a\.pth does not say how long the clips were.*--window-seconds'):
        ActionLabeller.from_checkpoint(path, 'cpu')
    labeller = ActionLabeller.from_checkpoint(path, 'cpu', window_seconds=2.0)
    assert labeller.classes == ('class 0', 'class 1', 'class 2') and labeller.num_persons == 1


def test_models_without_classes_are_refused(tmp_path):
    for model, what in ((EMBEDDING_MODEL, 'predicts an embedding'), (TINY_MODEL, 'predicts no class scores')):
        with pytest.raises(ValueError, match=what):
            ActionLabeller.from_checkpoint(save(tmp_path / 'a.pth', model, window_seconds=1.0), 'cpu')


PAIR = np.stack([walk_2d('coco17', 6)] * 2)


@pytest.mark.parametrize('changes, message', [
    (dict(keypoints=PAIR[0, 0]), r'shape \(17, 2\), expected \(F, 17, 2\)'),
    (dict(keypoints=PAIR), 'trained with one person in every clip, got 2'),
    (dict(keypoints=PAIR[:, :, :5]), r'shape \(2, 6, 5, 2\), expected \(M, F, 17, 2\)'),
    (dict(keypoints=np.empty((0, 17, 2))), 'at least one frame'),
    (dict(keypoints=np.full((6, 17, 2), np.nan)), 'nobody was seen'),
    (dict(confidence=np.zeros((6, 17))), 'nobody was seen'),
    (dict(confidence=np.ones((5, 17))), r'confidence has shape \(5, 17\)'),
    (dict(keypoints=np.full((6, 17, 2), np.inf)), 'infinity'),
    (dict(keypoints=PAIR[0] + 1000), 'lie outside the image'),
    (dict(fps=0.0), 'fps must be positive'), (dict(step=-1.0), 'step must be positive'),
    (dict(min_seconds=-1.0), 'min_seconds is -1'), (dict(threshold=2.0), 'threshold 2'),
    (dict(batch_size=0), 'batch_size must be at least 1'),
])
def test_bad_input_is_refused(changes, message):
    arguments = {'keypoints': PAIR[0], **changes}
    with pytest.raises(ValueError, match=message):
        label(make_labeller(np.zeros(6, int)), **arguments)


def test_an_unknown_skeleton_is_named():
    with pytest.raises(KeyError, match="unknown skeleton 'coco'"):
        label(make_labeller(np.zeros(6, int)), PAIR[0], skeleton='coco')


def test_every_skeleton_that_converts_is_taken():
    labeller = make_labeller(np.zeros(6, int))
    for name in ('body25', 'coco18', 'h36m', 'halpe26', 'blazepose33'):
        assert walk_2d(name, 6).shape[1] == get_skeleton(name).num_joints
        assert spans(label(labeller, walk_2d(name, 6), skeleton=name)) == [(0, 6, 'walk')]
