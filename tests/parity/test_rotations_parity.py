"""MotionBERT lib/utils/utils_mesh.py: rotation representations."""
import pytest
import torch

from motionbert_mm.geometry import rotation
from tests.parity.vectors import assert_close, load_vector

# Official function (output name), its input and ours.
CASES = [
    ('rot6d_to_rotmat', 'in/six', rotation.rotation_6d_to_matrix),
    ('rot6d_to_rotmat_spin', 'in/six', lambda six: rotation.rotation_6d_to_matrix(six, eps=1e-12)),
    ('quaternion', 'in/rotmat', rotation.matrix_to_quaternion),
    ('quaternion_to_angle_axis', 'out/quaternion', rotation.quaternion_to_axis_angle),
    ('rotation_matrix_to_angle_axis', 'in/rotmat', rotation.matrix_to_axis_angle),
    ('batch_rodrigues', 'in/angle_axis', lambda angles: rotation.axis_angle_to_matrix(angles).reshape(-1, 9)),
]


@pytest.mark.parametrize('as_array', [lambda array: array, torch.from_numpy], ids=['numpy', 'torch'])
@pytest.mark.parametrize('output, source, function', CASES, ids=[case[0] for case in CASES])
def test_rotation(output, source, function, as_array):
    vector = load_vector('mb_mesh_rotations')
    if output not in vector.outputs:
        pytest.skip(f'{output} is ambiguous for this batch size in the official code and was not recorded')
    group, key = source.split('/')
    values = {'in': vector.inputs, 'out': vector.outputs}[group][key]
    assert_close(function(as_array(values)), vector.outputs[output])


def test_every_recorded_function_is_compared():
    assert set(load_vector('mb_mesh_rotations').outputs) <= {case[0] for case in CASES}
