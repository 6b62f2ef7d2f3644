"""Moto in place of AWS, put right where it differs from ECR and would falsify the rehearsal.

The only file that names moto's own parts, which may move with any release: `patch` then raises
AttributeError, and tests/rehearsal/test_embedded_aws.py says which name is gone. Tried with 5.2.5.
"""

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from moto import mock_aws
from moto.core.exceptions import ServiceException
from moto.ecr import models

from container_images.lifecycle.document import read_policy
from container_images.policies.tag_mutability import is_immutable


class _ImageTagAlreadyExists(ServiceException):
    code = "ImageTagAlreadyExistsException"


def _images_to_move(
    _: models.ECRBackend, repository: models.Repository, tag: str
) -> list[models.Image]:
    """The images with the tag, where it may be put on another one.

    To moto an exclusion filter is a regular expression: `latest` would be the filter for latest-2
    too, `prod-*` for prod alone, and `*-rc` would raise an error.
    https://docs.aws.amazon.com/AmazonECR/latest/userguide/image-tag-mutability.html
    """
    images = [image for image in repository.images if tag in image.image_tags]
    exclusions = repository.image_tag_mutability_exclusion_filters or []
    filters = [exclusion["filter"] for exclusion in exclusions]
    if images and is_immutable(tag, repository.image_tag_mutability, filters):
        raise _ImageTagAlreadyExists(
            f"The image tag '{tag}' already exists in the '{repository.name}' repository and "
            "cannot be overwritten because the tag is immutable."
        )
    return images


def _policy_check(text: str) -> SimpleNamespace:
    """Takes what the simulation can read: moto knows no archive, and refuses a transition."""
    return SimpleNamespace(validate=lambda: read_policy(text))


class _Image(models.Image):
    """An image with a time of its push of its own: moto knows whole seconds alone, ECR more."""

    _pushes = itertools.count()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.image_pushed_at += next(self._pushes)


@contextmanager
def moto_put_right() -> Iterator[None]:
    """Moto in place of AWS, for as long as the context lasts."""
    with (
        patch.object(models.ECRBackend, "_resolve_image_tag_mutability", _images_to_move),
        # Moto refuses names that ECR accepts, such as a--b. The settings check names.
        patch.object(models, "ECR_REPOSITORY_NAME_PATTERN", ".*"),
        patch.object(models, "Image", _Image),
        patch.object(models, "EcrLifecyclePolicyValidator", _policy_check),
        mock_aws(),
    ):
        yield
