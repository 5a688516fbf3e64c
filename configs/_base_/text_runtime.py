_base_ = './default_runtime.py'
default_hooks = dict(
    checkpoint=dict(save_best='text_to_motion/R@5', rule='greater'),
    # Metrics that compare motion with text ask the model for the embeddings of texts.
    text_encoder=dict(type='TextEncoderHook'))
val_evaluator = dict(type='TextRetrievalMetric')
test_evaluator = val_evaluator
