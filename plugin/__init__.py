"""The component plugin."""
