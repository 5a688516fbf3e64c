# Table 5, row + noise.
_base_ = './dstformer-base_lift-noise-mask_243f_1xb64-90e_amass-h36m_exact.py'
train_dataloader = dict(dataset=dict(datasets=dict(
    amass=dict(pipeline_changes=dict(SampleMask=None)), h36m=dict(pipeline_changes=dict(SampleMask=None)))))
