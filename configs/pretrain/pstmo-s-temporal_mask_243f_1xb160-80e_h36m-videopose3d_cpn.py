# Figure 5: temporal masks alone are best at 90 % of the frames.
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
changes = dict(SampleExactMask=dict(frame_ratio=0.9, num_joints=0))
train_dataloader = dict(dataset=dict(pipeline_changes=changes))
val_dataloader = dict(dataset=dict(pipeline_changes=changes))
test_dataloader = val_dataloader
