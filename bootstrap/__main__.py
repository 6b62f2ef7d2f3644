"""The program: roles for CI, GitHub's OIDC provider, a bucket for the state and a key."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))  # for the policies of the registry itself

from bootstrap.delivery import main

main()
