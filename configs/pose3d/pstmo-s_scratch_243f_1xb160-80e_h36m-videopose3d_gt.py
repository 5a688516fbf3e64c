# Ground-truth 2D, without stage I: 30.3 mm (table 8). Official: -k gt --lr 0.001
_base_ = ['../_base_/models/pstmo-s.py', '../_base_/datasets/h36m_videopose3d-gt_243f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
optim_wrapper = dict(optimizer=dict(lr=1e-3))
