"""Figures: how the time per repository grows, and what the components cost."""
