# Finetuned: MPVE 88.1, MPJPE 76.9, PA-MPJPE 47.2 mm (table 3). Official: configs/mesh/MB_ft_pw3d.yaml
_base_ = ['../_base_/models/dstformer_base_mesh.py', '../_base_/datasets/3dpw-coco-h36m_16f.py',
          '../_base_/schedules/adamw_mesh.py', '../_base_/mesh_runtime.py']
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
default_hooks = dict(curriculum=dict(type='CurriculumHook', end_epochs=dict(h36m=20)))
val_evaluator = dict(protocol='3dpw')
test_evaluator = val_evaluator
