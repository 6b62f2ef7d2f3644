"""A run of a program under mocks: what is seen of it."""

import pulumi
import pytest

from container_images.rehearsal.program import execute
from container_images.stack.declared import DeclaredStack
from tests.conftest import Cloud

ROLE = "container-images:index:PipelineRole"
REPOSITORY = "container-images:index:ImageRepository"


def component(
    name: str, kind: str = REPOSITORY, parent: pulumi.Resource | None = None, **options: bool
) -> pulumi.Resource:
    opts = pulumi.ResourceOptions(parent=parent, **options)  # type: ignore[arg-type]
    return pulumi.ComponentResource(kind, name, {}, opts)


def test_a_resource_is_protected_and_retained_as_its_parent_where_it_does_not_say(
    prod: DeclaredStack, cloud: Cloud
) -> None:
    """The engine lets children inherit these two."""

    def program() -> None:
        outer = component("outer", protect=True, retain_on_delete=True)
        middle = component("middle", parent=outer)
        component("inner", parent=middle)
        component("other", parent=middle, protect=False, retain_on_delete=False)

    resources = execute(program, prod, cloud).resources
    assert [
        (each.name, each.parent, each.protect, each.retain_on_delete) for each in resources
    ] == [
        ("outer", None, True, True),
        ("middle", "outer", True, True),
        ("inner", "middle", True, True),
        ("other", "middle", False, False),
    ]


def test_what_a_resource_waits_for_is_seen(prod: DeclaredStack, cloud: Cloud) -> None:
    def program() -> None:
        both = [component("b"), component("a")]
        for name, depends_on in (("one", both[0]), ("two", both), ("none", None)):
            opts = pulumi.ResourceOptions(depends_on=depends_on)
            pulumi.ComponentResource(ROLE, name, {}, opts)

    waits = {each.name: each.depends_on for each in execute(program, prod, cloud).resources}
    assert (waits["one"], waits["two"], waits["none"]) == (("b",), ("b", "a"), ())


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
