# P-STMO-S without stage I: 43.9 mm (table 8).
# Official: run.py -f 243 -b 160 --train 1 --layers 3 -tds 2 --lr 0.0007
_base_ = ['../_base_/models/pstmo-s.py', '../_base_/datasets/h36m_cpn_243f.py',
          '../_base_/schedules/adam_exp97.py', '../_base_/default_runtime.py']
