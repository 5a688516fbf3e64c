import numpy as np
import pytest

from motionbert_mm.io.joint_order import implausible_order, plausible_skeletons
from motionbert_mm.structures.skeleton import get_skeleton
from motionbert_mm.structures.skeleton_table import SKELETONS
from tests.io.body import walk_2d

NAMES = list(SKELETONS)
SAME_COUNT = [(claimed, true) for claimed in NAMES for true in NAMES if claimed != true and
              get_skeleton(claimed).num_joints == get_skeleton(true).num_joints]


@pytest.mark.parametrize('azimuth', [0, 45, 90, 180, 250])
@pytest.mark.parametrize('name', NAMES)
def test_true_order_is_plausible(name, azimuth):
    assert implausible_order(walk_2d(name, azimuth=azimuth), get_skeleton(name)) == []


@pytest.mark.parametrize('name', NAMES)
def test_one_pose_is_enough_and_plausible(name):
    assert implausible_order(walk_2d(name, 1), get_skeleton(name)) == []


@pytest.mark.parametrize('claimed, true', SAME_COUNT)
def test_order_of_another_skeleton_is_refused(claimed, true):
    assert implausible_order(walk_2d(true), get_skeleton(claimed))


@pytest.mark.parametrize('true', ['h36m', 'coco17', 'mpii16', 'body25', 'coco18'])
def test_the_right_skeleton_is_found(true):
    assert plausible_skeletons(walk_2d(true)) == [true]


@pytest.mark.parametrize('name', NAMES)
def test_random_orders_are_refused(name):
    rng = np.random.default_rng(0)
    skeleton = get_skeleton(name)
    orders = [rng.permutation(skeleton.num_joints) for _ in range(8)]
    found = [bool(implausible_order(walk_2d(name)[:, order], skeleton)) for order in orders]
    assert sum(found) >= 7  # a few random orders of few joints happen to look like a person


def test_upward_y_axis_is_named():
    points = walk_2d('coco17') * [1, -1] + [0, 1000]
    assert any('y axis' in reason for reason in implausible_order(points, get_skeleton('coco17')))


def test_lying_person_is_plausible():
    assert implausible_order(walk_2d('coco17')[..., ::-1], get_skeleton('coco17')) == []


def test_legs_of_other_sides_are_refused():
    # Some code bases keep the left leg where Human3.6M has the right one, but not the arms.
    order = [0, 4, 5, 6, 1, 2, 3, *range(7, 17)]
    reasons = implausible_order(walk_2d('h36m')[:, order], get_skeleton('h36m'))
    assert any('left and right of the hips' in reason for reason in reasons)


def test_joints_without_confidence_are_not_looked_at():
    points, confidence = walk_2d('coco17'), np.ones((30, 17))
    points[:, [9, 10, 15, 16]], confidence[:, [9, 10, 15, 16]] = 0, 0
    skeleton = get_skeleton('coco17')
    assert implausible_order(points, skeleton, confidence) == []
    assert implausible_order(points, skeleton) != []


def test_too_few_joints_give_no_verdict():
    confidence = np.zeros((30, 17))
    confidence[:, :3] = 1
    rng = np.random.default_rng(0)
    assert implausible_order(rng.random((30, 17, 2)) * 100, get_skeleton('coco17'), confidence) == []


@pytest.mark.filterwarnings('error')
def test_points_on_top_of_each_other_give_no_verdict():
    assert implausible_order(np.full((30, 17, 2), 7.0), get_skeleton('coco17')) == []
