_base_ = './dstformer-tiny_scratch_27f_1xb16-6e_synthetic-oneshot_det.py'
model = dict(backbone=dict(_delete_=True, type='PoseFormer', max_frames=27, dim=8, depth=2))
