# Spatial masks alone: 12 of 16 joints, the same in all frames (table 8 of MPM).
_base_ = './mpm-tiny_mask_27f_1xb64-6e_cmu-heldout_det.py'
changes = dict(SampleExactMask=dict(frame_ratio=0.0, num_joints=12, tube=True))
train_dataloader = dict(dataset=dict(datasets=dict(
    m2m=dict(pipeline_changes=changes), m3m=dict(pipeline_changes=changes), m2l=dict(pipeline_changes=changes))))
