"""Pure functions on coordinates; NumPy arrays or torch tensors in, the same kind out."""
