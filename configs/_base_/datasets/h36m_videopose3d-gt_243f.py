# As h36m_cpn_243f with ground-truth 2D as input. Official: --keypoints gt
_base_ = './h36m_cpn_243f.py'
train_dataloader = dict(dataset=dict(input_2d='exact'))
val_dataloader = dict(dataset=dict(input_2d='exact'))
test_dataloader = val_dataloader
