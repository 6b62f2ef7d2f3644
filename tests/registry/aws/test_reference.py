import pytest

from registry.aws import reference
from registry.aws.reference import InvalidReferenceError, Reference


@pytest.mark.parametrize("name", ["forms-admin-deploy", "team/forms.admin__x-y", "a1", "a--b"])
def test_a_name_is_of_the_callers_registry_and_region(name: str) -> None:
    assert reference.parse(name) == Reference(name=name)


@pytest.mark.parametrize("partition", ["aws", "aws-cn", "aws-us-gov"])
def test_an_arn_says_account_and_region(partition: str) -> None:
    text = f"arn:{partition}:ecr:eu-west-1:111122223333:repository/team/forms"
    assert reference.parse(text) == Reference(
        name="team/forms", registry_id="111122223333", region="eu-west-1"
    )


@pytest.mark.parametrize(
    "host",
    [
        "111122223333.dkr.ecr.eu-west-1.amazonaws.com",
        "111122223333.dkr.ecr-fips.eu-west-1.amazonaws.com",
        "111122223333.dkr-ecr.eu-west-1.on.aws",
        "111122223333.dkr.ecr.eu-west-1.amazonaws.com.cn",
    ],
)
def test_a_uri_says_account_and_region_and_is_kept(host: str) -> None:
    assert reference.parse(f"{host}/team/forms") == Reference(
        name="team/forms",
        registry_id="111122223333",
        region="eu-west-1",
        uri=f"{host}/team/forms",
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Forms",
        "forms:latest",
        "forms@sha256:00",
        "-forms",
        "forms/",
        "a" * 257,
        "https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/forms",
        "111122223333.dkr.ecr.eu-west-1.amazonaws.com/forms:latest",
        "arn:aws:ecr:eu-west-1:1111:repository/forms",
        "arn:aws:s3:::forms",
        "forms\n",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="its ARN, or its URI"):
        reference.parse(text)


def test_a_message_names_the_account_where_the_user_did() -> None:
    assert str(reference.parse("forms")) == "forms"
    arn = "arn:aws:ecr:eu-west-1:111122223333:repository/forms"
    assert str(reference.parse(arn)) == "forms (111122223333)"


def test_digests_and_tags_are_told_apart() -> None:
    digest = f"sha256:{'0a' * 32}"
    assert reference.is_digest(digest)
    assert not reference.is_tag(digest)
    assert reference.is_tag("latest")
    assert not reference.is_digest("latest")
    assert not reference.is_digest(digest.upper())
    assert not reference.is_digest(digest + "0")
    assert not reference.is_tag("a" * 129)
