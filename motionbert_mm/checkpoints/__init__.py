"""Checkpoints: safe loading, architecture checks, and the official weights of the four systems."""
