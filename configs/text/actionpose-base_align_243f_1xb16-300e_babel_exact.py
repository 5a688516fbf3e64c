# Alignment with texts, single joints and frames hidden (table 3, + MAP).
_base_ = './actionpose-base_align-regions-windows_243f_1xb16-300e_babel_exact.py'
train_dataloader = dict(dataset=dict(pipeline_changes=dict(SampleMotionMask=dict(shares=dict(joints=1.0)))))
