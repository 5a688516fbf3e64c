"""Pictures: skeletons in three views, strips over time, animations, loss curves."""
from motionbert_mm.visualization.animation import animate
from motionbert_mm.visualization.curves import plot_losses
from motionbert_mm.visualization.skeleton_plot import draw_strip, draw_views

__all__ = ['animate', 'draw_strip', 'draw_views', 'plot_losses']
