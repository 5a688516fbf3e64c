"""Walking and running of the synthetic data set: foot steps planted along a path, the rest moves above them."""
from __future__ import annotations

from dataclasses import dataclass
from typing import Callable

import numpy as np

from motionbert_mm.datasets.synthetic_rig import Arm, Foot, Tracks
from motionbert_mm.datasets.synthetic_tracks import Scene, Stepping, angled_arm, step_foot

GRAVITY = 9810.0  # mm / s^2
PATH_RADIUS = 1150.0  # mm, how far from the origin a path leads


def walk(scene: Scene) -> tuple:
    """Walk along a line or a circle."""
    rng = scene.rng
    speed = 1.05 * scene.body.leg * scene.pace  # mm / s
    stride = 1.15 / scene.pace**0.55
    gait = Gait(stride=stride, stance=0.62, lead=0.0, width=rng.uniform(120, 190), ahead=45.0, bounce=18.0,
                low=-8.0, twist=0.08 * scene.pace,
                stepping=Stepping(off=0.85 + 0.15 * scene.pace, strike=-0.3, rise=0.30 * stride, roll=0.09 * stride,
                                  clearance=30.0, peak=0.4),
                lean=rng.uniform(0.0, 0.1), arm=rng.uniform(0.28, 0.5) * scene.pace,
                elbow=rng.uniform(0.25, 0.5))
    path, where = _path(scene, speed, limit=0.25)
    return walk_along(scene, path, gait), [
        f'a person walks {where}', f'someone is walking {where}', f'a person strolls {where}'
        if scene.pace < 0.9 else f'a person is walking {where}']


def run(scene: Scene) -> tuple:
    """Run along a circle, a short line or on the spot."""
    rng = scene.rng
    speed = 2.05 * scene.body.leg * scene.pace
    stride = 0.72 / scene.pace**0.4
    on_spot = rng.uniform() < 0.2
    path, where = _path(scene, 0.0 if on_spot else speed, limit=0.42)
    gait = Gait(stride=stride, stance=0.34, lead=0.42 if on_spot else 0.2, width=rng.uniform(90, 140),
                ahead=90.0 if on_spot else 40.0, bounce=25.0, low=-35.0 if on_spot else -52.0, twist=0.12,
                stepping=Stepping(off=0.95, strike=-0.06, rise=0.28 * stride, roll=0.05 * stride,
                                  clearance=rng.uniform(200, 320), peak=0.42),
                lean=0.04 if on_spot else rng.uniform(0.1, 0.2), arm=rng.uniform(0.45, 0.75),
                elbow=rng.uniform(1.35, 1.7))
    return walk_along(scene, path, gait), [
        f'a person runs {where}', f'someone is running {where}', f'a person jogs {where}']


def _path(scene: Scene, speed: float, limit: float) -> tuple:
    """Return a path at ``speed`` mm/s that stays near the origin, and words for it."""
    if speed == 0.0:
        return (lambda time: (0.0 * time, 0.0 * time, 0.0 * time)), 'on the spot'
    length = speed * scene.duration
    if length < 2.2 * PATH_RADIUS and scene.rng.uniform() < 0.75:
        middle = scene.duration / 2
        return (lambda time: (speed * (time - middle), 0.0 * time, 0.0 * time)), 'straight ahead'
    # The centrifugal force must stay below ``limit`` of the weight.
    smallest = max(speed**2 / (limit * GRAVITY), 0.55 * PATH_RADIUS)
    radius = scene.rng.uniform(min(smallest, PATH_RADIUS), PATH_RADIUS)
    if smallest > PATH_RADIUS:
        speed = np.sqrt(limit * GRAVITY * radius)
    start = scene.rng.uniform(0, 2 * np.pi)

    def circle(time: np.ndarray) -> tuple:
        angle = start - speed * time / radius
        return radius * np.cos(angle), radius * np.sin(angle), angle - np.pi / 2

    turned = speed * scene.duration / radius
    shape = 'in a circle' if turned > 1.7 * np.pi else 'along a curve'
    return circle, f'{shape} to the {scene.side}'


@dataclass(frozen=True)
class Gait:
    """Numbers of a walk or a run.

    Attributes:
        stride: seconds from one landing of a foot to its next.
        stance: share of the stride that a foot is on the floor.
        lead: share of the stride by which a knee is in front before its foot lands; arms and pelvis follow the knees.
        width: distance between the feet, mm.
        ahead: mm, how far in front of the hips the ball of the foot is in the middle of its stance.
        stepping: of the feet.
        bounce: mm, amplitude of the hips; ``low`` is their height relative to a stand.
        twist: rad, amplitude of the pelvis; the chest turns against it.
        lean: rad, trunk forward.
        arm: rad, amplitude of the swing; ``elbow`` its mean bend.
    """

    stride: float
    stance: float
    lead: float
    width: float
    ahead: float
    stepping: Stepping
    bounce: float
    low: float
    twist: float
    lean: float
    arm: float
    elbow: float


def walk_along(scene: Scene, path: Callable, gait: Gait) -> Tracks:
    """Make a walk or run.

    Args:
        scene: time, body and draws.
        path: maps times (N,) to x, y in mm and heading in rad; needed a little before and after the clip too.
        gait: its numbers.
    """
    start = scene.rng.uniform() * gait.stride
    feet = tuple(_gait_foot(scene, path, gait, start + gait.stride * half, side)
                 for half, side in ((0.0, 1), (0.5, -1)))
    x, y, heading = path(scene.time)
    phase = 2 * np.pi * (scene.time - start) / gait.stride  # 0 where the left foot lands
    middle = np.pi * gait.stance  # middle of the left stance
    change = np.array(path(scene.time + 0.01)) - np.array(path(scene.time - 0.01))
    speed, turning = np.hypot(change[0], change[1]) / 0.02, change[2] / 0.02
    tilt = np.arctan(speed * turning / GRAVITY)  # into the curve, left is positive
    sideways = 0.12 * gait.width * np.cos(phase - middle) + 0.75 * scene.body.stand * np.tan(tilt)
    hips = np.stack([x - np.sin(heading) * sideways, y + np.cos(heading) * sideways,
                     scene.body.stand + gait.low - gait.bounce * _step_wave(phase, middle, gait)], axis=-1)
    hips += scene.sway(1.0) * [6.0, 6.0, 1.0]
    swing = np.cos(phase + 2 * np.pi * gait.lead)
    pelvis = np.stack([np.full_like(x, 0.3 * gait.lean), 0.055 * np.cos(phase - middle) - 0.7 * tilt,
                       -gait.twist * swing], axis=-1)
    trunk = np.stack([0.7 * gait.lean + 0.02 * np.cos(2 * phase), -0.6 * pelvis[:, 1],
                      2.0 * gait.twist * swing], axis=-1)
    head = np.stack([-0.8 * gait.lean - 0.02 * np.cos(2 * phase), 0.3 * tilt, -gait.twist * swing], axis=-1)
    sag = scene.rng.normal(0.0, 0.04, 3)
    arms = tuple(_gait_arm(scene, gait, -side * swing) for side in (1, -1))
    return Tracks(hips=hips, heading=heading, pelvis=pelvis + scene.sway(0.015), trunk=trunk + sag + scene.sway(0.02),
                  head=head + scene.sway(0.1, fastest=0.4), arms=arms, feet=feet)


def _step_wave(phase: np.ndarray, middle: float, gait: Gait) -> np.ndarray:
    """Return -1..1, twice a stride: a walker is lowest on both feet, a runner in the middle of the stance."""
    return np.cos(2 * (phase - middle)) * (-1.0 if gait.stance > 0.5 else 1.0)


def _gait_foot(scene: Scene, path: Callable, gait: Gait, first: float, side: int) -> Foot:
    count = int(np.ceil(scene.duration / gait.stride)) + 4
    lands = first + gait.stride * (np.arange(count) - 3)
    x, y, heading = path(lands + gait.stance * gait.stride / 2)
    toe_out = 0.12 if gait.stance > 0.5 else 0.05
    across = side * gait.width / 2
    places = np.stack([x + np.cos(heading) * gait.ahead - np.sin(heading) * across,
                       y + np.sin(heading) * gait.ahead + np.cos(heading) * across, heading + side * toe_out], axis=-1)
    leaves = lands + gait.stance * gait.stride
    steps = np.column_stack([leaves[:-1], lands[1:], places[1:]])
    return step_foot(scene, places[0], steps, gait.stepping)


def _gait_arm(scene: Scene, gait: Gait, forward: np.ndarray) -> Arm:
    """Swing an arm; ``forward`` (T,) is 1 where it is in front."""
    spread = 0.14 + scene.rng.normal(0.0, 0.03)
    elbow = gait.elbow + 0.55 * gait.arm * forward
    return angled_arm(scene.body, gait.arm * forward + 0.06 - 0.12 * (gait.elbow - 0.3), spread, -0.25, elbow)
