"""Who can do what to a repository: proved over everybody, and found for each principal."""
