"""Building blocks of the synthetic actions: time curves, foot steps, arms and a person who stands at ease."""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Optional

import numpy as np

from motionbert_mm.datasets.synthetic_rig import SMPL, Arm, Body, Foot, Tracks, plant


@dataclass(frozen=True)
class Scene:
    """What an action is given to make its tracks.

    Actions are written for a person who starts at the origin, faces +X and prefers the right side; ``side`` is
    what that side will be called after the scene is mirrored or not.

    Attributes:
        time: (T,) seconds.
        duration: seconds.
        body: the person.
        rng: source of all draws.
        pace: speed relative to the usual one.
        side: 'right' or 'left'.
    """

    time: np.ndarray
    duration: float
    body: Body
    rng: np.random.Generator
    pace: float
    side: str

    @property
    def other(self) -> str:
        """The side that is not preferred."""
        return 'left' if self.side == 'right' else 'right'

    def sway(self, amplitude: float, channels: int = 3, fastest: float = 0.6) -> np.ndarray:
        """Return slow random drift (T, channels): a sum of sines up to ``fastest`` Hz."""
        frequency = self.rng.uniform(0.1, fastest, (4, channels))
        phase = self.rng.uniform(0, 2 * np.pi, (4, channels))
        return amplitude / 2 * np.sin(2 * np.pi * frequency * self.time[:, None, None] + phase).sum(axis=1)

    def events(self, length: float) -> np.ndarray:
        """Return start times of as many events of ``length`` seconds as fit into the clip; one at least.

        A clip shorter than the event shows its middle.
        """
        count = int(self.duration // length)
        if count == 0:
            return np.array([(self.duration - length) / 2])
        pauses = self.rng.dirichlet(np.ones(count + 1)) * (self.duration - count * length)
        return np.cumsum(pauses[:-1]) + length * np.arange(count)

    def progress(self, starts: np.ndarray, length: float) -> np.ndarray:
        """Return the phase (T,) of the running event: 0 before it to 1 at its end, then 0 again."""
        phase = (self.time[:, None] - starts) / length
        return np.where((phase >= 0) & (phase < 1), phase, 0.0).sum(axis=1)


def keyframes(phase: np.ndarray, *keys: tuple) -> np.ndarray:
    """Interpolate (position, value) keys by a monotone cubic that rests at both ends.

    Args:
        phase: (T,).
        keys: positions in rising order with scalars or (C,) vectors.

    Returns:
        (T,) or (T, C).
    """
    knots = np.array([key for key, _ in keys], np.float64)
    values = np.array([value for _, value in keys], np.float64)
    flat = values.reshape(len(knots), -1)
    step = np.diff(knots)[:, None]
    slope = np.diff(flat, axis=0) / step
    product, total = slope[:-1] * slope[1:], slope[:-1] + slope[1:]
    tangent = np.zeros_like(flat)
    tangent[1:-1] = np.where(product > 0, 2 * product / np.where(product > 0, total, 1.0), 0.0)
    segment = np.clip(np.searchsorted(knots, phase, side='right') - 1, 0, len(knots) - 2)
    width = step[segment]
    u = np.clip((phase - knots[segment])[:, None] / width, 0.0, 1.0)
    rise = u * u * (3 - 2 * u)
    result = (flat[segment] * (1 - rise) + flat[segment + 1] * rise
              + width * u * (1 - u) * ((1 - u) * tangent[segment] - u * tangent[segment + 1]))
    return result.reshape(len(phase), *values.shape[1:])


def ease(u: np.ndarray) -> np.ndarray:
    """Go from 0 to 1 with no speed and no acceleration at the ends."""
    u = np.clip(u, 0.0, 1.0)
    return u**3 * (10 - 15 * u + 6 * u * u)


def glide(u: np.ndarray) -> np.ndarray:
    """Go from 0 to 1 like ``ease`` but at a steadier speed, as a foot does in its swing."""
    v = 2 * np.clip(u, 0.0, 1.0) - 1
    return (v - 0.4 * v**5 + v**9 / 9) / (2 * (1 - 0.4 + 1 / 9)) + 0.5


def bump(u: np.ndarray, peak: float = 0.5) -> np.ndarray:
    """Rise from 0 to 1 at ``peak`` and fall back, with no speed at the ends."""
    u = np.clip(u, 0.0, 1.0)
    first, second = (2.0, 2.0 * (1 - peak) / peak) if peak <= 0.5 else (2.0 * peak / (1 - peak), 2.0)
    return u**first * (1 - u)**second / (peak**first * (1 - peak)**second)


@dataclass(frozen=True)
class Stepping:
    """How a foot leaves the floor and returns to it.

    Attributes:
        off, strike: pitch in rad when it leaves and when it lands (heel up is positive).
        rise, roll: seconds of the heel's rise before it leaves, and of the roll to flat after it lands.
        clearance: mm, how high the ball of the foot is carried.
        peak: where in the swing it is highest, 0..1.
    """

    off: float = 0.35
    strike: float = -0.08
    rise: float = 0.2
    roll: float = 0.12
    clearance: float = 45.0
    peak: float = 0.45


def step_foot(scene: Scene, start: Sequence[float], steps: Sequence[Sequence[float]], style: Stepping) -> Foot:
    """Make the track of a foot that is planted except during its steps.

    Args:
        scene: time and body.
        start: (x, y, yaw) of the ball of the foot before the first step, mm and rad.
        steps: rows (time of leaving, time of landing, x, y, yaw), in order, not overlapping.
        style: of every step.
    """
    time = scene.time[:, None]
    steps = np.asarray(steps, np.float64).reshape(-1, 5)
    places = np.vstack([np.asarray(start, np.float64)[None], steps[:, 2:]])
    leave, land = steps[:, 0], steps[:, 1]
    swing = (time - leave) / (land - leave)  # (T, K)
    place = places[0] + glide(swing) @ np.diff(places, axis=0)  # (T, 3)
    ball = place.copy()
    ball[:, 2] = scene.body.ball_height + style.clearance * bump(swing, style.peak).sum(axis=1)
    rise = ease((time - leave + style.rise) / (1.25 * style.rise))
    drop = ease((time - leave - 0.1 * (land - leave)) / (0.85 * (land - leave)))
    flat = ease((time - land) / style.roll)
    pitch = (style.off * rise - (style.off - style.strike) * drop - style.strike * flat).sum(axis=1)
    moving = (time > leave) & (time < land + style.roll)
    return Foot(plant(ball, place[:, 2], pitch, scene.body), place[:, 2], pitch,
                ~moving.any(axis=1))


def flat_ball(foot: Foot, body: Body) -> np.ndarray:
    """Return where the ball (T, 3) of a flat foot is, mm world."""
    reach = body.offsets[SMPL.index('left_foot')][2]
    return np.stack([foot.ankle[:, 0] + reach * np.cos(foot.yaw), foot.ankle[:, 1] + reach * np.sin(foot.yaw),
                     np.full(len(foot.yaw), body.ball_height)], axis=-1)


def roll_foot(foot: Foot, body: Body, pitch: np.ndarray, shift: Optional[np.ndarray] = None) -> Foot:
    """Roll a flat foot by ``pitch`` (T,) rad, heel up is positive, and move it by ``shift`` (T, 3) mm."""
    ball = flat_ball(foot, body) + (0.0 if shift is None else shift)
    return replace(foot, ankle=plant(ball, foot.yaw, pitch, body), pitch=pitch)


def angled_arm(body: Body, raise_: np.ndarray, spread: np.ndarray, turn: np.ndarray, elbow: np.ndarray) -> Arm:
    """Make an arm from angles in rad, each (T,) or one number.

    Args:
        body: gives the lengths.
        raise_: 0 hangs down, pi / 2 points forward.
        spread: away from the body, pi / 2 is level.
        turn: outward about the upper arm: lifts the forearm of a spread arm.
        elbow: 0 is straight.
    """
    raise_, spread, turn, elbow = np.broadcast_arrays(*np.atleast_1d(raise_, spread, turn, elbow))
    # Upper arm and the direction into which the elbow bends, before the arm is raised forward.
    upper = np.stack([np.sin(spread), -np.cos(spread), np.zeros_like(spread)], axis=-1)
    across = np.stack([np.cos(spread), np.sin(spread), np.zeros_like(spread)], axis=-1)
    front = np.array([0.0, 0.0, 1.0])
    fold = np.cos(turn)[:, None] * front + np.sin(turn)[:, None] * across
    upper, fold = _raised(upper, raise_), _raised(fold, raise_)
    first, second = body.length('left_elbow'), body.length('left_wrist')
    wrist = (first + second * np.cos(elbow)[:, None]) * upper + second * np.sin(elbow)[:, None] * fold
    # The elbow lies off the line from shoulder to wrist, on the side away from the fold.
    lift = np.arctan2(second * np.sin(elbow), first + second * np.cos(elbow))[:, None]
    return Arm(wrist, np.sin(lift) * upper - np.cos(lift) * fold)


def _raised(vectors: np.ndarray, angle: np.ndarray) -> np.ndarray:
    """Turn (T, 3) forward and up about the sideways axis."""
    cosine, sine = np.cos(angle), np.sin(angle)
    up = cosine * vectors[:, 1] + sine * vectors[:, 2]
    return np.stack([vectors[:, 0], up, cosine * vectors[:, 2] - sine * vectors[:, 1]], axis=-1)


def hanging(scene: Scene) -> np.ndarray:
    """Draw the angles (T, 4) of ``angled_arm`` for an arm at ease."""
    rest = scene.rng.normal([0.02, 0.13, -0.1, 0.28], [0.05, 0.03, 0.15, 0.08])
    return rest + scene.sway(0.05, channels=4)


def blend(first: Arm, second: Arm, weight: np.ndarray) -> Arm:
    """Move from one arm to another, weight (T,) in 0..1; the wrist travels on an arc about the shoulder."""
    weight = np.asarray(weight)[:, None]
    mixed = (1 - weight) * first.wrist + weight * second.wrist
    lengths = [np.linalg.norm(arm.wrist, axis=-1, keepdims=True) for arm in (first, second)]
    length = (1 - weight) * lengths[0] + weight * lengths[1]
    wrist = mixed * length / np.maximum(np.linalg.norm(mixed, axis=-1, keepdims=True), 0.3 * length)
    return Arm(wrist, (1 - weight) * first.pole + weight * second.pole)


def stand(scene: Scene, *, width: float = 0.0, toe_out: float = 0.15, lead: float = 0.0) -> Tracks:
    """Make a person who stands at ease: weight drifts, arms hang.

    Args:
        scene: time, body and draws.
        width: extra distance between the feet, mm.
        toe_out: rad.
        lead: how far the left foot is in front of the right, mm.
    """
    body = scene.body
    hip_width = body.offsets[SMPL.index('left_hip')][0]
    half = hip_width * scene.rng.uniform(0.95, 1.25) + width / 2
    front = body.offsets[SMPL.index('left_foot')][2] - 25.0
    feet = tuple(step_foot(scene, (front + side * lead / 2, side * half, side * toe_out), (), Stepping())
                 for side in (1, -1))
    hips = np.array([0.0, 0.0, body.stand]) + scene.sway(1.0) * [8.0, 12.0, 2.0]
    lean = scene.rng.normal([0.0, 0.0, 0.0], [0.03, 0.01, 0.03])
    return Tracks(hips=hips, heading=np.zeros(len(scene.time)), pelvis=scene.sway(0.02),
                  trunk=lean + scene.sway(0.03), head=scene.sway(0.09) + [0.04, 0.0, 0.0],
                  arms=tuple(angled_arm(body, *hanging(scene).T) for _ in feet), feet=feet)
