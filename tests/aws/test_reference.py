from dataclasses import replace

import pytest

from container_images.aws import reference
from container_images.aws.reference import InvalidReferenceError, Reference


@pytest.mark.parametrize("name", ["forms-admin-deploy", "team.1/forms.admin__x-y", "a1", "a--b"])
def test_a_name_is_of_the_callers_registry_and_region(name: str) -> None:
    assert reference.parse(name) == Reference(name=name)
    assert str(reference.parse(name)) == name


@pytest.mark.parametrize(
    ("partition", "name"),
    [("aws", "team/forms"), ("aws-cn", "team.1/app"), ("aws-us-gov", "docker.io/library/nginx")],
)
def test_an_arn_says_account_and_region(partition: str, name: str) -> None:
    text = f"arn:{partition}:ecr:eu-west-1:111122223333:repository/{name}"
    parsed = reference.parse(text)
    assert parsed == Reference(name=name, registry_id="111122223333", region="eu-west-1")
    # A message names the account where the user did.
    assert str(parsed) == f"{name} (111122223333)"


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
    uri = f"{host}/team/forms"
    assert reference.parse(uri) == Reference(
        name="team/forms", registry_id="111122223333", region="eu-west-1", uri=uri
    )


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Forms",
        "-forms",
        "forms:a:b",
        "forms/x:y/z",
        "forms/",
        "a" * 257,
        "https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/forms",
        "arn:aws:ecr:eu-west-1:1111:repository/forms",
        "arn:aws:s3:::forms",
        "forms\n",
    ],
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(InvalidReferenceError, match="its ARN, or its URI"):
        reference.parse(text)


DIGEST = f"sha256:{'0a' * 32}"


@pytest.mark.parametrize("place", ["team/forms", "111122223333.dkr.ecr.eu-west-1.amazonaws.com/a"])
@pytest.mark.parametrize(
    ("suffix", "image"),
    [(":latest", "latest"), (f"@{DIGEST}", DIGEST), (f":latest@{DIGEST}", DIGEST)],
)
def test_an_image_can_be_named_with_its_repository(place: str, suffix: str, image: str) -> None:
    assert reference.parse(place + suffix) == replace(reference.parse(place), image=image)


@pytest.mark.parametrize(
    ("text", "registry"),
    [
        ("docker.io/app", "docker.io"),
        ("ghcr.io/x/y:latest", "ghcr.io"),
        ("public.ecr.aws/nginx/nginx", "public.ecr.aws"),
        (f"eu.gcr.io/x/y@{DIGEST}", "eu.gcr.io"),
        ("localhost:5000/app", "localhost:5000"),
        ("registry:5000/app:v1", "registry:5000"),
        ("1111.dkr.ecr.eu-west-1.amazonaws.com/app", "1111.dkr.ecr.eu-west-1.amazonaws.com"),
    ],
)
def test_another_registry_is_refused_by_its_name(text: str, registry: str) -> None:
    with pytest.raises(InvalidReferenceError, match=f"is an image of {registry}, and not of a pri"):
        reference.parse(text)


@pytest.mark.parametrize(
    ("digest", "error"),
    [
        ("sha256:abc", "'sha256:abc' is a malformed digest: .*64 hex digits.*; this has 3"),
        (f"sha256:{'A' * 64}", "is a malformed digest: .* in lower case$"),
        ("sha512:00", "'sha512:00' is a malformed digest"),
        ("latest", "'latest' is a malformed digest"),
        ("", "'' is a malformed digest"),
    ],
)
def test_a_malformed_digest_is_called_one(digest: str, error: str) -> None:
    with pytest.raises(InvalidReferenceError, match=error):
        reference.parse(f"forms@{digest}")
    with pytest.raises(InvalidReferenceError, match=error):
        reference.digest(digest)
    if ":" in digest:
        with pytest.raises(InvalidReferenceError, match=error):
            reference.image(digest)


@pytest.mark.parametrize("tag", ["", "-x", "a b", "a" * 129])
def test_what_is_no_tag_is_told(tag: str) -> None:
    with pytest.raises(InvalidReferenceError, match="is not a tag"):
        reference.parse(f"forms:{tag}")
    with pytest.raises(InvalidReferenceError, match="is not a tag"):
        reference.image(tag)


def test_digests_and_tags_are_told_apart() -> None:
    for text, is_digest, is_tag in (
        (DIGEST, True, False),
        ("latest", False, True),
        (DIGEST.upper(), False, False),
        (f"{DIGEST}0", False, False),
        ("a" * 129, False, False),
    ):
        assert (reference.is_digest(text), reference.is_tag(text)) == (is_digest, is_tag), text
