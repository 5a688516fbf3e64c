"""Pictures of recovered bodies: strips over time and animations, over the 2D input, from the front and from the side.

Meshes are rendered by ``visualization.renderer`` into the same axes that skeletons are drawn in, so that pixels and
millimetres can be read off, and nothing needs a display.
"""
from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Optional, Union

import numpy as np

from motionbert_mm.geometry.surface import check_mesh
from motionbert_mm.structures.skeleton import Skeleton
from motionbert_mm.visualization.animation import PanelStage
from motionbert_mm.visualization.artists import (
    UNSURE,
    SkeletonArtist,
    add_legend,
    check_points,
    require_length,
    resolve,
    save,
    view_axes,
)
from motionbert_mm.visualization.movie import check_movie, write_movie
from motionbert_mm.visualization.renderer import COLOR, render_mesh
from motionbert_mm.visualization.skeleton_plot import Strip, pick_columns, title_columns

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INPUT_SIZE = 1.3  # line width of the input on a mesh, points
# A panel of an animation shows all that a person reaches in so many frames, spread evenly.
LOOKED_AT = 64
SHADES = 19  # of the surface, in a GIF


def draw_mesh_strip(frames: Sequence[np.ndarray], faces: np.ndarray, *, path: Optional[Union[str, Path]] = None,
                    camera: Optional[np.ndarray] = None, keypoints_2d: Optional[np.ndarray] = None,
                    confidence: Optional[np.ndarray] = None, skeleton_2d: Union[str, Skeleton] = 'h36m',
                    frame_ids: Optional[Sequence[int]] = None, num_poses: int = 6, title: str = '',
                    dpi: float = 150.0) -> Figure:
    """Draw meshes of one motion side by side: under the 2D input, from the front and from the side.

    Args:
        frames: F meshes (V, 3) mm, camera axes: an array, or anything with a length that gives them one by one.
        faces: (N, 3) int.
        path: picture to write; none if None.
        camera: (F, 3) of a weak-perspective camera, see ``apis.mesh.MeshResult``; needed with the input.
        keypoints_2d: (F, J, 2) px, the input; None leaves it out.
        confidence: (F, J) of the input; unsure joints are drawn hollow.
        skeleton_2d: joint set of the input.
        frame_ids: (F,) numbers for the titles.
        num_poses: columns, spread evenly over the motion.
        title: text above all.
        dpi: dots per inch.

    Returns:
        The figure.

    Raises:
        ValueError: shapes that do not fit each other, NaN, an input without a camera.
    """
    skeleton_2d = _check(frames, camera, keypoints_2d, confidence, skeleton_2d, frame_ids=frame_ids)
    chosen = pick_columns(len(frames), num_poses)
    meshes = np.stack([check_mesh(frames[index], faces)[0] for index in chosen])  # (N, V, 3)
    shown = meshes - _centre(meshes)
    strip = Strip(shown, title_columns(chosen, frame_ids), title, has_input=keypoints_2d is not None, dpi=dpi)
    unsure = None if confidence is None else np.asarray(confidence)[chosen]
    if keypoints_2d is not None:
        points = np.asarray(keypoints_2d, np.float64)[chosen]
        seen = np.stack([to_pixels(*pair) for pair in zip(meshes, camera[chosen])])
        row = strip.add_input_row(np.concatenate([points, seen[..., :2]], axis=1))
        for axes, mesh in zip(row, seen):
            MeshArtist(axes, faces).move(mesh)
        strip.draw_input(row, points, skeleton_2d, unsure, size=INPUT_SIZE)
    for view in ('front', 'side'):
        for axes, mesh in zip(strip.add_view_row(view), shown):
            MeshArtist(axes, faces).move(_upright(mesh, view))
    if keypoints_2d is not None:
        add_legend(strip.figure, has_truth=False, loc='lower center',
                   has_unsure=unsure is not None and bool((unsure < UNSURE).any()))
    if path is not None:
        save(strip.figure, path)
    return strip.figure


def animate_meshes(frames: Sequence[np.ndarray], faces: np.ndarray, path: Union[str, Path], *, fps: float = 30.0,
                   camera: Optional[np.ndarray] = None, keypoints_2d: Optional[np.ndarray] = None,
                   confidence: Optional[np.ndarray] = None, skeleton_2d: Union[str, Skeleton] = 'h36m',
                   title: str = '', progress: Callable[[Iterable], Iterable] = iter) -> None:
    """Write an animation that plays at the speed of the motion, see ``write_movie``.

    Args:
        frames: F meshes, see ``draw_mesh_strip``, also for what is not listed here.
        faces: (N, 3) int.
        path: .gif, or .mp4 where ffmpeg is found.
        fps: frames per second of the motion.
        camera: (F, 3).
        keypoints_2d: (F, J, 2) px.
        confidence: (F, J).
        skeleton_2d: joint set of the input.
        title: text above the panels.
        progress: wraps the frames, such as ``tqdm``.

    Raises:
        ValueError: another suffix, shapes that do not fit each other, NaN, a frame rate that is not positive.
        FileNotFoundError: .mp4 where ffmpeg is not found.
        OSError: ffmpeg failed.
    """
    check_movie(path, fps)
    skeleton_2d = _check(frames, camera, keypoints_2d, confidence, skeleton_2d)
    stage = _MeshStage(frames, faces, camera, keypoints_2d, skeleton_2d, confidence, fps, title)
    write_movie(stage, path, len(frames), fps=fps, progress=progress)


def to_pixels(vertices: np.ndarray, camera: np.ndarray) -> np.ndarray:
    """Show vertices (V, 3) mm by a weak-perspective camera (3,): (V, 3) px, the depth at the same scale."""
    return vertices * camera[0] + np.array([camera[1], camera[2], 0.0])


class MeshArtist:
    """A mesh in one axes, rendered at the resolution of the figure; ``move`` renders it anew.

    Args:
        axes: where to draw; its limits and place are final.
        faces: (N, 3) int.
    """

    def __init__(self, axes: Axes, faces: np.ndarray) -> None:
        from matplotlib.image import AxesImage
        self.faces = faces
        (x_left, x_right), (y_bottom, y_top) = axes.get_xlim(), axes.get_ylim()
        axes.apply_aspect()
        box = axes.get_window_extent()
        self.size = max(int(round(box.width)), 1), max(int(round(box.height)), 1)
        self.origin = np.array([x_left, y_top, 0.0])
        self.scale = np.array([self.size[0] / (x_right - x_left), self.size[1] / (y_bottom - y_top),
                               self.size[0] / (x_right - x_left)])
        self.image = AxesImage(axes, extent=(x_left, x_right, y_bottom, y_top), interpolation='nearest', zorder=2)
        self.image.set_data(np.zeros((*self.size[::-1], 4), np.uint8))
        axes.add_image(self.image)

    @property
    def artists(self) -> list[Artist]:
        """What to draw again after ``move``."""
        return [self.image]

    def move(self, vertices: np.ndarray) -> None:
        """Show vertices (V, 3): x and y in data coordinates of the axes, z away from the observer in the same unit."""
        self.image.set_data(render_mesh((vertices - self.origin) * self.scale, self.faces, *self.size))


class _MeshStage(PanelStage):
    """A mesh under the 2D input and in two views."""

    colors = tuple(tuple(level * np.array(COLOR)) for level in np.linspace(0.32, 1.08, SHADES))

    def __init__(self, frames: Sequence[np.ndarray], faces: np.ndarray, camera: Optional[np.ndarray],
                 points: Optional[np.ndarray], skeleton_2d: Skeleton, confidence: Optional[np.ndarray], fps: float,
                 title: str) -> None:
        looked_at = pick_columns(len(frames), LOOKED_AT)
        meshes = np.stack([check_mesh(frames[index], faces)[0] for index in looked_at])
        self.centre, window = _centre(meshes), None
        if points is not None:
            seen = [to_pixels(*pair)[:, :2] for pair in zip(meshes, camera[looked_at])]
            window = np.concatenate([np.reshape(points, (-1, 2)), *seen])
        super().__init__(meshes - self.centre, window, fps, title)
        self.frames, self.camera, self.points, self.confidence = frames, camera, points, confidence
        self.views = {view: MeshArtist(axes, faces) for view, axes in self.view_axes.items()}
        self.overlay = self.inputs = None
        if points is not None:
            self.overlay = MeshArtist(self.input_axes, faces)
            self.inputs = SkeletonArtist(self.input_axes, skeleton_2d, size=INPUT_SIZE)
            add_legend(self.figure, has_truth=False, loc='lower center')
        parts = [*self.views.values(), *(part for part in (self.overlay, self.inputs) if part is not None)]
        self.keep_background([*(artist for part in parts for artist in part.artists), self.caption])

    def move(self, index: int) -> None:
        """Show frame ``index``."""
        mesh = np.asarray(self.frames[index], np.float64)
        for view, artist in self.views.items():
            artist.move(_upright(mesh - self.centre, view))
        if self.overlay is not None:
            self.overlay.move(to_pixels(mesh, self.camera[index]))
            self.inputs.move(self.points[index],
                             confidence=None if self.confidence is None else self.confidence[index])
        self.show_time(index)


def _upright(vertices: np.ndarray, view: str) -> np.ndarray:
    """Return vertices (V, 3) as seen in a view: right, up and away from the observer."""
    return vertices @ view_axes(view).T * [1.0, 1.0, -1.0]


def _centre(meshes: np.ndarray) -> np.ndarray:
    """Return the point (3,) that views of meshes (N, V, 3) are centred on: the middle of the person, on average."""
    return ((meshes.min(axis=1) + meshes.max(axis=1)) / 2).mean(axis=0)


def _check(frames: Sequence[np.ndarray], camera: Optional[np.ndarray], points: Optional[np.ndarray],
           confidence: Optional[np.ndarray], skeleton_2d: Union[str, Skeleton],
           **others: Optional[Sequence]) -> Skeleton:
    """Refuse what does not fit together; return the skeleton of the input."""
    if not len(frames):
        raise ValueError('there are no frames to draw')
    require_length(len(frames), camera=camera, keypoints_2d=points, confidence=confidence, **others)
    skeleton = resolve(skeleton_2d)
    if points is not None:
        check_points(points, skeleton, 2, 'keypoints_2d')
        if camera is None or np.shape(camera)[1:] != (3,) or not np.isfinite(camera).all():
            raise ValueError(f'meshes over the 2D input need a finite camera (F, 3), got {np.shape(camera)}')
    return skeleton
