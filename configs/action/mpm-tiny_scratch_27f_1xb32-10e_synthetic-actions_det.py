_base_ = './dstformer-tiny_scratch_27f_1xb32-10e_synthetic-actions_det.py'
model = dict(backbone=dict(_delete_=True, type='MPMEncoder', num_joints=17, max_frames=27, dim=128, depth=2,
                           has_3d=False))
