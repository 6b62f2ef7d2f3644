"""The program: roles for CI, GitHub's OIDC provider, a bucket for the state and a key."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # in a clone, the package is there

from container_images.bootstrap.delivery import main

main()
