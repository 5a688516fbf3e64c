# Table 1, scratch, ground-truth 2D: 17.8 mm. Official: MB_train_h36m.yaml with gt_2d: True.
_base_ = ['../_base_/models/dstformer_base.py', '../_base_/datasets/h36m_gt_243f.py',
          '../_base_/schedules/adamw_exp.py', '../_base_/default_runtime.py']
train_cfg = dict(max_epochs=120)
