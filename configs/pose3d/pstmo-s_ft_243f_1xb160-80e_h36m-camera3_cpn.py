# Trained on the fourth camera after stage I on the other three, tested on the fourth: 44.4 mm, without stage I 45.2.
_base_ = './pstmo-s_scratch_243f_1xb160-80e_h36m-videopose3d_cpn.py'
cameras = ['*60457274']
train_dataloader = dict(dataset=dict(include=cameras))
val_dataloader = dict(dataset=dict(include=cameras))
test_dataloader = val_dataloader
load_from = 'work_dirs/pstmo-s_mask_243f_1xb160-80e_h36m-cameras012_cpn/epoch_158.pth'
