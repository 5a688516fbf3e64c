import pytest

from motionbert_mm.structures import Skeleton, get_skeleton
from motionbert_mm.structures.skeleton_table import EXCEPTIONS, LIMB_JOINTS, SKELETONS

SIZES = {'h36m': 17, 'h36m16': 16, 'coco17': 17, 'halpe26': 26, 'body25': 25, 'coco18': 18, 'mpii16': 16,
         'posetrack18': 17, 'mpi_inf_3dhp28': 28, 'mpi_inf_3dhp17': 17, 'smpl24': 24, 'ntu25': 25, 'blazepose33': 33}
ALL = sorted(SKELETONS)


def test_every_skeleton_has_its_published_size():
    assert {name: get_skeleton(name).num_joints for name in ALL} == SIZES


def test_h36m_facts_of_the_official_code():
    h36m = get_skeleton('h36m')
    assert h36m.parents == (-1, 0, 1, 2, 0, 4, 5, 0, 7, 8, 9, 8, 11, 12, 8, 14, 15)
    assert h36m.left == (4, 5, 6, 11, 12, 13)
    assert h36m.right == (1, 2, 3, 14, 15, 16)
    assert h36m.flip_indices == (0, 4, 5, 6, 1, 2, 3, 7, 8, 9, 10, 14, 15, 16, 11, 12, 13)
    assert h36m.limbs == ((0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (9, 10), (8, 11),
                          (11, 12), (12, 13), (8, 14), (14, 15), (15, 16))


@pytest.mark.parametrize('name, left, right', [
    ('h36m16', (4, 5, 6, 10, 11, 12), (1, 2, 3, 13, 14, 15)),
    ('mpi_inf_3dhp17', (5, 6, 7, 11, 12, 13), (2, 3, 4, 8, 9, 10)),
    ('smpl24', (1, 4, 7, 10, 13, 16, 18, 20, 22), (2, 5, 8, 11, 14, 17, 19, 21, 23)),
])
def test_sides_of_the_official_code(name, left, right):
    assert get_skeleton(name).left == left
    assert get_skeleton(name).right == right


def test_mpm_bones():
    bones = {(0, 1), (1, 2), (2, 3), (0, 4), (4, 5), (5, 6), (0, 7), (7, 8), (8, 9), (8, 10), (10, 11), (11, 12),
             (8, 13), (13, 14), (14, 15)}
    assert set(get_skeleton('h36m16').limbs) == bones


def test_smpl_tree():
    assert get_skeleton('smpl24').parents == (-1, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 9, 9, 12, 13, 14, 16, 17, 18, 19,
                                              20, 21)


@pytest.mark.parametrize('name', ALL)
def test_flip_is_an_involution_that_keeps_the_tree(name):
    skeleton = get_skeleton(name)
    flip = skeleton.flip_indices
    assert [flip[flip[joint]] for joint in range(skeleton.num_joints)] == list(range(skeleton.num_joints))
    assert {(flip[parent], flip[child]) for parent, child in skeleton.limbs} == set(skeleton.limbs)


@pytest.mark.parametrize('name', ALL)
def test_parts_are_mirrored(name):
    skeleton = get_skeleton(name)
    assert set(skeleton.parts) <= {'torso', 'head', 'left_arm', 'right_arm', 'left_leg', 'right_leg'}
    mirrored = {'left_arm': 'right_arm', 'right_arm': 'left_arm', 'left_leg': 'right_leg', 'right_leg': 'left_leg'}
    for part, partner in zip(skeleton.parts, skeleton.flip_indices):
        assert skeleton.parts[partner] == mirrored.get(part, part)
    for joint, part in (('shoulder', 'arm'), ('elbow', 'arm'), ('wrist', 'arm'), ('hip', 'leg'), ('ankle', 'leg')):
        assert skeleton.parts[skeleton.index(f'left_{joint}')] == f'left_{part}'


@pytest.mark.parametrize('name', ALL)
def test_groups_join_parts_and_are_mirrored(name):
    skeleton = get_skeleton(name)
    groups = {group: set(joints) for group, joints in skeleton.groups.items()}
    assert groups['legs'] == groups['left_leg'] | groups['right_leg']
    assert groups['arms'] == groups['left_arm'] | groups['right_arm']
    for side in ('left', 'right'):
        assert groups[f'{side}_side'] == groups[f'{side}_leg'] | groups[f'{side}_arm']
        assert {skeleton.index(f'{side}_{joint}') for joint in ('hip', 'shoulder')} <= groups[f'{side}_side']
    assert {skeleton.flip_indices[joint] for joint in groups['left_side']} == groups['right_side']


@pytest.mark.parametrize('name', ALL)
def test_regions_are_mirrored_and_make_the_body(name):
    skeleton = get_skeleton(name)
    regions = {region: set(joints) for region, joints in skeleton.regions.items()}
    assert all({skeleton.flip_indices[joint] for joint in joints} == joints for joints in regions.values())
    assert regions['upper_body'] ^ regions['lower_body'] == set(range(skeleton.num_joints))
    assert regions['lower_body'] == regions['hips'] | regions['legs'] and not regions['hips'] & regions['legs']
    assert regions['head'] | regions['arms'] <= regions['upper_body']


def test_regions_of_human36m():
    assert get_skeleton('h36m').regions == {
        'upper_body': tuple(range(7, 17)), 'lower_body': tuple(range(7)), 'head': (9, 10),
        'arms': tuple(range(11, 17)), 'legs': (2, 3, 5, 6), 'hips': (0, 1, 4)}


@pytest.mark.parametrize('name', ALL)
def test_every_skeleton_has_all_limb_joints(name):
    assert set(LIMB_JOINTS) <= set(get_skeleton(name).joints)


def test_exceptions_name_real_joints():
    for (source, target), rules in EXCEPTIONS.items():
        for joint, parts in rules.items():
            assert set(parts) <= set(get_skeleton(source).joints)
            assert joint in get_skeleton(target).joints or target == 'h36m16'


def test_unknown_skeleton_lists_the_known_ones():
    with pytest.raises(KeyError, match='coco19.*h36m.*coco17.*skeleton_table'):
        get_skeleton('coco19')


def test_unknown_joint_lists_the_joints():
    with pytest.raises(KeyError, match='neck_base.*thorax'):
        get_skeleton('h36m').index('neck_base')


@pytest.mark.parametrize('joints, parents, message', [
    (('root', 'head'), (1, 0), 'no tree'),
    (('root', 'head'), (-1, -1), 'no tree'),
    (('root', 'spine', 'head'), (-1, 2, 1), 'no tree'),
    (('root', 'left_hip'), (-1, 0), 'left_hip.*partner'),
    (('root', 'root'), (-1, 0), 'distinct'),
])
def test_broken_skeletons_are_refused(joints, parents, message):
    with pytest.raises(ValueError, match=message):
        Skeleton('broken', joints, parents, ('torso',) * len(joints))
