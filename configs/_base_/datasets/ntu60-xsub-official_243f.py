# As official action weights were trained: confidence in the order of COCO, absent persons in the middle of the image.
_base_ = './ntu60-xsub_243f.py'
train_dataloader = dict(dataset=dict(targets=['persons_swapped'], pipeline=[
    dict(type='OfficialActionPose'),
    dict(type='RandomMove'),
    dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[1, 3]),
    dict(type='PackInputs', fields=['label']),
]))
val_dataloader = dict(dataset=dict(targets=['persons_swapped'], pipeline=[
    dict(type='OfficialActionPose'),
    dict(type='NormalizeCoords', inputs='crop_scale', target=None, crop_range=[2, 2]),
    dict(type='PackInputs', fields=['label']),
]))
test_dataloader = val_dataloader
