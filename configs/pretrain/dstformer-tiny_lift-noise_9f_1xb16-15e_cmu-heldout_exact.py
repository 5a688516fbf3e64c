_base_ = './dstformer-tiny_lift-noise-mask_9f_1xb16-15e_cmu-heldout_exact.py'
train_dataloader = dict(dataset=dict(datasets=dict(mocap=dict(pipeline_changes=dict(SampleMask=None)))))
