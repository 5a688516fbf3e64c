# Alignment with texts, single joints and frames hidden.
_base_ = './actionpose-tiny_align-regions-windows_27f_1xb16-10e_synthetic-text_det.py'
train_dataloader = dict(dataset=dict(pipeline_changes=dict(SampleMotionMask=dict(shares=dict(joints=1.0)))))
