"""The mocks themselves: nothing that a test asserts can go unasked."""

import pulumi
import pulumi_aws as aws
import pytest
from pulumi.output import UNKNOWN

from tests.components.conftest import Mocks, build


def test_an_invoke_that_no_component_makes_is_refused(mocks: Mocks) -> None:
    with pytest.raises(Exception, match=r"asks for aws:index/getRegion:getRegion"):
        build(aws.get_region)
    assert mocks.inputs == {}


def test_a_resource_of_a_type_that_no_component_has_is_refused(mocks: Mocks) -> None:
    with pytest.raises(KeyError, match="aws:sns/topic:Topic"):
        build(lambda: aws.sns.Topic("topic"))
    assert mocks.inputs == {}


def test_the_same_resource_twice_is_refused(mocks: Mocks) -> None:
    def program() -> None:
        for _ in range(2):
            pulumi.ComponentResource("container-images:index:PipelineRole", "twice")

    with pytest.raises(AssertionError, match="twice"):
        build(program)
    assert len(mocks.inputs) == 1


@pytest.mark.usefixtures("mocks")
def test_what_fails_within_apply_fails_the_test() -> None:
    def fails(_: object) -> None:
        raise AssertionError("within apply")

    with pytest.raises(AssertionError, match="within apply"):
        build(lambda: {"one": pulumi.Output.from_input(1).apply(fails)})


@pytest.mark.usefixtures("mocks")
def test_an_output_that_is_never_known_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="never came to be known"):
        build(lambda: {"one": pulumi.Output.from_input(UNKNOWN).apply(print)})
