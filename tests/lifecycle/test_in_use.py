"""The images that something runs, as files name them."""

import pytest

from container_images.lifecycle.in_use import read_in_use
from container_images.policies.invalid_input import InvalidInputError

DIGEST = f"sha256:{'1' * 64}"
URI = "111122223333.dkr.ecr.eu-west-2.amazonaws.com/team/repo"


@pytest.mark.parametrize(
    "text",
    [
        f"{DIGEST}\n\n  repo:tag  \n docker.io/library/nginx:1",
        f'\n ["{DIGEST}", "repo:tag", "localhost:5000/repo"]',  # as ecrm scan prints it
    ],
)
def test_images_in_use(text: str) -> None:
    """Without those of other registries, where a repository may have the same name."""
    assert [use.written for use in read_in_use(text)] == [DIGEST, "repo:tag"]


@pytest.mark.parametrize(
    ("written", "name", "image"),
    [
        (DIGEST, "", DIGEST),
        ("Release_1", "", "Release_1"),
        ("repo", "repo", None),
        ("repo:tag", "repo", "tag"),
        (f"{URI}:tag@{DIGEST}", "team/repo", DIGEST),
        (f"docker-pullable://{URI}@{DIGEST}", "team/repo", DIGEST),
    ],
)
def test_what_names_an_image(written: str, name: str, image: str | None) -> None:
    [use] = read_in_use(written)
    assert (use.written, use.reference.name, use.reference.image) == (written, name, image)
    assert use.reference.registry_id == ("111122223333" if URI in written else None)


@pytest.mark.parametrize(
    ("text", "error"),
    [
        (" \n", "^no image in use is named in it; write one digest or .*, or leave out --in-use$"),
        ("[]", "no image in use is named in it"),
        ("repo:tag\nnull\n", r"^null: images in use are digests and .* \(this is no text\)"),
        ("[[]]", r"^\[\]: images in use are digests and image references"),
        ("[", "in use is not JSON"),
        (f"{URI}@sha256:1", "'sha256:1' is a malformed digest"),
        (f"{URI}:tag:tag", "is not a repository"),
        # Docker's own number of an image, which no registry knows.
        (f"docker://{DIGEST}", "is not a repository"),
        ("repo:tag\nthis is no image", "'this is no image' is not a repository"),
    ],
)
def test_refused_images_in_use(text: str, error: str) -> None:
    with pytest.raises(InvalidInputError, match=error):
        read_in_use(text)
