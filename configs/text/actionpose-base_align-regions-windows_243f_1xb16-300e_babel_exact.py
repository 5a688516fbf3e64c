# Alignment with texts, and masks of body regions and stretches of time (table 3, + MMM + MAP).
_base_ = ['../_base_/models/actionpose.py', '../_base_/datasets/babel_243f.py', '../_base_/schedules/adamw_text.py',
          '../_base_/text_runtime.py']
# Published: the weights of MotionBERT, converted (tools/model_converters/motionbert.py), or pretrained here.
load_from = 'work_dirs/dstformer-base_lift-noise-mask-2d_243f_1xb64-90e_amass-h36m_exact/epoch_90.pth'
