"""What the Pulumi engine runs: the policies, served until the engine ends."""

import sys
from pathlib import Path

# The engine starts this in its own folder; the package is in the folder beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from container_images.policypack.pack import serve

serve()
