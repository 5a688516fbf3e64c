"""Pictures: skeletons in three views, strips over time, animations, loss curves, attention maps."""
from motionbert_mm.visualization.animation import animate
from motionbert_mm.visualization.attention import AttentionRow, plot_attention
from motionbert_mm.visualization.curves import plot_losses
from motionbert_mm.visualization.skeleton_plot import draw_strip, draw_views

__all__ = ['AttentionRow', 'animate', 'draw_strip', 'draw_views', 'plot_attention', 'plot_losses']
