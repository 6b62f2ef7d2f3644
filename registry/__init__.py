"""What is operated: `python -m registry`, the tags of a repository moved, resolved and traced."""
