# Official: configs/mesh/*.yaml and lib/model/model_mesh.py; loss weights are those of all official configs.
# SMPL is licensed: docs/mesh.md says where to get the files, and what to do without them.
_base_ = './dstformer_base.py'
body_model = dict(
    path='data/body_models/SMPL_NEUTRAL.npz',
    regressor='data/body_models/J_regressor_h36m_correct.npy',
    mean_params='data/body_models/smpl_mean_params.npz')
model = dict(
    heads=dict(_delete_=True, mesh=dict(
        type='MeshHead',
        body_model=body_model,
        hidden_channels=1024,
        drop=0.1,
        losses=[
            dict(type='MPJPELoss', weight=0.5),
            dict(type='VelocityLoss', weight=10.0),
        ],
        smpl_losses=[
            dict(type='SMPLPoseLoss', weight=1000.0),
            dict(type='SMPLShapeLoss', weight=1.0),
            dict(type='SMPLNormLoss', weight=20.0),
        ])),
)
val_evaluator = dict(type='MeshMetric', body_model=body_model)
test_evaluator = val_evaluator
