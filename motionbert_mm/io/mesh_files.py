"""Write recovered bodies: parameters as .npz, meshes as .obj and .glb for Blender and other viewers.

Mesh files are in metres, y up: x to the right of the picture, y up, z towards the camera, which is the convention of
glTF. Blender turns y-up files upright when it imports them (OBJ: with its own defaults, forward -Z and up Y).
"""
from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, Union

import numpy as np

from motionbert_mm.geometry.surface import check_mesh, vertex_normals
from motionbert_mm.io.atomic import atomic_path
from motionbert_mm.io.plain_files import read_npz

# From millimetres, x right, y down, z forward, to metres, y up: half a turn about x.
TO_FILE = np.array([1.0, -1.0, -1.0]) / 1000.0
# Vertices are told to this share of a metre in .obj files, which are text: a hundredth of a millimetre.
OBJ_DIGITS = 5
COLOR = (0.62, 0.73, 0.86, 1.0)
# Numbers of the glTF 2.0 specification: types of the two chunks of a file, and of a 32-bit float.
JSON_CHUNK, BINARY_CHUNK, FLOAT = 0x4E4F534A, 0x004E4942, 5126
PARAMETERS = 'save smpl_pose (F, 24, 3) and smpl_betas (F, 10) with numpy.savez, as tools/infer.py does'


def to_file_axes(vertices: np.ndarray) -> np.ndarray:
    """Turn millimetres in camera axes (..., 3) into metres with y up."""
    return np.asarray(vertices, np.float64) * TO_FILE


def write_obj(path: Union[str, Path], vertices: np.ndarray, faces: np.ndarray) -> None:
    """Write one mesh as .obj.

    Args:
        path: to write.
        vertices: (V, 3) mm, camera axes.
        faces: (F, 3) int.

    Raises:
        ImportError: trimesh is missing.
        ValueError: see ``check_mesh``.
    """
    vertices, faces = check_mesh(vertices, faces)
    mesh = import_trimesh().Trimesh(to_file_axes(vertices), faces, process=False)
    text = mesh.export(file_type='obj', include_normals=False, digits=OBJ_DIGITS)
    with atomic_path(path) as work:
        work.write_text(text, encoding='utf-8')


def write_obj_sequence(folder: Union[str, Path], frames: Sequence[np.ndarray], faces: np.ndarray,
                       frame_ids: Sequence[int], *, progress: Callable[[Iterable], Iterable] = iter) -> list[Path]:
    """Write one .obj for each frame, named for its number, all with the same vertices and faces; return their paths.

    Args:
        folder: made if missing.
        frames: N meshes (V, 3) mm, camera axes.
        faces: (F, 3) int.
        frame_ids: (N,) their numbers.
        progress: wraps the frames, such as ``tqdm``.
    """
    width = max(6, *(len(str(number)) for number in frame_ids))
    paths = [Path(folder) / f'{int(number):0{width}d}.obj' for number in frame_ids]
    for index in progress(range(len(paths))):
        write_obj(paths[index], frames[index], faces)
    return paths


def write_glb(path: Union[str, Path], frames: Sequence[np.ndarray], faces: np.ndarray, times: Sequence[float], *,
              name: str = 'body', progress: Callable[[Iterable], Iterable] = iter) -> None:
    """Write an animated mesh as one .glb.

    The first frame is the mesh, the others are morph targets, switched on one after the other: Blender shows them as
    shape keys with an animation, and every viewer of glTF plays it. Between frames the mesh is interpolated.

    Args:
        path: to write.
        frames: N meshes (V, 3) mm, camera axes.
        faces: (F, 3) int.
        times: (N,) seconds, rising, from 0.
        name: of the mesh.
        progress: wraps the frames, such as ``tqdm``.

    Raises:
        ImportError: trimesh is missing.
        ValueError: see ``check_mesh``; no frames, or times that do not fit them.
    """
    times = np.asarray(times, np.float32)
    if not len(frames) or times.shape != (len(frames),) or times[0] != 0 or (np.diff(times) <= 0).any():
        raise ValueError(f'{len(frames)} meshes are shown at {times.shape} times, expected at least one mesh, and for '
                         'each a time that rises from 0')
    trimesh = import_trimesh()
    first, faces = check_mesh(frames[0], faces)
    still = trimesh.Trimesh(to_file_axes(first), faces, vertex_normals=vertex_normals(to_file_axes(first), faces),
                            process=False)
    still.visual = trimesh.visual.TextureVisuals(material=trimesh.visual.material.PBRMaterial(
        baseColorFactor=COLOR, metallicFactor=0.0, roughnessFactor=0.8))
    scene = trimesh.Scene()
    scene.add_geometry(still, geom_name=name, node_name=name)
    content = trimesh.exchange.gltf.export_glb(scene, include_normals=True)
    if len(frames) > 1:
        content = _Animation(content).build(frames, faces, times, progress)
    with atomic_path(path) as work:
        work.write_bytes(content)


class _Animation:
    """The content of a .glb of one still mesh, to which morph targets are added."""

    def __init__(self, content: bytes) -> None:
        length, = struct.unpack_from('<I', content, 12)
        self.tree = json.loads(content[20:20 + length])
        size, = struct.unpack_from('<I', content, 20 + length)
        self.blobs = [content[28 + length:28 + length + size]]
        self.size = len(self.blobs[0])
        self.primitive = self.tree['meshes'][0]['primitives'][0]

    def build(self, frames: Sequence[np.ndarray], faces: np.ndarray, times: np.ndarray,
              progress: Callable[[Iterable], Iterable]) -> bytes:
        """Return the .glb with a target for each frame but the first, and when it is shown."""
        start = to_file_axes(frames[0])
        normals = vertex_normals(start, faces)
        targets = []
        for index in progress(range(1, len(frames))):
            moved = to_file_axes(check_mesh(frames[index], faces)[0])
            targets.append({'POSITION': self._add(moved - start, 'VEC3', with_range=True),
                            'NORMAL': self._add(vertex_normals(moved, faces) - normals, 'VEC3')})
        self.primitive['targets'] = targets
        self.tree['meshes'][0]['weights'] = [0.0] * len(targets)
        shown = np.eye(len(frames))[:, 1:]  # at the time of a frame its target alone counts
        node = next(place for place, node in enumerate(self.tree['nodes']) if 'mesh' in node)
        self.tree['animations'] = [{
            'name': 'motion', 'channels': [{'sampler': 0, 'target': {'node': node, 'path': 'weights'}}],
            'samplers': [{'input': self._add(times, 'SCALAR', with_range=True), 'output': self._add(shown, 'SCALAR'),
                          'interpolation': 'LINEAR'}]}]
        self.tree['buffers'][0]['byteLength'] = self.size
        return self._pack()

    def _add(self, values: np.ndarray, kind: str, *, with_range: bool = False) -> int:
        """Add numbers to the file; return the number of their accessor."""
        values = values.astype('<f4')
        self.tree['bufferViews'].append({'buffer': 0, 'byteOffset': self.size, 'byteLength': values.nbytes})
        accessor: dict[str, Any] = {'bufferView': len(self.tree['bufferViews']) - 1, 'componentType': FLOAT,
                                    'type': kind, 'count': values.size if kind == 'SCALAR' else len(values)}
        if with_range:
            rows = values.reshape(accessor['count'], -1)
            accessor.update(min=rows.min(axis=0).tolist(), max=rows.max(axis=0).tolist())
        self.tree['accessors'].append(accessor)
        self.blobs.append(values.tobytes())
        self.size += values.nbytes
        return len(self.tree['accessors']) - 1

    def _pack(self) -> bytes:
        """Return the file: a header and two chunks, each a multiple of four bytes."""
        text = json.dumps(self.tree, separators=(',', ':')).encode()
        text += b' ' * (-len(text) % 4)
        data = b''.join(self.blobs)
        return b''.join([struct.pack('<4sII', b'glTF', 2, 28 + len(text) + len(data)),
                         struct.pack('<II', len(text), JSON_CHUNK), text,
                         struct.pack('<II', len(data), BINARY_CHUNK), data])


def read_parameters(path: Union[str, Path], frame_ids: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Read the bodies of another method for the frames of a track.

    Args:
        path: .npz with ``smpl_pose`` (F, 24, 3) or (F, 72), axis-angle, and ``smpl_betas`` (F, 10) or (10,); with
            ``frame_ids`` (F,) where it has more frames than the track, or in another order.
        frame_ids: (N,) numbers of the frames of the track.

    Returns:
        Pose (N, 24, 3) and betas (N, 10).

    Raises:
        FileNotFoundError, ValueError: no such file, torn, without these arrays, of other shapes, or without some of
            the frames.
    """
    content = read_npz(path, PARAMETERS, required=('smpl_pose', 'smpl_betas'), optional=('frame_ids',))
    pose, betas = content['smpl_pose'], content['smpl_betas']
    length = len(pose) if pose.ndim else 0
    if pose.shape not in ((length, 24, 3), (length, 72)) or betas.shape not in ((length, 10), (10,)):
        raise ValueError(f'{path}: smpl_pose has shape {pose.shape} and smpl_betas {betas.shape}, expected (F, 24, 3) '
                         f'or (F, 72), and (F, 10); {PARAMETERS}')
    pose, betas = pose.reshape(length, 24, 3), np.broadcast_to(betas, (length, 10))
    if 'frame_ids' not in content:
        if length != len(frame_ids):
            raise ValueError(f'{path} holds {length} bodies and the keypoints {len(frame_ids)} frames; add frame_ids '
                             '(F,), the numbers of its frames')
        return pose, betas
    numbers = content['frame_ids']
    if numbers.shape != (length,):
        raise ValueError(f'{path}: frame_ids has shape {numbers.shape}, expected ({length},)')
    row_of = {int(number): row for row, number in enumerate(numbers)}
    absent = [int(number) for number in frame_ids if int(number) not in row_of]
    if absent:
        raise ValueError(f'{path} has no body for {len(absent)} of the {len(frame_ids)} frames of the keypoints, '
                         f'the first of them {absent[0]}; interpolate what the method could not see')
    rows = [row_of[int(number)] for number in frame_ids]
    return pose[rows], betas[rows]


def import_trimesh() -> ModuleType:
    """Return trimesh, which only mesh files need."""
    try:
        import trimesh
        import trimesh.exchange.gltf
    except ImportError as error:
        raise ImportError(f"mesh files need trimesh, which does not import here ({error}); pip install 'trimesh', or "
                          "the extra 'smpl' of this package") from error
    return trimesh
