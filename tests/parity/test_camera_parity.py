"""Projection of MPM, and normalisation, camera motion and windows of P-STMO."""
import numpy as np
import pytest

from motionbert_mm.datasets.windows import centre_windows
from motionbert_mm.geometry.camera import camera_to_world, project, world_to_camera
from motionbert_mm.geometry.coords import flip, screen_to_unit, unit_to_screen
from motionbert_mm.structures import get_skeleton
from tests.parity.vectors import assert_close, load_vector

PSTMO = 'ps_camera_generator'


def test_mpm_projection_with_and_without_distortion():
    vector = load_vector('mpm_camera')
    points, cameras = vector.inputs['X'], vector.inputs['cam']
    bent = project(points, cameras[:, :4], distortion=cameras[:, 4:], limit=1.0)
    assert_close(bent, vector.outputs['project_to_2d'])
    assert_close(project(points, cameras[:, :4], limit=1.0), vector.outputs['linear'])


def test_mpm_projection_to_pixels():
    vector = load_vector('mpm_camera')
    args = vector.meta['args']
    points = vector.inputs['X'][0]
    pixels = project(points, [*args['focal_length'], *args['center']])
    assert_close(np.concatenate([pixels, points[..., 2:]], -1), vector.outputs['camera2pixel'])


def test_pstmo_screen_normalisation_and_back():
    vector = load_vector(PSTMO)
    pixels = vector.inputs['px']
    for output in (key for key in vector.outputs if key.startswith('norm_')):
        size = [int(side) for side in output.split('_')[1:]]
        unit = screen_to_unit(pixels, size)
        assert_close(unit, vector.outputs[output])
        assert_close(unit_to_screen(unit, size), vector.outputs['image_back'])


def test_pstmo_world_to_camera_and_back():
    vector = load_vector(PSTMO)
    pose = vector.inputs['quat'], vector.inputs['t']
    in_camera = world_to_camera(vector.inputs['world'], *pose)
    assert_close(in_camera, vector.outputs['world_to_camera'])
    assert_close(camera_to_world(in_camera, *pose), vector.outputs['camera_to_world'])


def pstmo_windows(vector, length, dilation):
    return centre_windows(length, 2 * vector.meta['args']['pad'] + 1, dilation)


def test_pstmo_chunks():
    vector = load_vector(PSTMO)
    swap = np.arange(vector.inputs['seq2d'].shape[1])
    left, right = vector.meta['kps_left'], vector.meta['kps_right']
    swap[left + right] = right + left
    for key in ('2d', '3d'):
        sequence = vector.inputs[f'seq{key}']
        windows = pstmo_windows(vector, len(sequence), vector.meta['args']['tds'])
        assert len(windows) == vector.outputs['n_pairs'][0]
        for number, case in enumerate(vector.meta['cases']):
            chunk = sequence[windows[case['start']]]
            chunk = flip(chunk, swap) if case['flip'] else chunk
            np.testing.assert_array_equal(chunk, vector.outputs[f'c{number}_{key}'])


def test_pstmo_flipped_chunk_of_3dhp():
    vector = load_vector(PSTMO)
    flip_indices = get_skeleton('mpi_inf_3dhp17').flip_indices
    sequence = flip(vector.inputs['seq3d'], flip_indices)
    starts = [start for start in range(len(sequence))
              if np.array_equal(sequence[start:start + 1], vector.outputs['hp_3d'])]
    assert len(starts) == 1
    window = pstmo_windows(vector, len(sequence), dilation=1)[starts[0]]
    np.testing.assert_array_equal(flip(vector.inputs['seq2d'][window], flip_indices), vector.outputs['hp_2d'])


def test_pstmo_short_sequence_is_padded_at_both_ends_here():
    # Official: the left end only, which returns fewer frames than the window has.
    vector = load_vector(PSTMO)
    short = vector.inputs['short2d']
    windows = pstmo_windows(vector, len(short), vector.meta['args']['tds'])
    official = vector.outputs['short_2d']
    if len(official) == windows.shape[1]:
        pytest.skip('the short sequence of this vector fits the window')
    starts = [start for start in range(len(short))
              if np.array_equal(short[windows[start]][:len(official)], official)]
    assert len(starts) == 1
    assert windows.shape == (len(short), 2 * vector.meta['args']['pad'] + 1)
