"""The component plugin: Registry and its parts for Pulumi programs in any language.

It is in a folder of its own because Pulumi refuses a PulumiPlugin.yaml beside a Pulumi.yaml.
"""

import sys
import tomllib
from pathlib import Path

from pulumi.provider import main

# Pulumi starts this in its own folder; the components are in the folder beside it.
sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole
from components.provider import Provider
from components.registry import Registry
from components.tag_audit import TagAudit

# Without a version, Pulumi takes the newest commit of the repository, whatever tag was asked for.
project = Path(__file__).resolve().parents[1] / "pyproject.toml"
version = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
components: list[type] = [Registry, ImageRepository, PipelineRole, TagAudit]

main(Provider(components, "container-images", version=version), sys.argv[1:])
