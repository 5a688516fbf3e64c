import copy

import numpy as np
import pytest
import torch

from motionbert_mm.apis.blending import WindowBlend
from motionbert_mm.apis.inference import Lifter
from motionbert_mm.datasets.windows import sliding_windows
from motionbert_mm.registry import MODELS, build
from motionbert_mm.structures import MotionSample
from tests.generated import TINY_MODEL
from tests.io.body import walk_2d

SIZE = (1000, 1000)
NORMALIZE = [dict(type='NormalizeCoords')]


class Ramp(torch.nn.Module):
    """Predicts the number of the frame for every joint but the root."""

    flip_test = False

    def __init__(self, lost_frames=0):
        super().__init__()
        self.lost_frames, self.calls, self.frames = lost_frames, [], []

    def test_step(self, batch):
        self.calls.append((self.flip_test, batch['inputs'].clone()))
        self.frames.append(batch['data_samples'].metainfo['frame_ids'])
        samples = []
        for frames in batch['data_samples'].metainfo['frame_ids']:
            numbers = torch.as_tensor(frames[self.lost_frames:], dtype=torch.float32)
            points = numbers[None, :, None, None].repeat(1, 1, 17, 3)
            points[:, :, 0] = 0
            samples.append(MotionSample(keypoints_3d=points))
        return samples


@pytest.fixture
def ramp():
    return Lifter(Ramp(), skeleton='h36m', num_frames=9, transforms=NORMALIZE)


@pytest.fixture
def tiny():
    torch.manual_seed(0)
    model = build(MODELS, copy.deepcopy(TINY_MODEL)).eval()
    return Lifter(model, skeleton='h36m', num_frames=9, transforms=NORMALIZE)


@pytest.mark.parametrize('length', [1, 5, 9, 10, 13, 14, 40])
def test_blend_of_a_constant_and_of_a_ramp_is_exact(length):
    windows = sliding_windows(length, 9, 4, tail='shift')
    blend = WindowBlend(length, (2,))
    blend.add(windows, np.stack([np.full(windows.shape, 7.0), 3.0 * windows], axis=-1))
    expected = np.stack([np.full(length, 7.0), 3.0 * np.arange(length)], axis=-1)
    np.testing.assert_allclose(blend.result(), expected, rtol=1e-12)


@pytest.mark.parametrize('length', [1, 2, 9, 17, 18, 40])
def test_dilated_windows_cover_every_frame(ramp, length):
    ramp.dilation = 2
    motion = ramp.lift(walk_2d('h36m', length), skeleton='h36m', image_size=SIZE, batch_size=100).keypoints_3d
    np.testing.assert_allclose(motion[:, 5, 1], np.arange(length), atol=1e-5)
    frames = ramp.model.frames[0][np.ptp(ramp.model.frames[0], axis=1) == 16]  # windows without repeated frames
    assert (np.diff(frames, axis=1) == 2).all()
    assert len(frames) == {17: 1, 18: 2, 40: 8}.get(length, 0)


def test_blend_has_no_seams():
    # Windows that disagree by a constant: no step between frames may come near that constant.
    windows = sliding_windows(60, 20, 10, tail='shift')
    blend = WindowBlend(60, ())
    blend.add(windows, np.repeat(np.arange(len(windows))[:, None] % 2, 20, axis=1).astype(float))
    assert np.abs(np.diff(blend.result())).max() < 0.2


@pytest.mark.parametrize('length', [1, 4, 9, 10, 31])
def test_lifted_ramp_is_exact_whatever_the_length(ramp, length):
    result = ramp.lift(walk_2d('h36m', length), skeleton='h36m', image_size=SIZE, batch_size=2)
    assert result.keypoints_3d.shape == (length, 17, 3) and result.keypoints_3d.dtype == np.float32
    np.testing.assert_allclose(result.keypoints_3d[:, 5, 1], np.arange(length), atol=1e-5)
    assert (result.keypoints_3d[:, 0] == 0).all()


def test_short_sequence_is_continued_with_its_last_frame(ramp):
    ramp.lift(walk_2d('h36m', 4), skeleton='h36m', image_size=SIZE)
    inputs = ramp.model.calls[0][1]
    assert inputs.shape == (1, 1, 9, 17, 3)
    assert (inputs[:, :, 4:] == inputs[:, :, 3:4]).all()


def test_inputs_are_normalised_as_in_the_checkpoint(ramp):
    points = walk_2d('h36m', 9)
    ramp.lift(points, np.full((9, 17), 0.5), skeleton='h36m', image_size=(1000, 800))
    inputs = ramp.model.calls[0][1][0, 0].numpy()
    np.testing.assert_allclose(inputs[..., :2], points / 500 - [1, 0.8], atol=1e-6)
    assert (inputs[..., 2] == 0.5).all()


@pytest.mark.parametrize('flip_test', [True, False])
def test_mirroring_is_asked_for_and_the_model_left_as_it_was(ramp, flip_test):
    ramp.lift(walk_2d('h36m', 9), skeleton='h36m', image_size=SIZE, flip_test=flip_test)
    assert ramp.model.calls[0][0] is flip_test and ramp.model.flip_test is False


def test_prediction_does_not_depend_on_the_batch_size(tiny):
    results = [tiny.lift(walk_2d('h36m', 40), skeleton='h36m', image_size=SIZE, batch_size=size).keypoints_3d
               for size in (1, 5, 100)]
    np.testing.assert_allclose(results[0], results[1], atol=1e-3)
    np.testing.assert_allclose(results[0], results[2], atol=1e-3)
    assert np.ptp(results[0]) > 1


def test_lifting_a_mirrored_walk_gives_the_mirrored_motion(tiny):
    points, flip = walk_2d('h36m', 20), list(tiny.skeleton.flip_indices)
    mirrored = points[:, flip] * [-1, 1] + [1000, 0]
    plain, other = (tiny.lift(each, skeleton='h36m', image_size=SIZE).keypoints_3d for each in (points, mirrored))
    np.testing.assert_allclose(other[:, flip] * [-1, 1, 1], plain, atol=1e-2)


def test_other_skeletons_are_converted_and_reported(tiny):
    result = tiny.lift(walk_2d('coco17', 12), np.full((12, 17), 0.5), skeleton='coco17', image_size=SIZE)
    assert result.keypoints_3d.shape == (12, 17, 3) and result.skeleton == 'h36m'
    assert result.averaged == ('root', 'spine', 'thorax', 'head') and result.invented == ()
    assert 'left_wrist' in result.copied and (result.confidence == 0.5).all()


def test_progress_wraps_the_batches(ramp):
    seen = []
    ramp.lift(walk_2d('h36m', 40), skeleton='h36m', image_size=SIZE, batch_size=3,
              progress=lambda items: seen.extend(items) or items)
    assert seen == [0, 3, 6]


@pytest.mark.parametrize('change, message', [
    (dict(keypoints=np.zeros((0, 17, 2))), 'at least one frame'),
    (dict(keypoints=walk_2d('halpe26', 9)), r"\(9, 26, 2\), expected \(F, 17, 2\)"),
    (dict(keypoints=np.full((9, 17, 2), np.nan)), 'NaN'),
    (dict(confidence=np.ones((9, 16))), r'confidence has shape \(9, 16\)'),
    (dict(batch_size=0), 'batch_size must be at least 1'),
    (dict(image_size=(0, 10)), 'image_size must be width and height'),
    (dict(image_size=(320, 240)), 'lie outside the image of 320 x 240'),
])
def test_bad_input_is_refused(ramp, change, message):
    arguments = dict(keypoints=walk_2d('h36m', 9), confidence=None, skeleton='h36m', image_size=SIZE)
    with pytest.raises(ValueError, match=message):
        ramp.lift(**{**arguments, **change})


def test_unknown_skeleton_is_refused(ramp):
    with pytest.raises(KeyError, match='known are'):
        ramp.lift(walk_2d('h36m', 9), skeleton='coco', image_size=SIZE)


def test_model_of_the_centre_frame_only_is_refused():
    lifter = Lifter(Ramp(lost_frames=8), skeleton='h36m', num_frames=9, transforms=NORMALIZE)
    with pytest.raises(ValueError, match='predicts 1 frames of a window of 9'):
        lifter.lift(walk_2d('h36m', 9), skeleton='h36m', image_size=SIZE)


def test_checkpoint_brings_model_skeleton_window_and_normalisation(tmp_path, tiny):
    description = dict(model=TINY_MODEL, window=dict(num_frames=9), pipeline=[*NORMALIZE, dict(type='PackInputs')])
    torch.save(dict(meta=dict(motionbert_mm=description), state_dict=tiny.model.state_dict()), tmp_path / 'a.pth')
    loaded = Lifter.from_checkpoint(tmp_path / 'a.pth', 'cpu')
    assert loaded.skeleton.name == 'h36m' and loaded.num_frames == 9
    points = walk_2d('h36m', 15)
    np.testing.assert_array_equal(loaded.lift(points, skeleton='h36m', image_size=SIZE).keypoints_3d,
                                  tiny.lift(points, skeleton='h36m', image_size=SIZE).keypoints_3d)
