# Finetuned: MPVE 65.5, MPJPE 53.8, PA-MPJPE 34.9 mm (table 3). Official: configs/mesh/MB_ft_h36m.yaml
_base_ = ['../_base_/models/dstformer_base_mesh.py', '../_base_/datasets/h36m-mosh_16f.py',
          '../_base_/schedules/adamw_mesh.py', '../_base_/mesh_runtime.py']
# Or official weights, converted: python tools/model_converters/motionbert.py latest_epoch.bin pretrained.pth
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
val_evaluator = dict(protocol='h36m-mosh')
test_evaluator = val_evaluator
