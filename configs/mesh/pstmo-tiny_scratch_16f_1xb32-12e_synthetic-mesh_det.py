_base_ = './dstformer-tiny_scratch_16f_1xb32-12e_synthetic-mesh_det.py'
model = dict(backbone=dict(_delete_=True, type='PSTMOEncoder', in_channels=3, max_frames=27, dim=128, depth=2))
