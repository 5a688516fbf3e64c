"""P-STMO's refine module and the back-projection before it."""
import numpy as np
import torch

from motionbert_mm.datasets.transforms import RootDepthOracle
from motionbert_mm.models.heads.refined_pose import RefineModule, back_project
from tests.parity.vectors import load_vector

TOLERANCE = 2e-5  # of networks, absolute
MM = 1000.0


def read(vector):
    """Predicted poses (N, 1, 1, J, 3) in metres, and our record for the recorded 2D, truth and cameras."""
    pred, uv, truth, camera = (vector.inputs[name] for name in ('pred', 'uv', 'gt', 'cam'))
    results = dict(skeleton='h36m', norm=dict(scale=np.full(len(pred), MM)), keypoints_2d=uv[:, None],
                   keypoints_3d=truth[:, None] * MM, intrinsics=camera[:, :4])
    return torch.from_numpy(pred)[:, None], RootDepthOracle()(results, np.random.default_rng(0))['norm']


def test_the_input_is_put_at_the_predicted_depth():
    vector = load_vector('ps_refine')
    lifted, norm = read(vector)
    points = back_project(lifted, norm, root=0)[:, 0]
    torch.testing.assert_close(points, torch.from_numpy(vector.outputs['xyz']), rtol=0, atol=TOLERANCE)


def test_the_refined_pose():
    vector = load_vector('ps_refine')
    lifted, norm = read(vector)
    module = RefineModule(vector.meta['args']['n_joints']).eval()
    module.load_state_dict({key.replace('post_refine', 'weights'): value for key, value in vector.state_dict.items()})
    refined = module(lifted, back_project(lifted, norm, root=0))[:, 0]
    torch.testing.assert_close(refined, torch.from_numpy(vector.outputs['y']), rtol=0, atol=TOLERANCE)
    assert sum(value.numel() for value in module.parameters()) == 140322
