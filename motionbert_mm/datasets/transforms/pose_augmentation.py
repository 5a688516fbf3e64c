"""New poses, bodies and views of the motion at hand."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from motionbert_mm.geometry.bones import bone_vectors
from motionbert_mm.geometry.camera import project
from motionbert_mm.geometry.coords import image_space_3d, image_space_factor
from motionbert_mm.geometry.hinges import HINGES, bends_naturally, trunk_axes
from motionbert_mm.geometry.rotation import axis_angle_to_matrix
from motionbert_mm.registry import TRANSFORMS
from motionbert_mm.structures.skeleton import Skeleton, get_skeleton
from motionbert_mm.structures.skeleton_table import LIMB_JOINTS

# Arrays per frame and joint that go along with the change, or need none.
_HANDLED = ('keypoints_3d', 'keypoints_2d', 'keypoints_image', 'confidence', 'visible')
# Median distance between the 2D input and the projected 3D, in image widths, that no detector explains.
_FOREIGN = 0.1
# Depth in millimetres at which nobody is seen by a camera: the unit is another one.
_CLOSEST = 100.0


@TRANSFORMS.register_module()
class AugmentPose:
    """Change bones, proportions and view of whole samples, and project them anew.

    After PoseAug (Gong et al., CVPR 2021) as MPM uses it on sequences: bone angles, bone lengths, rigid motion of the
    person, one change per sample for all of its frames. Differs from official: the changes are drawn at random within
    limits of plausibility, not by a trained generator; pelvis and trunk turn as one; hands, feet and faces turn with
    the bone they hang on; turns are fixed to the trunk, so that a person who walks round a corner stays the same.

    * Angles: every other bone turns by a rotation of its own; the joints beyond it are carried along, not turned. A
      knee or an elbow that would bend as no human one does (``geometry.hinges``) is drawn anew, and keeps its angle
      if that fails ``tries`` times.
    * Lengths: every bone is stretched by a ratio, the same on the left and on the right. Official: all but the upper
      spine.
    * View: all persons turn about the camera's vertical through the mean of their roots, tilt about a horizontal axis
      through it and move to another place and depth. A view is drawn anew if a joint is too close to the camera, too
      many are outside the image, or somebody is turned upside down (who was not so before). A sample for which that
      fails ``tries`` times stays as it was.

    Stands before ``NormalizeCoords`` and needs true 3D, intrinsics and image size. ``keypoints_2d`` becomes the
    projection; what lay between 2D and projection before (the error of a detector, lens distortion; nothing for exact
    input) is added to it, scaled to the new size of the person, and ``confidence`` stays. Joints with confidence 0 stay
    where they are. Changes ``keypoints_image`` and ``image_factor`` too, where the samples have them.

    Args:
        prob: share of the samples.
        angle: largest rotation of a bone, degrees.
        length: largest change of a bone's length as a share of it. Official: 0.15.
        turn: largest turn about the vertical, degrees; 180 is any direction.
        tilt: largest tilt, degrees.
        depth: lowest and highest ratio of the new to the old depth.
        shift: largest change of the place in the image, share of its width and height.
        inside: least share of the joints of a sample that the image must show.
        nearest: least depth of a joint in millimetres.
        tries: draws for every hinge and for every view.

    Raises:
        ValueError: numbers out of range; when called, no 3D truth, camera or image size, 3D that is not in the frame of
            that camera, a skeleton without pelvis, or arrays that would be left behind.
    """

    reads_all_targets = True

    def __init__(self, *, prob: float = 0.5, angle: float = 20.0, length: float = 0.15, turn: float = 180.0,
                 tilt: float = 15.0, depth: Sequence[float] = (0.8, 1.5), shift: float = 0.2, inside: float = 1.0,
                 nearest: float = 1000.0, tries: int = 8) -> None:
        ranges = dict(prob=(prob, 1.0), angle=(angle, 90.0), length=(length, 0.9), turn=(turn, 180.0),
                      tilt=(tilt, 90.0), shift=(shift, 1.0), inside=(inside, 1.0))
        for name, (value, highest) in ranges.items():
            if not 0.0 <= value <= highest:
                raise ValueError(f'AugmentPose.{name} is {value}, expected a number from 0 to {highest:g}')
        if len(depth) != 2 or not 0.0 < depth[0] <= depth[1] < np.inf or not nearest > 0.0 or tries < 1:
            raise ValueError(f'AugmentPose got depth={tuple(depth)}, nearest={nearest} and tries={tries}; expected a '
                             'pair (low, high) of positive ratios, a positive depth and at least one try')
        self.prob, self.angle, self.length = prob, np.radians(angle), length
        self.turn, self.tilt, self.depth, self.shift = np.radians(turn), np.radians(tilt), tuple(depth), shift
        self.inside, self.nearest, self.tries = inside, nearest, tries

    def __call__(self, results: dict, rng: np.random.Generator) -> dict:
        """Return ``results`` with some samples changed; the others are the same to the bit."""
        _check_fields(results)
        skeleton = get_skeleton(results['skeleton'])
        body = _describe(skeleton)
        rows = np.flatnonzero(rng.random(len(results['keypoints_3d'])) < self.prob)
        if not len(rows):
            return results
        given = {name: value[rows] for name, value in results.items() if isinstance(value, np.ndarray)}
        is_there = given['keypoints_3d'][:, :, :1].any(axis=(2, 3, 4), keepdims=True)  # (B, M, 1, 1, 1)
        before = _stand_in(given['keypoints_3d'], is_there)
        _check_geometry(before, given, [results['sample_id'][row] for row in rows])
        after = self._change_body(before, body, rng)
        after, is_plausible = self._change_view(after, body, given['intrinsics'], given['image_size'], rng)
        replaced = dict(results)
        for name, values in _follow(before, after, given, body.root).items():
            kept = np.where(is_there.reshape(is_there.shape[:2] + (1,) * (values.ndim - 2)), values, given[name])
            replaced[name] = results[name].copy()
            replaced[name][rows[is_plausible]] = kept[is_plausible]
        return replaced

    def _change_body(self, points: np.ndarray, body: _Body, rng: np.random.Generator) -> np.ndarray:
        """Turn and stretch the bones of (B, M, T, J, 3); the root stays where it is."""
        flat = points.reshape(-1, *points.shape[2:])  # (N, T, J, 3), N = B * M
        bones = bone_vectors(flat, body.limbs)  # (N, T, L, 3)
        if self.angle:
            axes = trunk_axes(*(tuple(flat[..., joint, :] for joint in pair) for pair in (body.hips, body.shoulders)))
            bones = bones @ axes.swapaxes(-1, -2)
            turns = self._draw_turns(bones, body, rng).astype(flat.dtype)
            bones = (bones.swapaxes(1, 2) @ turns.swapaxes(-1, -2)).swapaxes(1, 2) @ axes
        ratios = rng.uniform(1 - self.length, 1 + self.length, (len(flat), len(body.limbs)))[:, body.pairs]
        bones = bones * ratios[:, None, :, None].astype(flat.dtype)
        changed = flat[..., body.root:body.root + 1, :] + body.chains.astype(flat.dtype) @ bones
        return changed.reshape(points.shape)

    def _draw_turns(self, bones: np.ndarray, body: _Body, rng: np.random.Generator) -> np.ndarray:
        """Draw rotations (N, L, 3, 3) of bones (N, T, L, 3) in trunk axes."""
        turns = self._draw_rotations((len(bones), len(body.limbs)), rng)
        turns[:, body.fixed] = np.eye(3)
        is_wrong = np.ones((len(bones), len(body.uppers)), bool)
        for attempt in range(self.tries):
            person, hinge = np.nonzero(is_wrong)
            ends = body.uppers[hinge], body.lowers[hinge]
            if attempt:
                for bone in ends:
                    turns[person, bone] = self._draw_rotations(person.shape, rng)
            before = tuple(_unit(bones[person, :, bone]) for bone in ends)  # each (K, T, 3)
            after = tuple(old @ turns[person, bone].swapaxes(-1, -2).astype(old.dtype)
                          for old, bone in zip(before, ends))
            is_natural = bends_naturally(before, after, body.forward[hinge, None], body.twist[hinge, None])
            is_wrong[person, hinge] = ~is_natural.all(axis=1)
            if not is_wrong.any():
                break
        person, hinge = np.nonzero(is_wrong)
        turns[person, body.uppers[hinge]] = turns[person, body.lowers[hinge]] = np.eye(3)
        return turns[:, body.turned_with]

    def _draw_rotations(self, shape: tuple, rng: np.random.Generator) -> np.ndarray:
        """Draw rotation matrices (*shape, 3, 3), uniform in the ball of rotation vectors up to ``angle``."""
        vectors = rng.standard_normal((*shape, 3))
        sizes = self.angle * np.cbrt(rng.random((*shape, 1)))
        return axis_angle_to_matrix(_unit(vectors) * sizes)

    def _change_view(self, points: np.ndarray, body: _Body, camera: np.ndarray, size: np.ndarray,
                     rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Turn and move (B, M, T, J, 3); also return (B,) bool, whether a plausible view was found."""
        changed, is_plausible = points.copy(), np.zeros(len(points), bool)
        centre = points[..., body.root, :].mean(axis=(1, 2), dtype=np.float64)  # (B, 3)
        for _ in range(self.tries):
            todo = np.flatnonzero(~is_plausible)
            if not len(todo):
                break
            moved = self._draw_view(points[todo], centre[todo], camera[todo], size[todo], rng)
            is_good = self._is_shown(moved, camera[todo], size[todo]) & _is_upright(points[todo], moved, body)
            changed[todo[is_good]], is_plausible[todo[is_good]] = moved[is_good], True
        return changed, is_plausible

    def _draw_view(self, points: np.ndarray, centre: np.ndarray, camera: np.ndarray, size: np.ndarray,
                   rng: np.random.Generator) -> np.ndarray:
        """Turn points (B, M, T, J, 3) about a centre (B, 3) and bring it to another place."""
        turn, tilt = (rng.uniform(-limit, limit, len(points)) for limit in (self.turn, self.tilt))
        towards, still = rng.uniform(0, np.pi, len(points)), np.zeros(len(points))
        rotation = (axis_angle_to_matrix(np.stack([tilt * np.cos(towards), still, tilt * np.sin(towards)], -1)) @
                    axis_angle_to_matrix(np.stack([still, turn, still], -1)))
        depth = centre[:, 2:] * rng.uniform(*self.depth, (len(points), 1))
        place = project(centre, camera) + rng.uniform(-self.shift, self.shift, (len(points), 2)) * size
        target = np.concatenate([(place - camera[:, 2:]) / camera[:, :2] * depth, depth], -1)
        centre, target = (vector[:, None, None, None].astype(points.dtype) for vector in (centre, target))
        shape = len(points), -1, 3
        turned = (points - centre).reshape(shape) @ rotation.swapaxes(-1, -2).astype(points.dtype)
        return turned.reshape(points.shape) + target

    def _is_shown(self, points: np.ndarray, camera: np.ndarray, size: np.ndarray) -> np.ndarray:
        """Tell (B,) whether points (B, M, T, J, 3) are far enough away and in the image."""
        is_far = points[..., 2].min(axis=(1, 2, 3)) >= self.nearest
        pixels = project(np.where(is_far[:, None, None, None, None], points, np.ones(3, points.dtype)), camera)
        x, y = pixels[..., 0], pixels[..., 1]
        width, height = size.T[..., None, None, None]
        is_inside = (x >= 0) & (x <= width) & (y >= 0) & (y <= height)
        return is_far & (is_inside.mean(axis=(1, 2, 3)) >= self.inside)


@dataclass(frozen=True)
class _Body:
    """What a skeleton says about its L bones; bones are named by the joint in which they end."""

    root: int
    limbs: tuple[tuple[int, int], ...]
    chains: np.ndarray  # (J, L), 1 where the bone lies between root and joint
    pairs: np.ndarray  # (L,) bone whose ratio a bone shares: left and right share one
    fixed: np.ndarray  # (L,) bool, bones of pelvis and trunk
    turned_with: np.ndarray  # (L,) bone whose rotation a bone takes
    uppers: np.ndarray  # (H,) bones above the hinges
    lowers: np.ndarray  # (H,) bones below them
    forward: np.ndarray  # (H,), see ``Hinge``
    twist: np.ndarray  # (H,) degrees
    hips: list[int]  # left and right joint
    shoulders: list[int]
    ankles: list[int]


@cache
def _describe(skeleton: Skeleton) -> _Body:
    if skeleton.joints[skeleton.root] != 'root':
        raise ValueError(f'AugmentPose needs a skeleton that hangs from its pelvis; the root of {skeleton.name!r} is '
                         f"{skeleton.joints[skeleton.root]!r}. Put ConvertSkeleton(target='h36m') before it")
    bone = {child: number for number, (_, child) in enumerate(skeleton.limbs)}
    leaders = [_leader(child, skeleton) for _, child in skeleton.limbs]
    chains = np.zeros((skeleton.num_joints, len(bone)))
    for joint in range(skeleton.num_joints):
        above = joint
        while above != skeleton.root:
            chains[joint, bone[above]] = 1.0
            above = skeleton.parents[above]
    hinges = [(bone[skeleton.index(f'{side}_{joint}')], bone[skeleton.index(f'{side}_{hinge.end}')],
               hinge.forward, hinge.twist) for side in ('left', 'right') for joint, hinge in HINGES.items()]
    uppers, lowers, forward, twist = (np.array(column) for column in zip(*hinges))
    sides = {f'{joint}s': [skeleton.index(f'{side}_{joint}') for side in ('left', 'right')]
             for joint in ('hip', 'shoulder', 'ankle')}
    return _Body(root=skeleton.root, limbs=skeleton.limbs, chains=chains,
                 pairs=np.array([min(number, bone[skeleton.flip_indices[child]]) for child, number in bone.items()]),
                 fixed=np.array([leader == skeleton.root for leader in leaders]),
                 turned_with=np.array([bone.get(leader, number) for number, leader in enumerate(leaders)]),
                 uppers=uppers, lowers=lowers, forward=forward.astype(np.float32), twist=twist.astype(np.float32),
                 **sides)


def _leader(joint: int, skeleton: Skeleton) -> int:
    """Return the joint whose bone's rotation the bone of ``joint`` takes; the root for bones that keep still."""
    name = skeleton.joints[joint]
    if skeleton.parts[joint] == 'torso' or name.endswith('_hip'):
        return skeleton.root
    is_sided = skeleton.flip_indices[joint] != joint
    if is_sided and name not in LIMB_JOINTS:  # collar bones, hands, feet, eyes and ears
        return _leader(skeleton.parents[joint], skeleton)
    return joint


def _check_fields(results: dict) -> None:
    """Refuse samples that lack what is needed, or hold what would be left behind."""
    hints = dict(keypoints_3d="set targets=('keypoints_3d',) of the data set",
                 intrinsics='the converter must know the camera; motion without one is for OrthographicView',
                 image_size='give it to the converter')
    for name, hint in hints.items():
        if name not in results:
            raise ValueError(f"sample {results['sample_id'][0]!r} has no {name}, which AugmentPose needs; {hint}")
    per_joint = [name for name, value in results.items() if isinstance(value, np.ndarray) and value.ndim >= 4]
    left = sorted(set(per_joint) - set(_HANDLED))
    if left:
        raise ValueError(f'AugmentPose would leave {", ".join(left)} of the samples as it was while the pose changes; '
                         'move it to the front of the pipeline, or leave these arrays out of the targets of the data '
                         'set')


def _check_geometry(points: np.ndarray, given: dict, names: Sequence[str]) -> None:
    """Refuse 3D (B, M, T, J, 3) that cannot be what the camera of the samples saw."""
    wanted = 'AugmentPose needs millimetres in the frame of a camera with these intrinsics; convert again'
    depth = points[..., 2]
    is_seen = (depth.min(axis=(1, 2, 3)) > 0) & (depth.max(axis=(1, 2, 3)) >= _CLOSEST)  # False for NaN too
    if not is_seen.all():
        raise ValueError(f'keypoints_3d of sample {names[is_seen.argmin()]!r} has joints behind the camera, all joints '
                         f'nearer than {_CLOSEST:g} mm, or NaN. {wanted}')
    if 'keypoints_2d' not in given:
        return
    first = points[:, :1, 0]  # another frame or unit shows in any frame of all samples
    distance = np.linalg.norm(given['keypoints_2d'][:, :1, 0] - project(first, given['intrinsics']), axis=-1)
    distance = (distance / given['image_size'][:, :1, None])[given['confidence'][:, :1, 0] > 0]
    if len(distance) and not np.median(distance) <= _FOREIGN:
        raise ValueError(f'keypoints_2d of sample {names[0]!r} and others lies {np.median(distance):.2g} image widths '
                         f'(median) from the projection of keypoints_3d. {wanted}')


def _stand_in(points: np.ndarray, is_there: np.ndarray) -> np.ndarray:
    """Put the first person in the place of absent ones, which are all zero."""
    return points if is_there.all() else np.where(is_there, points, points[:, :1])


def _is_upright(before: np.ndarray, after: np.ndarray, body: _Body) -> np.ndarray:
    """Tell (B,) whether nobody's shoulders came to lie below the feet, or further below than they were."""
    heights = [points[..., body.ankles, 1].sum(axis=-1) - points[..., body.shoulders, 1].sum(axis=-1)
               for points in (before, after)]  # (B, M, T); y points down
    return (heights[1] >= np.minimum(heights[0], 0)).all(axis=(1, 2))


def _follow(before: np.ndarray, after: np.ndarray, given: dict, root: int) -> dict:
    """Return the arrays of the samples that follow from the change of 3D points (B, M, T, J, 3)."""
    changed, camera = {'keypoints_3d': after}, given['intrinsics']
    if 'keypoints_2d' in given:
        points, scale = given['keypoints_2d'], before[..., root, 2] / after[..., root, 2]
        error = (points - project(before, camera)) * scale[..., None, None]
        is_seen = given['confidence'][..., None] > 0
        changed['keypoints_2d'] = np.where(is_seen, project(after, camera) + error, points)
    if 'keypoints_image' in given:
        changed['keypoints_image'] = image_space_3d(after, camera, root)
    if 'image_factor' in given:
        changed['image_factor'] = image_space_factor(after[..., root, 2], camera)
    return changed


def _unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors (..., 3) to length one; zero stays zero."""
    return vectors / np.maximum(np.linalg.norm(vectors, axis=-1, keepdims=True), np.finfo(vectors.dtype).tiny)
