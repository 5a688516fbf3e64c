# P-STMO with four layers: 42.8 mm (table 1). Official: --layers 4 --lr 0.001
_base_ = ['../_base_/models/pstmo.py', '../_base_/datasets/h36m_cpn_243f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
load_from = 'work_dirs/pstmo_mask_243f_1xb160-80e_h36m-videopose3d_cpn/epoch_158.pth'
optim_wrapper = dict(optimizer=dict(lr=1e-3))
