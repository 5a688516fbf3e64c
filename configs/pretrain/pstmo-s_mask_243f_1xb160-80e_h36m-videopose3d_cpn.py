# Stage I of P-STMO-S.
# Official: run.py -f 243 -b 160 --MAE --train 1 --layers 3 -tds 2 -tmr 0.8 -smn 2 --lr 0.0001
_base_ = ['../_base_/models/pstmo-s_mask.py', '../_base_/datasets/pretrain_h36m_cpn_243f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
optim_wrapper = dict(optimizer=dict(lr=1e-4))
default_hooks = dict(checkpoint=dict(save_best='MPJPE-2D'))
