"""Closed tubes of skin around chains of joints, from which ``synthetic_body`` puts its mesh together."""
from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

BLEND = 0.2  # share of a bone over which, on each side of a joint, skin passes from one rotation to the next
BEND = 0.35  # share of a bone that swells on each side of a bent joint


@dataclass(frozen=True)
class Tube:
    """A closed tube; lengths in mm.

    Attributes:
        chain: joints that the tube follows. Place s on the chain is at joint s, between joints in between, beyond the
            ends along the last bone.
        axes: two body axes (first, second) that span the cross-sections; first x second points along the tube.
        sides: vertices of a cross-section, even; the first lies on the first axis.
        sections: rows (s, half size along the first axis, along the second, shift x, y, z) from one end to the other;
            the first and the last have no size, they are the tips. Those at a whole s have no shift: a joint lies in
            the middle of its ring.
        power: 2 gives ellipses, more gives rounded boxes.
        takeover: joint -> places (from, to) between which its rotation takes over; by default a fifth of a bone
            around it.
        bumps: place of a section -> mm by which its first vertex stands out along the first axis.
    """

    chain: tuple[str, ...]
    axes: tuple[int, int]
    sides: int
    sections: tuple[tuple[float, ...], ...]
    power: float = 2.0
    takeover: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    bumps: Mapping[float, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Skin:
    """Vertices of a tube.

    Attributes:
        places: (V,) places on the chain.
        offsets: (V, 3) mm from the point of the chain there; those of a joint's ring have mean zero.
        faces: (F, 3), anticlockwise as seen from outside.
    """

    places: np.ndarray
    offsets: np.ndarray
    faces: np.ndarray


def make_skin(tube: Tube) -> Skin:
    """Lay the vertices of a tube: first tip, ring after ring, last tip."""
    angles = 2 * np.pi * np.arange(tube.sides) / tube.sides
    waves = np.cos(angles).round(12), np.sin(angles).round(12)  # exact zeros keep the middle in the middle
    first, second = (np.sign(wave) * np.abs(wave) ** (2 / tube.power) for wave in waves)
    places, offsets = [], []
    for number, (place, size, other_size, *shift) in enumerate(tube.sections):
        if number in (0, len(tube.sections) - 1):
            places.append([place])
            offsets.append(np.array([shift]))
            continue
        ring = np.tile(np.array(shift, np.float64), (tube.sides, 1))
        ring[:, tube.axes[0]] += size * first
        ring[:, tube.axes[1]] += other_size * second
        ring[0, tube.axes[0]] += tube.bumps.get(place, 0.0)
        if place == round(place):
            ring -= ring.mean(axis=0)
        places.append([place] * tube.sides)
        offsets.append(ring)
    return Skin(np.concatenate(places), np.concatenate(offsets), _faces(tube.sides, len(tube.sections) - 2))


def along(places: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Interpolate values (J, ...) at the joints of a chain to places (V,) on it; beyond its ends they go on."""
    start = np.clip(np.floor(places).astype(int), 0, len(values) - 2)
    share = (places - start).reshape(-1, *[1] * (values.ndim - 1))
    return values[start] + share * (values[start + 1] - values[start])


def rotation_shares(tube: Tube, places: np.ndarray) -> np.ndarray:
    """Return by which share each joint of the chain moves the skin at some places: (V, J), rows sum to one."""
    taken = [np.ones_like(places)]
    for number, joint in enumerate(tube.chain[1:], start=1):
        low, high = tube.takeover.get(joint, (number - BLEND, number + BLEND))
        taken.append(rise(places, low, high))
    taken.append(np.zeros_like(places))
    return -np.diff(np.stack(taken, axis=-1), axis=-1)


def bend_shares(tube: Tube, joint: str, places: np.ndarray) -> np.ndarray:
    """Return how much the skin at some places (V,) takes part in the swelling of a bent joint, 0 to 1."""
    return rise(-np.abs(places - tube.chain.index(joint)), -BEND, 0.0)


def rise(values: np.ndarray, low: float, high: float) -> np.ndarray:
    """Rise from 0 at ``low`` to 1 at ``high`` without an edge."""
    share = np.clip((values - low) / (high - low), 0.0, 1.0)
    return share * share * (3 - 2 * share)


def _faces(sides: int, rings: int) -> np.ndarray:
    """Return the triangles of a tube, its tips included."""
    here = np.arange(sides)
    after = (here + 1) % sides
    last_ring = 1 + (rings - 1) * sides
    last_tip = 1 + rings * sides
    faces = [np.stack([np.zeros_like(here), after + 1, here + 1], axis=-1)]
    for ring in range(rings - 1):
        low, high = 1 + ring * sides, 1 + (ring + 1) * sides
        faces.append(np.stack([low + here, low + after, high + after], axis=-1))
        faces.append(np.stack([low + here, high + after, high + here], axis=-1))
    faces.append(np.stack([last_ring + here, last_ring + after, np.full_like(here, last_tip)], axis=-1))
    return np.concatenate(faces)
