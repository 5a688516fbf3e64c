_base_ = ['../_base_/models/dstformer_small.py', '../_base_/datasets/cmu_27f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/default_runtime.py']
# Half again as fast on CPUs with bfloat16 units, and without effect on others.
float32_matmul_precision = 'medium'
