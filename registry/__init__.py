"""The commands: move, resolve and trace tags, and show images before they expire."""
