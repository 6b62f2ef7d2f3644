"""The boundary: AWS as the environment names it, and how it fails."""
