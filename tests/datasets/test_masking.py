import numpy as np
import pytest

from motionbert_mm.datasets.transforms import PackInputs, SampleExactMask, SampleMask
from motionbert_mm.datasets.transforms.masking import sample_exactly, sample_mask

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


def draw_exactly(seed=0, shape=SHAPE, **options):
    """The mask of ``SampleExactMask`` for a batch of a given shape."""
    return SampleExactMask(**options)(dict(inputs=np.ones((*shape, 3), np.float32)), rng(seed))['mask']


# Official P-STMO rounds the number of hidden frames down; 100 * 0.29 is less than 29 in floats.
@pytest.mark.parametrize('frames, ratio, count', [
    (243, 0.8, 194), (243, 0.6, 145), (243, 0.9, 218), (81, 0.7, 56), (81, 0.8, 64), (27, 0.8, 21), (9, 0.8, 7),
    (243, 0.0, 0), (1, 0.99, 0), (100, 0.29, 28), (5, 0.999, 4)])
def test_every_sample_hides_the_official_number_of_frames(frames, ratio, count):
    mask = draw_exactly(shape=(4, 2, frames, 17), frame_ratio=ratio, num_joints=2)
    assert mask.shape == (4, 2, frames, 17) and mask.dtype == bool
    assert (hidden_frames(mask).sum(axis=-1) == count).all()
    # q + (1 - q) m / J of everything
    assert (mask.sum(axis=(-2, -1)) == count * 17 + (frames - count) * 2).all()


@pytest.mark.parametrize('num_joints', [0, 1, 2, 7, 16])
@pytest.mark.parametrize('tube', [False, True])
def test_every_visible_frame_hides_as_many_distinct_joints(num_joints, tube):
    mask = draw_exactly(frame_ratio=0.6, num_joints=num_joints, tube=tube)
    assert (mask[~hidden_frames(mask)].sum(axis=-1) == num_joints).all()
    assert (hidden_frames(mask).sum(axis=-1) == 24).all()


def test_the_official_mask_hides_82_3_percent():
    mask = draw_exactly(shape=(2, 1, 243, 17), frame_ratio=0.8, num_joints=2)
    ratio = 194 / 243
    assert mask.mean() == pytest.approx(ratio + (1 - ratio) * 2 / 17)
    assert mask.mean() == pytest.approx(0.823, abs=2e-3)


def test_every_frame_and_joint_is_hidden_equally_often():
    mask = draw_exactly(shape=(4000, 1, 10, 17), frame_ratio=0.5, num_joints=3)
    frames = hidden_frames(mask)[:, 0]
    assert np.abs(frames.mean(axis=0) - 0.5).max() < 5 * np.sqrt(0.25 / 4000)
    joints = mask[:, 0][~frames].mean(axis=0)
    share = 3 / 17
    assert np.abs(joints - share).max() < 5 * np.sqrt(share * (1 - share) / (~frames).sum())


def test_joints_are_drawn_anew_in_every_frame():
    mask = draw_exactly(frame_ratio=0.0, num_joints=2)[0, 0]
    assert len(np.unique(mask, axis=0)) > FRAMES / 2


def test_a_tube_hides_the_same_joints_in_all_frames_of_a_sample():
    mask = draw_exactly(shape=(200, 2, 9, 17), frame_ratio=0.0, num_joints=5, tube=True)
    assert (mask == mask[:, :, :1]).all()
    rows = mask[:, :, 0].reshape(-1, 17)
    assert len(np.unique(rows, axis=0)) > 300
    assert np.abs(rows.mean(axis=0) - 5 / 17).max() < 5 * np.sqrt(5 / 17 * 12 / 17 / len(rows))


@pytest.mark.parametrize('tube', [False, True])
def test_one_mask_is_shared_over_the_batch_if_wanted(tube):
    mask = draw_exactly(share=True, tube=tube)
    assert mask.shape == SHAPE and (mask == mask[:1, :1]).all() and mask.flags.writeable
    apart = draw_exactly(tube=tube).reshape(BATCH * PERSONS, -1)
    assert len(np.unique(apart, axis=0)) == BATCH * PERSONS


def test_the_last_joint_is_spared_if_wanted():
    shape = (500, 1, 10, 17)
    spared, drawn = (draw_exactly(shape=shape, frame_ratio=0.5, num_joints=2, spare_last_joint=spare)
                     for spare in (True, False))
    for mask, share in ((spared, 0.0), (drawn, 2 / 17)):
        seen = mask[~hidden_frames(mask)]
        assert (seen.sum(axis=-1) == 2).all()
        assert seen[:, -1].mean() == pytest.approx(share, abs=5 * np.sqrt(2 / 17 / len(seen)))
    # Whole frames are hidden with their last joint.
    assert hidden_frames(spared).any()
    others = spared[~hidden_frames(spared)][:, :-1].mean(axis=0)
    assert np.abs(others - 2 / 16).max() < 5 * np.sqrt(2 / 16 / 2500)
    # All that may be hidden is.
    assert draw_exactly(frame_ratio=0.0, num_joints=16, spare_last_joint=True)[..., :-1].all()


def test_the_exact_mask_is_a_function_of_the_generator():
    first, again, other = (draw_exactly(seed) for seed in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


def test_hiding_nothing_leaves_the_batch_untouched():
    batch = dict(inputs=np.ones((*SHAPE, 3), np.float32), mask=np.ones(SHAPE, bool))
    assert SampleExactMask(frame_ratio=0.0, num_joints=0)(batch, rng()) is batch


@pytest.mark.parametrize('options, message', [
    (dict(frame_ratio=1.0), r'frame_ratio is a share of the frames, .* below 1 so that a frame is left, got 1.0'),
    (dict(frame_ratio=-0.1), 'at least 0'), (dict(frame_ratio=float('nan')), 'got nan'),
    (dict(num_joints=-1), 'num_joints is a number of joints, at least 0, got -1'),
    (dict(num_joints=0.2), 'got 0.2'), (dict(num_joints=True), 'got True')])
def test_exact_masks_that_are_not_possible_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SampleExactMask(**options)


@pytest.mark.parametrize('spare', [False, True])
def test_a_joint_must_be_left_in_every_frame(spare):
    with pytest.raises(ValueError, match='num_joints is 17, but a frame has 17 joints, of which one must be left'):
        draw_exactly(num_joints=17, spare_last_joint=spare)


def test_a_second_mask_would_break_the_counts():
    batch = SampleMask()(dict(inputs=np.ones((*SHAPE, 3), np.float32)), rng())
    with pytest.raises(ValueError, match='keep only one of the transforms that make a mask'):
        SampleExactMask()(batch, rng())


@pytest.mark.parametrize('transform', [SampleMask(), SampleExactMask()])
def test_masks_come_after_the_normalisation(transform):
    with pytest.raises(ValueError, match=f'{type(transform).__name__} works on normalised inputs; put NormalizeCoords'):
        transform(dict(keypoints_2d=np.ones((*SHAPE, 2), np.float32)), rng())


def test_exact_masks_do_not_hide_what_is_given_to_the_prediction():
    batch = dict(inputs=np.ones((*SHAPE, 3), np.float32), norm=dict(xy=np.ones((*SHAPE, 2), np.float32)))
    with pytest.raises(ValueError, match=r'SampleExactMask .*given_2d=True\).*leave one of them out'):
        SampleExactMask()(batch, rng())


@pytest.mark.parametrize('ratio', [1e-5, 0.05, 1 - 1e-5])
def test_shares_between_two_steps_of_the_draws_are_met(ratio):
    mask = sample_mask((1000, 4001), ratio, rng(), exact=False)  # a size that is no multiple of four
    assert mask.mean() == pytest.approx(ratio, abs=5 * np.sqrt(ratio * (1 - ratio) / mask.size))


@pytest.mark.parametrize('total, count', [(5, 2), (300, 120)])
def test_every_subset_is_as_likely_whether_from_a_table_or_not(total, count):
    mask = sample_exactly((20_000, total), count, rng())
    assert (mask.sum(axis=-1) == count).all()
    share = count / total
    assert np.abs(mask.mean(axis=0) - share).max() < 5 * np.sqrt(share * (1 - share) / 20_000)
    pairs = (mask[:, 0] & mask[:, 1]).mean()
    assert pairs == pytest.approx(share * (count - 1) / (total - 1), abs=5 * np.sqrt(0.25 / 20_000))
