# No texts: single joints and frames hidden. What the alignment and the other masks are compared with.
_base_ = './actionpose-tiny_regions-windows_27f_1xb16-10e_synthetic-text_det.py'
train_dataloader = dict(dataset=dict(
    pipeline_changes=dict(SampleMotionMask=dict(shares=dict(_delete_=True, joints=1.0)))))
