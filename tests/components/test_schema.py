"""The components' schema, from which Pulumi makes SDKs for other languages."""

from pulumi.provider.experimental.analyzer import Analyzer

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole


def test_other_languages_could_use_the_components() -> None:
    """Pulumi infers a component's schema from its args; it raises where it knows no type."""
    analyzed = Analyzer("container-images").analyze([ImageRepository, PipelineRole])
    repository = analyzed["component_definitions"]["ImageRepository"]
    assert repository.inputs.keys() == {
        "access",
        "tagMutability",
        "movableTags",
        "immutableTags",
        "retention",
        "kmsKey",
        "scanOnPush",
        "tags",
        "importExisting",
    }
    assert repository.outputs.keys() == {"repositoryUrl", "repositoryArn", "tagMutability"}
    role = analyzed["component_definitions"]["PipelineRole"]
    assert role.inputs.keys() == {"trust", "path", "permissionsBoundary"}
    assert role.outputs.keys() == {"arn"}
    types = analyzed["type_definitions"].values()
    fields = {
        **repository.inputs,
        **role.inputs,
        **{f"{it.name}.{name}": field for it in types for name, field in it.properties.items()},
    }
    assert [name for name, field in fields.items() if not field.description] == []
