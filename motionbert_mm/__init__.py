"""Skeleton motion models on MMEngine; importing the package imports nothing else."""
__version__ = '0.1.0'
