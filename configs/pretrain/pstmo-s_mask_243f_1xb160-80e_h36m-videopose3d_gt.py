# Official: -k gt -tmr 0.8 -smn 7
_base_ = './pstmo-s_mask_243f_1xb160-80e_h36m-videopose3d_cpn.py'
changes = dict(SampleExactMask=dict(num_joints=7))
train_dataloader = dict(dataset=dict(input_2d='exact', pipeline_changes=changes))
val_dataloader = dict(dataset=dict(input_2d='exact', pipeline_changes=changes))
test_dataloader = val_dataloader
