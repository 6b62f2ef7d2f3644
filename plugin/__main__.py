"""The component plugin: ImageRepository and PipelineRole for Pulumi programs in any language.

It is in a folder of its own because Pulumi refuses a PulumiPlugin.yaml beside a Pulumi.yaml.
"""

import sys
import tomllib
from pathlib import Path

from pulumi.provider.experimental import component_provider_host

# Pulumi starts this in its own folder; the components are in the folder beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole

# Without a version, Pulumi takes the newest commit of the repository, whatever tag was asked for.
project = Path(__file__).resolve().parents[1] / "pyproject.toml"
version = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]

component_provider_host(
    name="container-images", components=[ImageRepository, PipelineRole], version=version
)
