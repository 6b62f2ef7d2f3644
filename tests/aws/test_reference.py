import pytest

from container_images.aws import reference
from container_images.aws.reference import InvalidReferenceError, Reference

DIGEST = f"sha256:{'0a' * 32}"
HOST = "111122223333.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.mark.parametrize("name", ["forms-admin-deploy", "team.1/forms.admin__x-y", "a1", "a--b"])
def test_a_name_is_of_the_callers_registry_and_region(name: str) -> None:
    assert reference.parse(name) == Reference(name=name)
    assert str(reference.parse(name)) == name


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("arn:aws:ecr:eu-west-1:111122223333:repository/team/forms", "team/forms"),
        ("arn:aws-cn:ecr:eu-west-1:111122223333:repository/docker.io/x", "docker.io/x"),
        (f"{HOST}/team/forms", "team/forms"),
        ("111122223333.dkr.ecr-fips.eu-west-1.amazonaws.com/a", "a"),
        ("111122223333.dkr-ecr.eu-west-1.on.aws/a", "a"),
        ("111122223333.dkr.ecr.eu-west-1.amazonaws.com.cn/a", "a"),
    ],
)
def test_an_arn_and_a_uri_say_account_and_region(text: str, name: str) -> None:
    parsed = reference.parse(text)
    assert parsed == Reference(name=name, registry_id="111122223333", region="eu-west-1")
    assert str(parsed) == f"{name} (111122223333)"


def test_an_image_can_be_named_with_its_repository() -> None:
    for place in ("team/forms", f"{HOST}/a"):
        assert reference.parse(f"{place}:latest").image == "latest"
        assert reference.parse(f"{place}@{DIGEST}").image == DIGEST
        assert reference.parse(f"{place}:latest@{DIGEST}").image == DIGEST


@pytest.mark.parametrize(
    ("error", "texts"),
    [
        ("its ARN, or its URI", ["", "Forms", "-forms", "forms:a:b", "forms/x:y/z", "forms/"]),
        ("its ARN, or its URI", [f"https://{HOST}/forms", "forms\n", f"{HOST}/a/"]),
        ("its ARN, or its URI", ["arn:aws:ecr:eu-west-1:1111:repository/forms", "arn:aws:s3:::x"]),
        ("its ARN, or its URI", [f"{HOST}/a:b:c", "forms@latest", "forms@sha512:00"]),
        ("is an image of docker.io, and not", ["docker.io/app"]),
        ("is an image of eu.gcr.io, and not", [f"eu.gcr.io/x/y@{DIGEST}"]),
        ("is an image of localhost:5000, and not", ["localhost:5000/app", "localhost:5000/app:v1"]),
        ("is an image of registry:5000, and not", ["registry:5000/app:v1"]),
        ("is an image of 1111.dkr.ecr.eu-west-1", ["1111.dkr.ecr.eu-west-1.amazonaws.com/app"]),
        ("is not a tag", ["forms:", "forms:-x", "forms:a b", f"forms:{'a' * 129}"]),
        ("is a malformed digest", ["forms@sha256:abc", f"forms@{DIGEST}0"]),
    ],
)
def test_anything_else_is_refused(error: str, texts: list[str]) -> None:
    for text in texts:
        with pytest.raises(InvalidReferenceError, match=error):
            reference.parse(text)
