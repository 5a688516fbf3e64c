# Table 1, scratch: 39.2 mm. Official: configs/pose3d/MB_train_h36m.yaml (120 epochs; the paper says 60).
_base_ = ['../_base_/models/dstformer_base.py', '../_base_/datasets/h36m_sh_243f.py',
          '../_base_/schedules/adamw_exp.py', '../_base_/default_runtime.py']
train_cfg = dict(max_epochs=120)
