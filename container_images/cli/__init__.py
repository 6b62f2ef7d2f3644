"""The command `container-images`: a file for each group of commands, and what they print."""
