# Tests mpm_scratch_..._h36m-2d_gt.py: 91.8 mm published (table 3).
_base_ = './mpm_scratch_27f_1xb2048-100e_h36m-2d_gt.py'
test_dataloader = dict(dataset=dict(pipeline_changes=dict(SampleJointGroups=dict(groups=['legs']))))
