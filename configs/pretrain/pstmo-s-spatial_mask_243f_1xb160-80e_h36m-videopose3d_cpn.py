# Figure 5: spatial masks alone are best with 7 of 17 joints.
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
changes = dict(SampleExactMask=dict(frame_ratio=0.0, num_joints=7))
train_dataloader = dict(dataset=dict(pipeline_changes=changes))
val_dataloader = dict(dataset=dict(pipeline_changes=changes))
test_dataloader = val_dataloader
