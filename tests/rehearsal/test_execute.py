"""A run of a program under mocks: what is seen of it."""

import pulumi
import pytest

from container_images.rehearsal.program import execute
from container_images.stack.declared import DeclaredStack
from tests.cloud import Cloud, awaited


def component(name: str, **options: object) -> pulumi.Resource:
    opts = pulumi.ResourceOptions(**options)  # type: ignore[arg-type]
    return pulumi.ComponentResource("container-images:index:ImageRepository", name, {}, opts)


def test_the_options_of_a_resource_are_seen(prod: DeclaredStack, cloud: Cloud) -> None:
    """The engine lets children inherit the first two, where they do not say."""

    def program() -> None:
        outer = component("outer", protect=True, retain_on_delete=True)
        middle = component("middle", parent=outer)
        inner = component("inner", parent=middle)
        after = component("after", parent=middle, depends_on=inner)
        alone = {"protect": False, "retain_on_delete": False}
        component("other", parent=middle, depends_on=[after, inner], **alone)

    resources = execute(program, prod, cloud).resources
    assert [
        (each.name, each.parent, each.protect, each.retain_on_delete, awaited(each))
        for each in resources
    ] == [
        ("outer", None, True, True, set()),
        ("middle", "outer", True, True, set()),
        ("inner", "middle", True, True, set()),
        ("after", "middle", True, True, {"inner"}),
        ("other", "middle", False, False, {"after", "inner"}),
    ]


def test_outputs_are_waited_for(prod: DeclaredStack, cloud: Cloud) -> None:
    def program() -> None:
        late = component("a").urn.apply(lambda urn: urn.rpartition("::")[2])
        pulumi.export("nested", {"name": [late, "plain"]})

    assert execute(program, prod, cloud).outputs == {"nested": {"name": ["a", "plain"]}}


def test_what_fails_within_apply_is_raised(prod: DeclaredStack, cloud: Cloud) -> None:
    def fails(_: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        execute(lambda: component("a").urn.apply(fails), prod, cloud)
