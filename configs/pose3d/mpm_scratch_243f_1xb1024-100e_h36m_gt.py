# MPM without stage I, ground-truth 2D.
_base_ = './mpm_scratch_243f_1xb1024-100e_h36m_cpn.py'
train_dataloader = dict(dataset=dict(input_2d='exact'))
val_dataloader = dict(dataset=dict(input_2d='exact'))
test_dataloader = val_dataloader
