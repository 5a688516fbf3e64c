# ActionPose, finetuned without texts: published 36.7 mm. As MotionBERT's finetuning, whose settings these are.
_base_ = './dstformer-base_ft_243f_1xb32-60e_h36m-motionbert_sh.py'
model = dict(backbone=dict(type='ActionPoseEncoder', tap_layer=3))
load_from = 'work_dirs/actionpose-base_align-regions-windows_243f_1xb16-300e_babel_exact/epoch_300.pth'
