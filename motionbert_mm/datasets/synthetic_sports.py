"""Sporting actions of the synthetic data set: jump, squat, punch, kick and throw.

Like all actions they are written for somebody who starts near the origin, faces +X and prefers the right side.
"""
from __future__ import annotations

from dataclasses import replace

import numpy as np

from motionbert_mm.datasets.synthetic_gait import GRAVITY
from motionbert_mm.datasets.synthetic_rig import SMPL, Arm, Foot, Tracks
from motionbert_mm.datasets.synthetic_tracks import (
    Scene,
    Stepping,
    angled_arm,
    blend,
    ease,
    flat_ball,
    hanging,
    keyframes,
    roll_foot,
    stand,
    step_foot,
)

_COUNTS = {1: 'once', 2: 'twice', 3: 'three times'}
_GUARD_HEADING = -0.45  # rad, a boxer stands half sideways


def jump(scene: Scene) -> tuple:
    """Jump with both feet, up or forward; the flight is that of a thrown body."""
    rng, body = scene.rng, scene.body
    base = stand(scene, width=40.0)
    flight = rng.uniform(0.36, 0.5) * (0.75 + 0.25 * scene.pace)
    depth, absorb, rise = rng.uniform(0.22, 0.3) * body.leg, rng.uniform(0.16, 0.24) * body.leg, 0.06 * body.leg
    speed = GRAVITY * flight / 2  # at take-off and landing
    # Constant thrust from the lowest point to the take-off, and again after the landing.
    parts = [0.55 / scene.pace, 2 * (depth + rise) / speed, flight, 2 * (absorb + rise) / speed, 0.5 / scene.pace, 0.1]
    low, leave, land, stop, end, length = marks = np.cumsum(parts)
    starts = scene.events(length)
    local = scene.progress(starts, length) * length
    crouch = keyframes(local, (0, 0), (low, 1), (leave, 0), (land, 0.05), (stop, 0.7), (end, 0), (length, 0))
    stride = rng.uniform(150.0, 500.0) if rng.uniform() < 0.5 and len(starts) <= 3 else 0.0
    carried = ease((scene.time[:, None] - starts - low) / (stop - low)).sum(axis=1) - len(starts) / 2
    hips = base.hips + np.stack([stride * carried - 70.0 * crouch, 0.0 * crouch,
                                 _jump_height(local, marks, (depth, absorb, rise), speed)], axis=-1)
    in_flight = (scene.time[:, None] - starts - leave) / flight
    forward = stride * (ease(in_flight).sum(axis=1) - len(starts) / 2)
    feet = tuple(_jumping_foot(scene, foot, forward, in_flight, local, marks) for foot in base.feet)
    raise_ = keyframes(local, (0, 0.05), (0.85 * low, -0.55), (leave + 0.12, rng.uniform(0.7, 2.3)), (stop, 0.35),
                       (end, 0.05), (length, 0.05))
    elbow = keyframes(local, (0, 0.28), (low, 0.35), (leave, 0.6), (stop, 0.7), (end, 0.28), (length, 0.28))
    arms = tuple(angled_arm(body, raise_ + scene.sway(0.03, 1)[:, 0], 0.18 + 0.1 * np.maximum(raise_, 0), -0.1, elbow)
                 for _ in feet)
    tracks = replace(base, hips=hips, feet=feet, arms=arms, pelvis=base.pelvis + crouch[:, None] * [0.4, 0.0, 0.0],
                     trunk=base.trunk + crouch[:, None] * [0.28, 0.0, 0.0],
                     head=base.head - crouch[:, None] * [0.4, 0.0, 0.0])
    how = f'{"forward" if stride else "up"} {_COUNTS.get(len(starts), "several times")}'
    return tracks, [f'a person jumps {how}', f'someone jumps {how} with both feet',
                    f'a person bends the knees and jumps {how}']


def _jump_height(local: np.ndarray, marks: np.ndarray, way: tuple, speed: float) -> np.ndarray:
    """Return the hips (T,) relative to a stand, mm; ``way`` is (depth before, depth after, rise at take-off)."""
    low, leave, land, stop, end, _ = marks
    depth, absorb, rise = way
    push, brake, air = leave - low, stop - land, local - leave
    return np.select([local < low, local < leave, local < land, local < stop], [
        -depth * ease(local / low),
        -depth + speed / (2 * push) * np.square(local - low),
        rise + speed * air * (1 - air / (land - leave)),
        -absorb + speed / (2 * brake) * np.square(stop - local),
    ], default=-absorb * (1 - ease((local - stop) / (end - stop))))


def _jumping_foot(scene: Scene, foot: Foot, forward: np.ndarray, in_flight: np.ndarray, local: np.ndarray,
                  marks: np.ndarray) -> Foot:
    low, leave, land, stop, _, length = marks
    height = GRAVITY * (land - leave)**2 / 8 + scene.rng.uniform(90, 170)  # the knees are drawn up a little
    arc = np.maximum(4 * in_flight * (1 - in_flight), 0.0)**1.35  # a parabola that starts and ends without a jerk
    shift = np.stack([forward, 0.0 * forward, height * arc.sum(axis=1)], axis=-1)
    pitch = keyframes(local, (0, 0), (low + 0.3 * (leave - low), 0), (leave + 0.04, 1.05), (land, 0.75),
                      (land + 0.5 * (stop - land), 0), (length, 0))
    is_up = ((in_flight > 0) & (in_flight < 1)).any(axis=1)
    return replace(roll_foot(foot, scene.body, pitch, shift), contact=~is_up)


def squat(scene: Scene) -> tuple:
    """Bend the knees deeply, arms forward, and come up again."""
    rng, body = scene.rng, scene.body
    base = stand(scene, width=rng.uniform(120, 220), toe_out=rng.uniform(0.3, 0.5))
    length = 2.3 / scene.pace
    starts = scene.events(length)
    down = keyframes(scene.progress(starts, length), (0, 0), (rng.uniform(0.38, 0.45), 1),
                     (rng.uniform(0.5, 0.58), 0.97), (0.96, 0), (1, 0))
    depth = rng.uniform(0.36, 0.48) * body.leg
    bend = rng.uniform(0.35, 0.6)
    reach = np.array([rng.uniform(1.2, 1.5) + bend, -0.08, 0.1, -0.13])  # change of the angles of a hanging arm
    arms = tuple(angled_arm(body, *(hanging(scene) + down[:, None] * reach).T) for _ in base.arms)
    tracks = replace(base, hips=base.hips + down[:, None] * [-0.5 * depth, 0.0, -depth], arms=arms,
                     pelvis=base.pelvis + down[:, None] * [bend, 0.0, 0.0],
                     trunk=base.trunk + down[:, None] * [0.15, 0.0, 0.0],
                     head=base.head - down[:, None] * [0.5, 0.0, 0.0])
    return tracks, [f'a person squats {_COUNTS.get(len(starts), "several times")}',
                    'someone squats down and stands up again, arms stretched forward',
                    'a person bends the knees deeply and comes up again']


def punch(scene: Scene) -> tuple:
    """Box with one hand or both in turn; the chest turns into every punch."""
    rng = scene.rng
    base, guard = _guard(scene)
    length = 0.62 / scene.pace
    style = ('both', 'lead', 'rear')[rng.integers(3)]
    starts = scene.events(length)
    is_lead = np.arange(len(starts)) % 2 == 0 if style == 'both' else np.full(len(starts), style == 'lead')
    arms, twist = list(guard), np.zeros(len(scene.time))
    for hand, chosen, angle in ((0, is_lead, -0.3), (1, ~is_lead, 0.75)):
        if not chosen.any():
            continue
        phase = scene.progress(starts[chosen], length)
        out = keyframes(phase, (0, 0), (0.12, 0), (0.42, 1), (0.5, 1), (0.92, 0), (1, 0))[:, None]
        twist = twist + angle * keyframes(phase, (0, 0), (0.14, -0.2), (0.42, 1), (0.5, 1), (0.95, 0), (1, 0))
        # The chest is turned by heading and twist; the fist goes straight ahead in the world.
        yaw = (_GUARD_HEADING + angle) * (1 if hand == 0 else -1)
        aim = scene.body.arm * 1.02 * np.array([-np.sin(yaw), rng.uniform(-0.05, 0.18), np.cos(yaw)])
        arms[hand] = Arm(guard[hand].wrist * (1 - out) + aim * out, guard[hand].pole + out * [0.3, 0.0, -0.2])
    turn, effort = twist[:, None] * [0.0, 0.0, 1.0], np.abs(twist)[:, None]
    tracks = replace(base, hips=base.hips + effort * [55.0, 0.0, -12.0], arms=tuple(arms),
                     pelvis=base.pelvis + 0.35 * turn, trunk=base.trunk + 0.65 * turn + effort * [0.1, 0.0, 0.0],
                     head=base.head - 0.9 * turn)
    alone = style != 'both' or len(starts) == 1
    hands = f'the {scene.other if is_lead[0] else scene.side} hand' if alone else 'both hands in turn'
    return tracks, [f'a person throws {"punches" if len(starts) > 1 else "a punch"} with {hands}',
                    f'someone boxes, punching with {hands}', f'a person in a fighting stance punches with {hands}']


def _guard(scene: Scene) -> tuple:
    """Return a fighting stance, left foot and hand in front, and the two guarding arms."""
    base = stand(scene, width=80.0, lead=scene.rng.uniform(280, 380), toe_out=0.0)
    bob = 8.0 * np.sin(2 * np.pi * 1.6 * scene.time + scene.rng.uniform(0, 2 * np.pi))
    hips = base.hips + (bob - 45.0)[:, None] * [0.0, 0.0, 1.0]
    pole = np.tile([0.5, -1.0, -0.1], (len(bob), 1))
    arms = [Arm(scene.body.arm * np.array(place) + scene.sway(12.0), pole)
            for place in ((-0.08, -0.02, 0.52), (-0.08, -0.06, 0.42))]
    return replace(base, hips=hips, heading=np.full(len(bob), _GUARD_HEADING),
                   head=base.head + [0.05, 0.0, -_GUARD_HEADING]), arms


def kick(scene: Scene) -> tuple:
    """Swing the right leg back and kick forward, standing on the left."""
    rng, body = scene.rng, scene.body
    base = stand(scene, lead=rng.uniform(40, 120), toe_out=0.12)
    length = 1.5 / scene.pace
    starts = scene.events(length)
    phase = scene.progress(starts, length)
    weight = keyframes(phase, (0, 0), (0.24, 1), (0.74, 1), (0.98, 0), (1, 0))[:, None]  # on the left leg
    hips = base.hips + weight * [20.0, 0.75 * base.feet[0].ankle[0, 1], -22.0]
    kicking = _kicking_foot(base.feet[1], scene, hips, phase, rng.uniform(1.0, 1.75))
    back = keyframes(phase, (0, 0), (0.3, 0.15), (0.53, -0.3), (0.8, 0), (1, 0))
    balance = keyframes(phase, (0, 0), (0.32, 1), (0.55, 0.7), (0.9, 0), (1, 0))
    arms = (blend(base.arms[0], angled_arm(body, 0.9 * balance, 0.5, 0.0, 0.5), balance),
            blend(base.arms[1], angled_arm(body, -0.5 * balance, 0.7, 0.0, 0.6), balance))
    tracks = replace(base, hips=hips, feet=(base.feet[0], kicking), arms=arms, head=base.head + [0.12, 0.0, 0.0],
                     pelvis=base.pelvis + back[:, None] * [0.6, 0.0, -0.2] + weight * [0.0, 0.02, 0.0],
                     trunk=base.trunk + np.abs(back)[:, None] * [0.5, 0.0, 0.0] + back[:, None] * [0.0, 0.0, 0.5])
    return tracks, [f'a person kicks with the {scene.side} foot',
                    f'someone swings the {scene.side} leg and kicks forward',
                    f'a person does {"kicks" if len(starts) > 1 else "a kick"} with the {scene.side} leg']


def _kicking_foot(foot: Foot, scene: Scene, hips: np.ndarray, phase: np.ndarray, high: float) -> Foot:
    """Return the foot of the leg that swings up to the angle ``high``, rad from straight down."""
    body = scene.body
    angle = keyframes(phase, (0, 0), (0.12, -0.1), (0.32, -0.65), (0.52, high), (0.57, high), (0.8, 0.1), (1, 0))
    reach = body.leg * keyframes(phase, (0, 0.95), (0.12, 0.93), (0.32, 0.83), (0.42, 0.84), (0.52, 0.985),
                                 (0.57, 0.98), (0.78, 0.8), (1, 0.95))
    side = body.offsets[SMPL.index('right_hip')][0]
    hung = hips + np.stack([reach * np.sin(angle), side + 0.0 * angle, -reach * np.cos(angle)], axis=-1)
    tip = keyframes(phase, (0, 0), (0.1, 0.1), (0.32, 1.1), (0.52, 0.45 - high), (0.57, 0.45 - high), (0.8, 0.15),
                    (0.96, 0), (1, 0))
    lifted = keyframes(phase, (0, 0), (0.1, 0), (0.3, 1), (0.72, 1), (0.96, 0), (1, 0))
    planted = roll_foot(foot, body, tip * (1 - lifted)).ankle
    ankle = planted + lifted[:, None] * (hung - planted)
    return replace(foot, ankle=ankle, pitch=tip, contact=(phase < 0.1) | (phase > 0.96))


def throw(scene: Scene) -> tuple:
    """Throw overarm with the right hand, stepping forward with the left foot."""
    base = stand(scene, lead=120.0, width=60.0, toe_out=0.12)
    length = 1.75 / scene.pace
    starts = scene.events(length)
    phase = scene.progress(starts, length)
    point = keyframes(phase, (0, 0), (0.28, 1), (0.4, 0.9), (0.62, 0), (1, 0))
    arms = (blend(base.arms[0], angled_arm(scene.body, 1.35, 0.55, 0.0, 0.35), point), _throwing_arm(scene, phase))
    step = scene.rng.uniform(220, 340)
    heel = keyframes(phase, (0, 0), (0.42, 0), (0.56, 0.7), (0.7, 0.7), (0.92, 0), (1, 0))
    feet = (_striding_foot(base, scene, starts, length, step), roll_foot(base.feet[1], scene.body, heel))
    forward = keyframes(phase, (0, 0), (0.26, -0.55), (0.54, 1), (0.66, 1), (0.96, 0), (1, 0))[:, None]
    bent = keyframes(phase, (0, 0), (0.36, -0.12), (0.62, 0.45), (0.95, 0), (1, 0))
    side = keyframes(phase, (0, 0), (0.34, 0.16), (0.55, -0.22), (0.9, 0), (1, 0))
    twist = keyframes(phase, (0, 0), (0.3, -1.0), (0.36, -1.0), (0.54, 0.75), (0.62, 0.9), (0.95, 0), (1, 0))
    angles = np.stack([bent, side, twist], axis=-1)
    tracks = replace(base, hips=base.hips + forward * [0.5 * step, 0.0, -35.0], feet=feet, arms=arms,
                     pelvis=base.pelvis + angles * [0.4, 0.0, 0.45], trunk=base.trunk + angles * [0.6, 1.0, 0.55],
                     head=base.head - angles * [0.3, 0.5, 0.8])
    return tracks, [f'a person throws something with the {scene.side} hand',
                    f'someone throws a ball overarm with the {scene.side} hand',
                    f'a person swings the {scene.side} arm back and throws forward']


def _throwing_arm(scene: Scene, phase: np.ndarray) -> Arm:
    """Draw the hand back by turning the joints and throw it along a path; the two meet behind the head."""
    rest = np.zeros(4)
    drawn = hanging(scene) + keyframes(phase, (0, rest), (0.14, (-0.37, 0.37, 0.1, 0.2)),
                                       (0.32, (-0.27, 1.37, 1.6, 1.2)), (0.5, (-0.2, 1.45, 1.7, 1.1)),
                                       (0.64, (-0.2, 1.45, 1.7, 1.1)), (0.86, rest), (1, rest))
    wrist = keyframes(phase, (0.38, (0.50, 0.46, -0.16)), (0.45, (0.42, 0.66, 0.14)), (0.52, (0.15, 0.52, 0.76)),
                      (0.60, (-0.28, -0.30, 0.80)), (0.68, (-0.42, -0.66, 0.46)), (0.84, (-0.1, -0.9, 0.2)),
                      (1, (0.13, -0.93, 0.10)))
    pole = keyframes(phase, (0.3, (0.9, -0.7, 0.1)), (0.45, (1, -0.3, 0.1)), (0.52, (1, 0, 0)), (0.66, (0.9, 0.3, 0.2)),
                     (1, (0.4, -0.2, -1)))
    thrown = ease((phase - 0.32) / 0.1) * (1 - ease((phase - 0.82) / 0.15))
    return blend(angled_arm(scene.body, *drawn.T), Arm(scene.body.arm * wrist, pole), thrown)


def _striding_foot(base: Tracks, scene: Scene, starts: np.ndarray, length: float, step: float) -> Foot:
    """Return the left foot, which steps forward into every throw and back after it."""
    x, y, _ = flat_ball(base.feet[0], scene.body)[0]
    yaw = base.feet[0].yaw[0]
    rows = [[start + length * leave, start + length * land, x + ahead, y, yaw]
            for start in starts for leave, land, ahead in ((0.27, 0.43, step), (0.76, 0.92, 0.0))]
    return step_foot(scene, (x, y, yaw), rows, Stepping(off=0.25, clearance=80.0))
