# Official: configs/action/MB_ft_NTU60_xsub.yaml and lib/model/model_action.py.
_base_ = './dstformer_base.py'
model = dict(
    # Official: one pass. Mirroring would exchange the hands.
    flip_test=False,
    heads=dict(_delete_=True, action=dict(
        type='ActionHead',
        num_classes=None,  # those of the training data
        hidden_channels=2048,
        drop=0.5,
        losses=[dict(type='CrossEntropyLoss')])),
)
