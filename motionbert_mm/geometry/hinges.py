"""Axes of the trunk, and the ways in which knees and elbows bend."""
from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from motionbert_mm.geometry.array import Array, cross, like, namespace, norm

# The sharpest bend of a knee or an elbow, degrees between the two bones; 143 and 140 occur in the CMU motion capture.
MAX_BEND = 150.0
# Up to this bend, in degrees, a limb counts as straight: it has no plane, and may bend that far in any direction.
STRAIGHT = 10.0


@dataclass(frozen=True)
class Hinge:
    """How one kind of joint bends.

    Attributes:
        end: the joint at the far end of the lower bone.
        forward: 1 if the lower bone bends to the front of a standing person, -1 if to the back.
        twist: degrees by which the bend may turn about the upper bone, away from where it was. Bends of single
            persons lie within 33 degrees of the back at knees and 155 of the front at elbows (CMU motion capture).
    """

    end: str
    forward: float
    twist: float


HINGES = {'knee': Hinge(end='ankle', forward=-1.0, twist=45.0), 'elbow': Hinge(end='wrist', forward=1.0, twist=60.0)}


def trunk_axes(hips: tuple[Array, Array], shoulders: tuple[Array, Array]) -> Array:
    """Axes that go with the trunk: to the person's left, up the trunk, and forward.

    Args:
        hips: left and right hip, each (..., 3) in any unit and right-handed frame.
        shoulders: left and right shoulder.

    Returns:
        (..., 3, 3) with the axes as rows: ``vectors @ axes.swapaxes(-1, -2)`` are coordinates in them.
    """
    left = hips[0] - hips[1]
    left = left / norm(left)
    up = shoulders[0] + shoulders[1] - hips[0] - hips[1]
    up = up - (up * left).sum(-1)[..., None] * left
    up = up / norm(up)
    return namespace(left).stack([left, up, cross(left, up)], -2)


def bend(upper: Array, lower: Array) -> tuple[Array, Array]:
    """Say how far and where to a lower bone is bent.

    "Where to" is seen along the upper bone, after the shortest rotation that lets it hang down.

    Args:
        upper: (..., 3) unit vectors in trunk axes.
        lower: (..., 3) unit vectors of the bones that begin where the upper ones end.

    Returns:
        The cosine (...) of the bend, 1 for a straight limb, and (..., 2) its direction to the left and to the front,
        as long as the sine of the bend.
    """
    (left, up, front), (x, y, z) = (tuple(vector[..., i] for i in range(3)) for vector in (upper, lower))
    # Rodrigues' formula for the rotation that takes the upper bone to (0, -1, 0); no such rotation is shortest for a
    # bone that points straight up.
    share = (front * x - left * z) / namespace(up).clip(1.0 - up, 1e-6, None)
    direction = [left * y - up * x + front * share, front * y - up * z - left * share]
    return (upper * lower).sum(-1), namespace(up).stack(direction, -1)


def bends_naturally(before: tuple[Array, Array], after: tuple[Array, Array], forward: Array, twist: Array) -> Array:
    """Tell whether limbs that were changed still bend as people do.

    The bend is at most ``MAX_BEND``, or as sharp as before, and stays on its side: it lies in the plane of the limb
    before the change, give or take ``twist``. The less a limb was bent, the more does the usual direction of the joint
    take the place of its plane.

    Args:
        before: upper and lower bones, each (..., 3), unit vectors in trunk axes.
        after: the same after the change.
        forward: (...), see ``Hinge``.
        twist: (...) degrees, see ``Hinge``.

    Returns:
        (...) bool.
    """
    xp = namespace(before[0])
    (old_cosine, old), (cosine, new) = bend(*before), bend(*after)
    straight = float(np.sin(np.radians(STRAIGHT)))
    side = xp.stack([old[..., 0], old[..., 1] + straight * forward], -1)
    size = norm(new)[..., 0]
    in_plane = (new * side).sum(-1) >= xp.cos(like(np.pi / 180, new) * twist) * size * norm(side)[..., 0]
    sharpest = xp.clip(old_cosine, None, float(np.cos(np.radians(MAX_BEND))))
    return (in_plane | (size <= straight)) & (cosine >= sharpest)
