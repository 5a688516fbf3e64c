# MPM, stage I, at the base scale of table 5: Human3.6M and half of MPI-INF-3DHP. Which half is not published; here one
# stretch of each clip.
_base_ = './mpm_mask_243f_1xb1024-100e_h36m-3dhp-amass_gt.py'


def parts():
    """What changes in the stores of a task."""
    return dict(datasets=dict(mpi_inf_3dhp=dict(fraction=0.5), amass=None))


train_dataloader = dict(dataset=dict(datasets=dict(m2m=parts(), m3m=parts(), m2l=parts())))
