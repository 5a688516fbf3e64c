_base_ = ['../_base_/models/dstformer_small.py', '../_base_/datasets/cmu_27f.py',
          '../_base_/schedules/adamw_onecycle.py', '../_base_/default_runtime.py']
# 1.5 to 2 times as fast on CPUs with bfloat16 units; on others set optim_wrapper.type=OptimWrapper.
optim_wrapper = dict(type='BFloat16OptimWrapper')
