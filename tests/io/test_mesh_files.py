import builtins
import json
import struct

import numpy as np
import pytest
import trimesh

from motionbert_mm.io.mesh_files import read_parameters, to_file_axes, write_glb, write_obj, write_obj_sequence
from tests.meshes import sphere


@pytest.fixture
def frames():
    """Five spheres of 300 mm and more that move 10 mm down from frame to frame, and their faces."""
    vertices, faces = sphere(5, 8, 300.0)
    return [vertices * [1, 1, 1 + 0.1 * step] + [0, 10.0 * step, 0] for step in range(5)], faces


def read_glb(path):
    """Return the JSON of a .glb and a function that reads an accessor."""
    content = path.read_bytes()
    magic, version, size = struct.unpack_from('<4sII', content)
    assert (magic, version, size) == (b'glTF', 2, len(content))
    length, kind = struct.unpack_from('<I4s', content, 12)
    assert kind == b'JSON' and length % 4 == 0
    tree = json.loads(content[20:20 + length])
    size, kind = struct.unpack_from('<I4s', content, 20 + length)
    data = content[28 + length:]
    assert kind == b'BIN\0' and size == len(data) == tree['buffers'][0]['byteLength']

    def read(number):
        accessor = tree['accessors'][number]
        view = tree['bufferViews'][accessor['bufferView']]
        part = data[view['byteOffset']:view['byteOffset'] + view['byteLength']]
        values = np.frombuffer(part, {5126: '<f4', 5125: '<u4'}[accessor['componentType']])
        values = values.reshape(-1, {'SCALAR': 1, 'VEC3': 3}[accessor['type']])
        assert len(values) == accessor['count']
        if 'min' in accessor:
            np.testing.assert_array_equal([accessor['min'], accessor['max']], [values.min(axis=0), values.max(axis=0)])
        return values
    return tree, read


def test_files_are_in_metres_with_y_up_and_keep_their_inside():
    np.testing.assert_allclose(to_file_axes([[1000, 2000, 3000]]), [[1, -2, -3]])
    vertices, faces = sphere(5, 8, 300.0)
    volumes = [trimesh.Trimesh(each, faces, process=False).volume for each in (vertices / 1000, to_file_axes(vertices))]
    assert volumes[0] == pytest.approx(volumes[1]) and volumes[0] > 0


def test_obj_is_read_back(frames, tmp_path):
    write_obj(tmp_path / 'a.obj', frames[0][1], frames[1])
    mesh = trimesh.load(tmp_path / 'a.obj', process=False)
    np.testing.assert_allclose(mesh.vertices, to_file_axes(frames[0][1]), atol=1e-5)
    np.testing.assert_array_equal(mesh.faces, frames[1])


def test_a_sequence_is_named_by_its_frames_and_keeps_the_order_of_vertices(frames, tmp_path):
    paths = write_obj_sequence(tmp_path / 'obj', frames[0][:2], frames[1], [7, 1234567])
    assert [path.name for path in paths] == ['0000007.obj', '1234567.obj']
    for path, vertices in zip(paths, frames[0]):
        mesh = trimesh.load(path, process=False)
        np.testing.assert_allclose(mesh.vertices, to_file_axes(vertices), atol=1e-5)


def test_glb_shows_every_frame_at_its_time(frames, tmp_path):
    times = np.array([0, 0.1, 0.2, 0.4, 0.5])
    write_glb(tmp_path / 'a.glb', *frames, times)
    tree, read = read_glb(tmp_path / 'a.glb')
    primitive = tree['meshes'][0]['primitives'][0]
    start, normals = (read(primitive['attributes'][name]) for name in ('POSITION', 'NORMAL'))
    np.testing.assert_array_equal(read(primitive['indices']).reshape(-1, 3), frames[1])
    sampler, = tree['animations'][0]['samplers']
    channel, = tree['animations'][0]['channels']
    assert channel['target'] == {'node': 0, 'path': 'weights'} and tree['nodes'][0]['mesh'] == 0
    np.testing.assert_allclose(read(sampler['input'])[:, 0], times, rtol=1e-6)
    weights = read(sampler['output']).reshape(5, 4)
    for index, row in enumerate(weights):
        for name, first, expected in (('POSITION', start, to_file_axes(frames[0][index])), ('NORMAL', normals, None)):
            shown = first + sum(share * read(target[name]) for share, target in zip(row, primitive['targets']))
            if expected is not None:
                np.testing.assert_allclose(shown, expected, atol=1e-6)
            else:
                np.testing.assert_allclose(np.linalg.norm(shown, axis=-1), 1, atol=1e-5)


def test_glb_is_read_by_trimesh(frames, tmp_path):
    for count in (1, 5):
        write_glb(tmp_path / 'a.glb', frames[0][:count], frames[1], np.arange(count) / 30, name='somebody')
        scene = trimesh.load(tmp_path / 'a.glb')
        mesh = scene.geometry['somebody']
        np.testing.assert_allclose(mesh.vertices, to_file_axes(frames[0][0]), atol=1e-6)
        assert mesh.volume > 0.05
    assert 'animations' in read_glb(tmp_path / 'a.glb')[0]


@pytest.mark.parametrize('times, message', [([0, 1], 'at least one mesh'), ([0, 1, 1, 2, 3], 'rises from 0'),
                                            ([1, 2, 3, 4, 5], 'rises from 0')])
def test_times_that_do_not_fit_are_refused(frames, tmp_path, times, message):
    with pytest.raises(ValueError, match=message):
        write_glb(tmp_path / 'a.glb', *frames, times)


def test_a_broken_mesh_leaves_no_file(frames, tmp_path):
    frames[0][3][0, 0] = np.nan
    with pytest.raises(ValueError, match='NaN'):
        write_glb(tmp_path / 'a.glb', *frames, np.arange(5))
    with pytest.raises(ValueError, match='NaN'):
        write_obj(tmp_path / 'a.obj', frames[0][3], frames[1])
    assert not list(tmp_path.iterdir())


def test_without_trimesh_its_extra_is_named(frames, tmp_path, monkeypatch):
    real = builtins.__import__

    def blocked(name, *args, **kwargs):
        if name.startswith('trimesh'):
            raise ImportError('blocked')
        return real(name, *args, **kwargs)
    monkeypatch.setattr(builtins, '__import__', blocked)
    with pytest.raises(ImportError, match="the extra 'smpl'"):
        write_obj(tmp_path / 'a.obj', frames[0][0], frames[1])


def parameters(path, length=6, **changes):
    rng = np.random.default_rng(0)
    content = dict(smpl_pose=rng.normal(size=(length, 24, 3)), smpl_betas=rng.normal(size=(length, 10)))
    np.savez(path, **{**content, **changes})
    return content


def test_parameters_are_found_by_their_frames(tmp_path):
    given = parameters(tmp_path / 'a.npz', frame_ids=np.array([4, 3, 5, 8, 6, 7]))
    pose, betas = read_parameters(tmp_path / 'a.npz', np.array([3, 4, 8]))
    np.testing.assert_array_equal(pose, given['smpl_pose'][[1, 0, 3]])
    np.testing.assert_array_equal(betas, given['smpl_betas'][[1, 0, 3]])


def test_parameters_may_be_flat_and_have_one_shape(tmp_path):
    given = parameters(tmp_path / 'a.npz')
    np.savez(tmp_path / 'b.npz', smpl_pose=given['smpl_pose'].reshape(6, 72), smpl_betas=given['smpl_betas'][0])
    pose, betas = read_parameters(tmp_path / 'b.npz', np.arange(10, 16))
    np.testing.assert_array_equal(pose, given['smpl_pose'])
    np.testing.assert_array_equal(betas, np.tile(given['smpl_betas'][0], (6, 1)))


@pytest.mark.parametrize('changes, message', [
    (dict(smpl_pose=np.zeros((6, 23, 3))), r'smpl_pose has shape \(6, 23, 3\)'),
    (dict(smpl_betas=np.zeros((5, 10))), r'smpl_betas \(5, 10\)'), (dict(smpl_pose=np.float32(1)), r'shape \(\)'),
    (dict(frame_ids=np.arange(5)), r'frame_ids has shape \(5,\)'),
    (dict(frame_ids=np.arange(6)), 'no body for 2 of the 4 frames of the keypoints, the first of them 6'),
    ({}, 'holds 6 bodies and the keypoints 4 frames'), (dict(smpl_pose=np.array([None])), 'Python objects')])
def test_parameters_that_do_not_fit_are_refused(tmp_path, changes, message):
    parameters(tmp_path / 'a.npz', **changes)
    with pytest.raises(ValueError, match=message):
        read_parameters(tmp_path / 'a.npz', np.arange(4, 8))


def test_a_file_without_parameters_is_named(tmp_path):
    np.savez(tmp_path / 'a.npz', theta=np.zeros(3))
    with pytest.raises(ValueError, match=r'a.npz lacks smpl_pose, smpl_betas; it holds theta'):
        read_parameters(tmp_path / 'a.npz', np.arange(3))
