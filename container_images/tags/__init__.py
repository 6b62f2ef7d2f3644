"""Tags moved, promoted, rolled back, resolved and traced."""
