# Official: configs/pose3d/MB_ft_h36m_global_lite.yaml (learning_rate 0.0005), the small in-the-wild weights.
_base_ = ['../_base_/models/dstformer_lite.py', '../_base_/datasets/h36m_sh-global_243f.py',
          '../_base_/schedules/adamw_exp.py', '../_base_/default_runtime.py']
optim_wrapper = dict(optimizer=dict(lr=5e-4))
# Or official weights, converted: python tools/model_converters/motionbert.py latest_epoch.bin pretrained.pth
load_from = 'work_dirs/dstformer-lite_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
