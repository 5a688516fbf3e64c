"""Write recovered bodies: SMPL parameters, meshes, a picture strip and an animation."""
from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import numpy as np

from motionbert_mm.apis.lift_output import Output, save_result
from motionbert_mm.apis.mesh import MeshResult
from motionbert_mm.io.keypoint_files import KeypointTrack
from motionbert_mm.io.mesh_files import write_glb, write_obj_sequence
from motionbert_mm.visualization.mesh import animate_meshes, draw_mesh_strip

FORMATS = ('glb', 'obj', 'none')
# Meshes of a file, where nothing else is asked for: of SMPL's size, 50 MB as .glb and 180 MB as .obj.
MAX_MESHES = 300
FRAME = 'camera: x right, y down, z forward; origin of SMPL, without translation'
UNITS = {'smpl_pose': 'axis-angle in radians, joints of SMPL; the first is the orientation in the camera',
         'camera': 'scale s in px per mm, shift x and y in px: a point shows at s * (x, y) + shift'}


def choose_frames(num_frames: int, every: Optional[int] = None) -> np.ndarray:
    """Return the frames that meshes are written of: every so many, None being what keeps to MAX_MESHES."""
    return np.arange(0, num_frames, -(-num_frames // MAX_MESHES) if every is None else every)


def write_bodies(output: Output, track: KeypointTrack, result: MeshResult, joints: Sequence[str], *,
                 mesh_format: str = 'glb', every: Optional[int] = None) -> list[Path]:
    """Write the bodies of one person; return the paths.

    Args:
        output: where and how.
        track: the input.
        result: of ``MeshRecoverer``.
        joints: names of the joints of the model.
        mesh_format: one of FORMATS; 'obj' writes a folder.
        every: step between the frames of which meshes are written, see ``choose_frames``.

    Raises:
        ImportError: trimesh is missing.
        ValueError: an unknown format.
    """
    if mesh_format not in FORMATS:
        raise ValueError(f'mesh_format is {mesh_format!r}, expected one of {", ".join(FORMATS)}')
    paths = [output.path('_mesh.npz')]
    save_result(paths[0], result, joints=joints, frame_ids=track.frame_ids, fps=output.fps, frame=FRAME,
                smpl_pose=result.smpl_pose, smpl_betas=result.smpl_betas, camera=result.camera,
                **{f'unit_{name}': text for name, text in UNITS.items()})
    if mesh_format != 'none':
        paths.append(_write_meshes(output, track, result, mesh_format, every))
    paths.append(output.path('_mesh_strip.png'))
    shown = {'camera': result.camera, 'keypoints_2d': track.keypoints, 'confidence': track.confidence,
             'skeleton_2d': track.skeleton, 'title': output.name}
    draw_mesh_strip(result.vertices, result.faces, path=paths[-1], frame_ids=track.frame_ids, **shown)
    if output.movie is not None:
        paths.append(output.path(f'_mesh.{output.movie}'))
        animate_meshes(result.vertices, result.faces, paths[-1], fps=output.fps, progress=output.bar('drawing'),
                       **shown)
    return paths


def _write_meshes(output: Output, track: KeypointTrack, result: MeshResult, mesh_format: str,
                  every: Optional[int]) -> Path:
    """Write meshes of some frames; return the path of the file or folder."""
    chosen = choose_frames(len(result.vertices), every)
    frames, bar = [result.vertices[index] for index in chosen], output.bar('writing meshes')
    if mesh_format == 'obj':
        path = output.path('_obj')
        write_obj_sequence(path, frames, result.faces, track.frame_ids[chosen], progress=bar)
    else:
        path = output.path('_mesh.glb')
        write_glb(path, frames, result.faces, chosen / output.fps, name=output.name, progress=bar)
    return path
