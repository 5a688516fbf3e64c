# Spatial masks alone: 11 of 16 joints, the same in all frames (table 8 of MPM).
_base_ = './mpm-tiny_mask_9f_1xb64-12e_cmu-heldout_det.py'
changes = dict(SampleExactMask=dict(frame_ratio=0.0, num_joints=11, tube=True))
train_dataloader = dict(dataset=dict(datasets=dict(
    m2m=dict(pipeline_changes=changes), m3m=dict(pipeline_changes=changes), m2l=dict(pipeline_changes=changes))))
