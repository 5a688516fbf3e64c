# Motion completion: the middle quarter of the frames is hidden when the model is tested (ActionPose, section 5).
# To test a text checkpoint: python tools/test.py THIS CHECKPOINT
_base_ = '../text/actionpose-base_align-regions-windows_243f_1xb16-300e_babel_exact.py'
val_dataloader = dict(dataset=dict(pipeline=[
    dict(type='OrthographicView', facing=True),
    dict(type='NormalizeCoords', target='image_space'),
    dict(type='HideWindow', place='middle', share=0.25),
    dict(type='PackInputs', fields=['keypoints_3d', 'keypoints_2d', 'confidence', 'mask']),
]))
test_dataloader = val_dataloader
default_hooks = dict(checkpoint=dict(save_best='MPJPE', rule='less'))
val_evaluator = dict(_delete_=True, type='Pose3DMetric')
test_evaluator = val_evaluator
