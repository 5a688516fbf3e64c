# As h36m_sh_243f with ground-truth 2D as input, which replaces x and y of the prediction. Official: gt_2d: True
_base_ = './h36m_sh_243f.py'
train_dataloader = dict(dataset=dict(input_2d='exact'))
val_dataloader = dict(dataset=dict(input_2d='exact', pipeline_changes=dict(NormalizeCoords=dict(given_2d=True))))
test_dataloader = val_dataloader
