# As h36m_sh_243f, the place in the image kept. Official: rootrel: False in configs/pose3d/MB_ft_h36m_global*.yaml
_base_ = './h36m_sh_243f.py'
pipeline_changes = dict(NormalizeCoords=dict(target='image_space_global'))
train_dataloader = dict(dataset=dict(pipeline_changes=pipeline_changes))
val_dataloader = dict(dataset=dict(pipeline_changes=pipeline_changes))
test_dataloader = val_dataloader
