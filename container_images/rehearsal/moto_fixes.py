"""Fixes for moto, for the time of an act, where it differs from ECR and would falsify the act.

The only file that names moto's own parts, which may move with any release: `patch` then raises
AttributeError, and tests/rehearsal/test_moto_fixes.py says which name is gone. Tried with moto
5.2.5.
"""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final
from unittest.mock import patch

import moto.ecr.models
from moto import mock_aws
from moto.core.exceptions import ServiceException
from moto.ecr.exceptions import InvalidParameterException

from container_images.lifecycle.document import rules_in
from container_images.policies.tag_mutability import is_immutable


class _ImageTagAlreadyExists(ServiceException):
    code = "ImageTagAlreadyExistsException"


def _images_to_move(
    _: moto.ecr.models.ECRBackend, repository: moto.ecr.models.Repository, tag: str
) -> list[moto.ecr.models.Image]:
    """The images with the tag, where it may be put on another one: in place of moto's own check.

    To moto an exclusion filter is a regular expression: `latest` would be the filter for latest-2
    too, `prod-*` for prod alone, and `*-rc` would raise an error.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
    """
    images = [image for image in repository.images if tag in image.image_tags]
    filters = [it["filter"] for it in repository.image_tag_mutability_exclusion_filters or []]
    if images and is_immutable(tag, repository.image_tag_mutability, filters):
        raise _ImageTagAlreadyExists(
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and "
            "cannot be overwritten because the tag is immutable."
        )
    return images


TAG_CHECK: Final = "_resolve_image_tag_mutability"
"""Of moto's ECRBackend: what it asks before it puts a tag."""

NAME_PATTERN: Final = "ECR_REPOSITORY_NAME_PATTERN"
"""Of moto's ECR: it refuses some names that ECR accepts, such as a--b."""


class PolicyCheck:
    """What ECR takes as a lifecycle policy, in place of moto's check.

    Moto knows no archive: it refuses a transition, a storage class and the times that go with them.
    What the stack writes was checked by policies/retention.py already.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html
    """

    def __init__(self, text: str) -> None:
        self._text = text

    def validate(self) -> None:
        """Raise what ECR answers for a document that nobody can read."""
        try:
            rules_in(json.loads(self._text))
        except ValueError as error:  # InvalidInputError is one
            raise InvalidParameterException(
                "Invalid parameter at 'LifecyclePolicyText' failed to satisfy constraint: "
                f"'Lifecycle policy validation failure: {error}'"
            ) from None


POLICY_CHECK: Final = "EcrLifecyclePolicyValidator"
"""Of moto's ECR: what it asks before it puts a lifecycle policy."""


class _Image(moto.ecr.models.Image):
    """An image with a time of its push of its own: moto knows whole seconds alone, ECR more."""

    _pushes = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_pushed_at += next(self._pushes)


@contextmanager
def moto_put_right(repository_names: str) -> Iterator[None]:
    """Moto in place of AWS. `repository_names` is the pattern of a repository's name."""
    with (
        patch.object(moto.ecr.models.ECRBackend, TAG_CHECK, _images_to_move),
        patch.object(moto.ecr.models, NAME_PATTERN, repository_names),
        patch.object(moto.ecr.models, "Image", _Image),
        patch.object(moto.ecr.models, POLICY_CHECK, PolicyCheck),
        mock_aws(),
    ):
        yield
