"""Pinhole cameras: projection, and the change between world and camera frames.

World frame: Z up, floor at z = 0. Camera frame: x right, y down, z forward. Both in millimetres.
"""
from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Optional

import numpy as np

from motionbert_mm.geometry.array import Array, align, like, namespace
from motionbert_mm.geometry.rotation import quaternion_conjugate, rotate_by_quaternion


@dataclass(frozen=True)
class Camera:
    """A calibrated camera without lens distortion.

    Attributes:
        name: unique among the cameras of a scene.
        rotation: (3, 3) world -> camera.
        translation: (3,) millimetres; x_camera = rotation @ x_world + translation.
        focal: (2,) focal lengths in pixels.
        center: (2,) principal point in pixels.
        image_size: (2,) width and height in pixels.
    """

    name: str
    rotation: np.ndarray
    translation: np.ndarray
    focal: np.ndarray
    center: np.ndarray
    image_size: np.ndarray

    def __post_init__(self) -> None:
        shapes = {'rotation': (3, 3), 'translation': (3,), 'focal': (2,), 'center': (2,), 'image_size': (2,)}
        for field, shape in shapes.items():
            value = np.asarray(getattr(self, field), np.float64)
            if value.shape != shape:
                raise ValueError(f'camera {self.name!r}: {field} must have shape {shape}, got {value.shape}.')
            object.__setattr__(self, field, value)

    @property
    def intrinsics(self) -> np.ndarray:
        """Focal lengths and principal point, (4,) = fx, fy, cx, cy in pixels."""
        return np.concatenate([self.focal, self.center])

    @property
    def position(self) -> np.ndarray:
        """Optical centre in the world frame, (3,) millimetres."""
        return -self.rotation.T @ self.translation

    def to_camera(self, points: Array) -> Array:
        """Bring world points (..., 3) into the camera frame, millimetres."""
        return points @ like(self.rotation.T, points) + like(self.translation, points)

    def to_world(self, points: Array) -> Array:
        """Bring camera-frame points (..., 3) into the world frame, millimetres."""
        return (points - like(self.translation, points)) @ like(self.rotation, points)

    def project(self, points: Array) -> Array:
        """Project camera-frame points (..., 3) in millimetres to pixels (..., 2)."""
        return project(points, self.intrinsics)


def project(points: Array, intrinsics: Any, distortion: Optional[Any] = None, limit: Optional[float] = None) -> Array:
    """Project camera-frame points to the image.

    Args:
        points: (..., 3) camera frame, any unit of length, z > 0.
        intrinsics: (..., 4) = fx, fy, cx, cy in pixels or normalised; leading axes are those of ``points``.
        distortion: (..., 5) = three radial and two tangential coefficients in the order and model of
            VideoPose3D, not OpenCV's.
        limit: clamp x / z and y / z to [-limit, limit]. Official: VideoPose3D and its forks clamp to 1.

    Returns:
        (..., 2) in the unit of ``intrinsics``.
    """
    xp = namespace(points)
    camera = align(intrinsics, points)
    plane = points[..., :2] / points[..., 2:3]
    if limit is not None:
        plane = xp.clip(plane, -limit, limit)
    if distortion is not None:
        plane = _distort(plane, align(distortion, points))
    return plane * camera[..., :2] + camera[..., 2:4]


def _distort(plane: Array, distortion: Array) -> Array:
    """Bend points (..., 2) of the plane z = 1 as the lens does."""
    radial, tangential = distortion[..., :3], distortion[..., 3:]
    radius = (plane ** 2).sum(-1)[..., None]
    powers = namespace(plane).concatenate([radius, radius ** 2, radius ** 3], -1)
    stretch = 1 + (radial * powers).sum(-1)[..., None] + (tangential * plane).sum(-1)[..., None]
    return plane * stretch + tangential * radius


def world_to_camera(points: Array, orientation: Any, translation: Any) -> Array:
    """Bring world points into the frame of a camera given by its pose.

    Args:
        points: (..., 3), the unit of ``translation``.
        orientation: (4,) unit quaternion (w, x, y, z) that turns camera axes into world axes.
        translation: (3,) position of the camera in the world.
    """
    inverse = quaternion_conjugate(like(orientation, points))
    return rotate_by_quaternion(inverse, points - like(translation, points))


def camera_to_world(points: Array, orientation: Any, translation: Any) -> Array:
    """Undo ``world_to_camera``; arguments as there."""
    return rotate_by_quaternion(like(orientation, points), points) + like(translation, points)


def orbit_cameras(target: Sequence[float], *, azimuths: Sequence[float] = (45.0, 135.0, 225.0, 315.0),
                  distance: float = 4500.0, height: float = 1500.0, focal: float = 1145.0,
                  center: Sequence[float] = (512.0, 515.0), image_size: Sequence[int] = (1000, 1002)) -> list[Camera]:
    """Place cameras around a point as in the Human3.6M studio, all aimed at it.

    Args:
        target: (3,) world frame, millimetres.
        azimuths: degrees from +X towards +Y, one camera each.
        distance: horizontal distance from the target in millimetres.
        height: height above the floor in millimetres.
        focal: focal length in pixels.
        center: principal point in pixels.
        image_size: width and height in pixels.

    Returns:
        One camera per azimuth, named after it.
    """
    if distance <= 0:
        raise ValueError(f'orbit cameras need a positive distance in millimetres, got {distance}.')
    target = np.asarray(target, np.float64)
    cameras = []
    for azimuth in azimuths:
        angle = np.deg2rad(azimuth)
        position = np.array([*target[:2] + distance * np.array([np.cos(angle), np.sin(angle)]), height])
        rotation = _look_at(target - position)
        cameras.append(Camera(f'azimuth{azimuth:03.0f}', rotation, -rotation @ position, np.array([focal, focal]),
                              np.asarray(center), np.asarray(image_size)))
    return cameras


def _look_at(direction: np.ndarray) -> np.ndarray:
    """Rotation world -> camera with z along a direction that is not vertical, and the horizon level."""
    forward = direction / np.linalg.norm(direction)
    right = np.cross(forward, [0.0, 0.0, 1.0])
    right = right / np.linalg.norm(right)
    return np.stack([right, np.cross(forward, right), forward])
