"""The parametric actions of the synthetic data set.

Each action takes a ``Scene`` and returns the tracks of a person and sentences that describe them. It is written
for somebody who starts near the origin, faces +X and prefers the right side.
"""
from __future__ import annotations

from dataclasses import replace
from typing import Callable

import numpy as np

from motionbert_mm.datasets.synthetic_gait import run, walk
from motionbert_mm.datasets.synthetic_rig import SMPL, Arm, Foot, Tracks
from motionbert_mm.datasets.synthetic_sports import jump, kick, punch, squat, throw
from motionbert_mm.datasets.synthetic_tracks import (
    Scene,
    Stepping,
    angled_arm,
    blend,
    ease,
    flat_ball,
    hanging,
    keyframes,
    stand,
    step_foot,
)

_TURNS = {np.pi / 2: 'quarter', np.pi: 'half', 2 * np.pi: 'full'}  # rad


def wave(scene: Scene) -> tuple:
    """Wave with the right hand, beside or above the head."""
    rng, time = scene.rng, scene.time
    base = stand(scene)
    is_high = rng.uniform() < 0.35
    rate = rng.uniform(1.3, 1.9) * scene.pace
    weight = ease((time - rng.uniform(-0.8, 0.3)) / 0.7)
    if rng.uniform() < 0.5 and scene.duration > 2.4:
        weight = weight * (1 - ease((time - scene.duration + rng.uniform(0.5, 0.9)) / 0.7))
    beat = np.sin(2 * np.pi * rate * time + rng.uniform(0, 2 * np.pi))[:, None]
    if is_high:
        angles = np.array([0.25, 2.6, 0.6, 0.5]) + beat * [0.0, 0.22, 0.0, -0.25]
    else:
        angles = np.array([rng.uniform(0.3, 0.6), rng.uniform(0.9, 1.45), rng.uniform(1.35, 1.6), 1.45])
        angles = angles + beat * [0.0, 0.06, 0.0, rng.uniform(0.35, 0.5)]
    angles = hanging(scene) * (1 - weight[:, None]) + angles * weight[:, None]
    tracks = replace(base, arms=(base.arms[0], angled_arm(scene.body, *angles.T)),
                     trunk=base.trunk + weight[:, None] * [0.0, 0.06, -0.05])
    how = ' above the head' if is_high else ''
    return tracks, [f'a person waves the {scene.side} hand{how}', f'someone raises the {scene.side} arm and waves{how}',
                    f'a person greets somebody by waving with the {scene.side} hand']


def bow(scene: Scene) -> tuple:
    """Bend forward from the hips and straighten up again."""
    rng, body = scene.rng, scene.body
    base = stand(scene, width=-10.0)
    length = 2.6 / scene.pace
    starts = scene.events(length)
    hold = rng.uniform(0.05, 0.22)
    down = keyframes(scene.progress(starts, length), (0, 0), (0.4 - hold / 2, 1), (0.4 + hold, 1), (0.95, 0), (1, 0))
    depth = rng.uniform(0.6, 1.45)
    raise_ = 0.8 * depth if rng.uniform() < 0.5 else 0.12  # the arms hang, or stay at the sides
    down = down[:, None]
    arms = tuple(angled_arm(body, *(hanging(scene) + down * [raise_, 0.0, 0.0, 0.0]).T) for _ in base.arms)
    tracks = replace(base, arms=arms, hips=base.hips + down * [-115.0 * depth, 0.0, -18.0 * depth],
                     pelvis=base.pelvis + down * [0.55 * depth, 0.0, 0.0],
                     trunk=base.trunk + down * [0.45 * depth, 0.0, 0.0], head=base.head + down * [0.15, 0.0, 0.0])
    how = 'deeply' if depth > 1.1 else 'slightly' if depth < 0.8 else 'politely'
    return tracks, [f'a person bows {how}', f'someone bows {how} and straightens up again',
                    'a person bends forward from the hips to bow']


def clap(scene: Scene) -> tuple:
    """Clap the hands in front of the chest or the face."""
    rng, body = scene.rng, scene.body
    base = stand(scene)
    rate = rng.uniform(1.8, 2.6) * scene.pace
    beat = 0.5 - 0.5 * np.cos(2 * np.pi * rate * scene.time + rng.uniform(0, 2 * np.pi))
    height, front, wide = rng.uniform(-0.38, 0.02), rng.uniform(0.5, 0.62), rng.uniform(130, 240)
    shoulder = body.offsets[SMPL.index('left_shoulder')][0]
    together = np.array([0.028 * body.stature - shoulder, height * body.arm, front * body.arm])  # the palms meet
    wrist = together + wide * beat[:, None] * [1.0, 0.06, -0.15]
    clapping = Arm(wrist, np.tile([0.7, -1.0, -0.15], (len(beat), 1)))
    weight = ease((scene.time - rng.uniform(-0.9, 0.2)) / 0.7)
    tracks = replace(base, arms=tuple(blend(arm, clapping, weight) for arm in base.arms),
                     hips=base.hips + beat[:, None] * [0.0, 0.0, -4.0],
                     trunk=base.trunk + (weight * beat)[:, None] * [-0.02, 0.0, 0.0])
    where = ' in front of the face' if height > -0.08 else ''
    return tracks, [f'a person claps{where}', f'someone claps the hands{where}', 'a person applauds']


def sit_down(scene: Scene) -> tuple:
    """Sit down on a chair behind the person, and sometimes stand up again."""
    rng, body = scene.rng, scene.body
    base = stand(scene, width=rng.uniform(20, 90))
    length = 1.7 / scene.pace
    spare = scene.duration - length
    start = rng.uniform(0.0, min(0.8, spare)) if spare > 0 else spare / 2
    phase = (scene.time - start) / length
    lean = keyframes(phase, (0, 0), (0.45, 1), (1, 0))
    down = keyframes(phase, (0.05, 0), (0.85, 1))
    rises = spare - start > length + 1.0 and rng.uniform() < 0.6
    if rises:
        phase = (scene.time - scene.duration + rng.uniform(0.0, 0.3) + length) / length
        lean = lean + keyframes(phase, (0, 0), (0.45, 1.05), (1, 0))
        down = down - keyframes(phase, (0.2, 0), (0.95, 1))
    seat = body.ankle_height + rng.uniform(0.86, 1.02) * body.length('left_ankle')
    on_thigh = Arm(body.arm * np.array([0.04, -0.62, 0.42]) + scene.sway(4.0),
                   np.tile([0.25, -0.4, -1.0], (len(down), 1)))
    arms = tuple(blend(arm, on_thigh, ease(1.2 * down - 0.1)) for arm in base.arms)
    lean, down = lean[:, None], down[:, None]
    tracks = replace(base, arms=arms,
                     hips=base.hips + down * [-0.95 * body.length('left_knee'), 0.0, seat - body.stand],
                     pelvis=base.pelvis + lean * [0.5, 0.0, 0.0] - down * [0.08, 0.0, 0.0],
                     trunk=base.trunk + lean * [0.35, 0.0, 0.0] + down * [0.06, 0.0, 0.0],
                     head=base.head - lean * [0.35, 0.0, 0.0])
    if rises:
        return tracks, ['a person sits down and stands up again', 'someone takes a seat and then rises']
    return tracks, ['a person sits down', 'someone sits down on a chair', 'a person takes a seat']


def turn(scene: Scene) -> tuple:
    """Turn to the right on the spot, a quarter, a half or a full turn, in steps."""
    rng = scene.rng
    base = stand(scene)
    pair = 0.78 / scene.pace  # seconds for one step of either foot
    span = rng.uniform(0.85, 1.15)  # rad per pair of steps
    counts = {angle: int(np.ceil(angle / span)) for angle in _TURNS}
    choices = [angle for angle in _TURNS if counts[angle] * pair < scene.duration - 0.3]
    angle = choices[rng.integers(len(choices))] if choices else np.pi / 2
    count = counts[angle]
    spare = scene.duration - count * pair
    start = rng.uniform(0.1, max(0.1, min(0.8, spare))) if choices else spare / 2
    feet = tuple(_turning_foot(scene, foot, start + delay * pair, pair, -angle / count * np.arange(count + 1))
                 for foot, delay in zip(base.feet, (0.5, 0.0)))  # the inner foot leads
    moment = (scene.time - start) / (count * pair)
    heading = -angle * (0.35 * ease(moment) + 0.65 * keyframes(moment, (0, 0), (1, 1)))
    moving = ease(8 * moment) * ease(8 * (1 - moment))
    shift = 22.0 * np.sin(2 * np.pi * (scene.time - start) / pair) * moving  # onto the foot that stands
    hips = base.hips + np.stack([-np.sin(heading) * shift, np.cos(heading) * shift, -10.0 * moving], axis=-1)
    look = np.sin(np.pi * np.clip(moment + 0.12, 0, 1))[:, None]**2 * [0.0, 0.0, -0.35]  # the eyes go first
    tracks = replace(base, hips=hips, heading=heading, feet=feet, head=base.head + look, trunk=base.trunk + 0.35 * look)
    if not choices:
        return tracks, [f'a person turns to the {scene.side}', f'someone turns on the spot to the {scene.side}']
    return tracks, [f'a person makes a {_TURNS[angle]} turn to the {scene.side}', f'someone turns to the {scene.side}',
                    f'someone makes a {_TURNS[angle]} turn on the spot to the {scene.side}']


def _turning_foot(scene: Scene, foot: Foot, start: float, pair: float, turns: np.ndarray) -> Foot:
    """Return a foot that steps from each of the headings ``turns`` to the next, about the origin."""
    x, y, _ = flat_ball(foot, scene.body)[0]
    cosine, sine = np.cos(turns), np.sin(turns)
    places = np.stack([cosine * x - sine * y, sine * x + cosine * y, turns + foot.yaw[0]], axis=-1)
    leave = start + pair * np.arange(len(turns) - 1)
    rows = np.column_stack([leave, leave + 0.42 * pair, places[1:]])
    return step_foot(scene, places[0], rows, Stepping(off=0.3, strike=-0.03, rise=0.14, roll=0.03, clearance=40.0))


ACTION_BUILDERS: dict[str, Callable[[Scene], tuple[Tracks, list]]] = {
    'walk': walk, 'run': run, 'jump': jump, 'wave': wave, 'squat': squat, 'punch': punch, 'kick': kick, 'bow': bow,
    'clap': clap, 'sit_down': sit_down, 'throw': throw, 'turn': turn}
