import numpy as np
import pytest

from motionbert_mm.datasets.transforms import PackInputs, SampleMask
from motionbert_mm.datasets.transforms.masking import sample_mask

BATCH, PERSONS, FRAMES, JOINTS = SHAPE = (6, 2, 40, 17)


def rng(seed=0):
    return np.random.default_rng(seed)


def draw(seed=0, shape=SHAPE, **options):
    """The mask of a batch of a given shape."""
    return SampleMask(**options)(dict(inputs=np.ones((*shape, 3), np.float32)), rng(seed))['mask']


def hidden_frames(mask):
    return mask.all(axis=-1)


@pytest.mark.parametrize('ratio, count', [(0.0, 0), (0.05, 2), (0.5, 20), (0.99, 40), (1.0, 40)])
def test_exact_rows_hide_the_rounded_share(ratio, count):
    mask = sample_mask((5, 3, 40), ratio, rng())
    assert mask.shape == (5, 3, 40) and mask.dtype == bool
    assert (mask.sum(axis=-1) == count).all()


def test_exact_rows_hide_every_entry_equally_often():
    share = sample_mask((20_000, 10), 0.3, rng()).mean(axis=0)
    assert np.abs(share - 0.3).max() < 5 * np.sqrt(0.3 * 0.7 / 20_000)


@pytest.mark.parametrize('ratio', [0.0, 0.2, 1.0])
def test_independent_entries_hide_the_share_on_average(ratio):
    mask = sample_mask((500, 200), ratio, rng(), exact=False)
    assert mask.mean() == pytest.approx(ratio, abs=5 * np.sqrt(ratio * (1 - ratio) / mask.size))
    # Binomial, not constant.
    assert mask.sum(axis=-1).var() == pytest.approx(200 * ratio * (1 - ratio), rel=0.3)


def test_exact_joints_are_counted_per_person():
    mask = draw(joint_ratio=0.05, frame_ratio=0.0, exact=True)
    assert mask.shape == SHAPE and mask.dtype == bool
    assert (mask.sum(axis=(-2, -1)) == round(0.05 * FRAMES * JOINTS)).all()
    assert not hidden_frames(mask).any()


@pytest.mark.parametrize('share_frames', [False, True])
def test_exact_frames_are_counted_per_person(share_frames):
    mask = draw(joint_ratio=0.0, frame_ratio=0.1, exact=True, share_frames=share_frames)
    assert (hidden_frames(mask).sum(axis=-1) == 4).all()
    assert mask.sum() == 4 * BATCH * PERSONS * JOINTS


def test_hidden_are_the_chosen_joints_and_the_chosen_frames():
    mask = draw(joint_ratio=0.05, frame_ratio=0.1, exact=True)
    frames, joints = round(0.1 * FRAMES), round(0.05 * FRAMES * JOINTS)
    count = mask.sum(axis=(-2, -1))
    assert (hidden_frames(mask).sum(axis=-1) >= frames).all()
    assert (count >= frames * JOINTS).all() and (count <= frames * JOINTS + joints).all()
    # A joint in a hidden frame is hidden twice, so that the shares do not add up.
    assert count.mean() == pytest.approx(0.145 * FRAMES * JOINTS, rel=0.02)


def test_the_paper_hides_14_5_percent():
    mask = draw(shape=(400, 1, 243, 17))
    frames = hidden_frames(mask)
    frame_error, joint_error = (np.sqrt(ratio * (1 - ratio) / count)
                                for ratio, count in ((0.1, frames.size), (0.05, 0.9 * mask.size)))
    assert frames.mean() == pytest.approx(0.1, abs=5 * frame_error)
    assert mask[~frames].mean() == pytest.approx(0.05, abs=5 * joint_error)
    assert mask.mean() == pytest.approx(0.145, abs=5 * (0.95 * frame_error + 0.9 * joint_error))


@pytest.mark.parametrize('exact', [False, True])
def test_samples_and_persons_are_drawn_apart(exact):
    for options in (dict(joint_ratio=0.2, frame_ratio=0.0), dict(joint_ratio=0.0, frame_ratio=0.2)):
        mask = draw(exact=exact, **options).reshape(BATCH * PERSONS, -1)
        assert len(np.unique(mask, axis=0)) == BATCH * PERSONS


@pytest.mark.parametrize('exact', [False, True])
def test_frames_can_be_shared_over_the_batch(exact):
    frames = hidden_frames(draw(joint_ratio=0.0, frame_ratio=0.2, exact=exact, share_frames=True))
    assert frames.any() and not frames.all() and (frames == frames[:1, :1]).all()
    # Joints stay apart.
    joints = draw(joint_ratio=0.2, frame_ratio=0.0, exact=exact, share_frames=True)
    assert not (joints == joints[:1, :1]).all()


@pytest.mark.parametrize('is_there', [False, True])
def test_ratios_of_zero_leave_the_batch_untouched(is_there):
    batch = dict(inputs=np.ones((*SHAPE, 3), np.float32))
    if is_there:
        batch['mask'] = np.zeros(SHAPE, bool)
    assert SampleMask(joint_ratio=0.0, frame_ratio=0.0)(batch, rng()) is batch
    assert ('mask' in batch) == is_there


def test_an_earlier_mask_is_joined():
    first = np.zeros(SHAPE, bool)
    first[:, :, 7] = True
    batch = dict(inputs=np.ones((*SHAPE, 3), np.float32), mask=first)
    joined = SampleMask()(batch, rng())['mask']
    np.testing.assert_array_equal(joined, first | draw())
    assert batch['mask'] is first and first.sum() == BATCH * PERSONS * JOINTS


@pytest.mark.parametrize('name', ['joint_ratio', 'frame_ratio'])
@pytest.mark.parametrize('ratio', [-0.01, 1.5, float('nan')])
def test_ratios_that_are_no_share_are_refused(name, ratio):
    with pytest.raises(ValueError, match=f'SampleMask.{name} is a share between 0 and 1, got {ratio}'):
        SampleMask(**{name: ratio})


@pytest.mark.parametrize('exact', [False, True])
def test_the_mask_is_a_function_of_the_generator(exact):
    first, again, other = (draw(seed, exact=exact) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_inputs_stay_as_they_are():
    inputs = rng().normal(size=(*SHAPE, 3)).astype(np.float32)
    masked = SampleMask(joint_ratio=1.0)(dict(inputs=inputs), rng())
    assert masked['inputs'] is inputs and masked['mask'].all()


def test_packing_keeps_a_mask_that_hides_something():
    batch = SampleMask()(dict(inputs=np.ones((*SHAPE, 3), np.float32)), rng())
    np.testing.assert_array_equal(PackInputs()(batch, rng())['fields']['mask'], batch['mask'])
    nothing = dict(batch, mask=np.zeros(SHAPE, bool))
    assert 'mask' not in PackInputs()(nothing, rng())['fields']


def test_hidden_joints_are_not_given_to_the_prediction():
    batch = dict(inputs=np.ones((*SHAPE, 3), np.float32), norm=dict(xy=np.ones((*SHAPE, 2), np.float32)))
    with pytest.raises(ValueError, match=r'given_2d=True\).*leave one of them out'):
        SampleMask()(batch, rng())
    assert SampleMask(joint_ratio=0.0, frame_ratio=0.0)(batch, rng()) is batch
