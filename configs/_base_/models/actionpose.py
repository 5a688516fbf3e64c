# ActionPose: MotionBERT's encoder with a class token, and three layers of BERT. No code was published; what the paper
# leaves open (the width of the shared space, gamma, the level of the token, the weights of the losses) is our choice.
_base_ = './dstformer_base.py'
model = dict(
    backbone=dict(type='ActionPoseEncoder', gives_token=True, tap_layer=3),
    neck=dict(
        _delete_=True,
        type='FeatureBranches',
        branches=dict(
            frames=dict(type='RepresentationLayer', out_channels=512),
            token=dict(type='PosePooling', out_channels=512))),
    heads=dict(
        _delete_=True,
        pose=dict(type='PoseLiftHead', source='frames', losses=[
            dict(type='MPJPELoss', weight=1.0),
            dict(type='VelocityLoss', weight=20.0),
        ]),
        # bert-base-uncased as HuggingFace lays it out: config.json, vocab.txt and the weights. Nothing is downloaded.
        text=dict(type='TextAlignHead', source='token', text_encoder=dict(path='data/bert-base-uncased'), losses=[
            # Temperature as published.
            dict(type='AlignmentLoss', temperature=0.1, gamma=2.0, weight=0.1),
        ])),
)
