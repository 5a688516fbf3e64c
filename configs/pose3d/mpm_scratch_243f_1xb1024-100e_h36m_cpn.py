# MPM without stage I.
_base_ = ['../_base_/models/mpm.py', '../_base_/datasets/h36m16_cpn_243f.py',
          '../_base_/schedules/adam_exp98.py', '../_base_/default_runtime.py']
