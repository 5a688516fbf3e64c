# Official: configs/action/MB_ft_NTU120_oneshot.yaml and lib/model/model_action.py.
_base_ = './dstformer_base.py'
model = dict(
    flip_test=False,
    heads=dict(_delete_=True, embed=dict(
        type='EmbeddingHead',
        out_channels=2048,
        drop=0.1,
        losses=[dict(type='SupConLoss', temperature=0.1)])),
)
