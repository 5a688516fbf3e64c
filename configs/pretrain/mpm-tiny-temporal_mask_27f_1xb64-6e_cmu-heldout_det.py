# Temporal masks alone, 20 of 27 frames (table 8 of MPM).
_base_ = './mpm-tiny_mask_27f_1xb64-6e_cmu-heldout_det.py'
changes = dict(SampleExactMask=dict(frame_ratio=0.75, num_joints=0))
train_dataloader = dict(dataset=dict(datasets=dict(
    m2m=dict(pipeline_changes=changes), m3m=dict(pipeline_changes=changes), m2l=dict(pipeline_changes=changes))))
