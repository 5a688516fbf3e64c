"""What is wrong with the hosts in this environment; imports neither torch nor MMEngine, which may be broken too."""
