"""One repository with two builds, and what a pipeline does with them."""

import hashlib
import json
from collections.abc import Iterable
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from container_images.aws.errors import RefusedError
from container_images.aws.images import Put, Repository, digest_of
from container_images.aws.reference import Reference
from container_images.rehearsal.year import tag_of, way_of
from container_images.settings import StackSettings
from container_images.stack.state import State
from container_images.tags.moves import move, promote, resolve
from container_images.tags.rollback import Puts, rollback

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


def manifest_with(content: str) -> str:
    """A manifest of an image that this text makes unique.

    It is without config and layers, for which ECR would ask: moto does not, and nothing pulls them.
    """
    media_type = "application/vnd.oci.image.manifest.v1+json"
    annotations = {"content": content}
    return json.dumps({"schemaVersion": 2, "mediaType": media_type, "annotations": annotations})


class Build(NamedTuple):
    """An image, and its tags of the stages that it goes through."""

    manifest: str
    commit: str | None
    """None where no tag has it."""
    tags: list[str]


class Pipeline:
    """A repository with the pipeline's client. Its methods are the acts, each behind the others.

    An act says what it did. It raises RefusedError where it comes out otherwise.
    """

    def __init__(self, ecr: "ECRClient", declared: State, settings: StackSettings) -> None:
        self._declared, self._name = declared, declared.name
        self._repository = Repository(ecr, Reference(name=self._name), settings.convention)
        self._movable_tags = settings.exact_movable_tags
        self._movable = " and ".join(self._movable_tags)
        stages = way_of(settings.convention)
        has_commit = any("sha" in stage.placeholders for stage in stages)

        def build(number: int) -> Build:
            content = f"{self._name}, build {number}"
            commit = hashlib.sha256(content.encode()).hexdigest()[:40]
            at = datetime(2025, 11, number, 16, tzinfo=UTC)
            tags = [tag_of(stage, commit, at, number) for stage in stages]
            return Build(manifest_with(content), commit if has_commit else None, tags)

        self._first, self._second = build(1), build(2)

    def push_builds(self) -> str:
        """Two builds, each with a tag of its own. The movable tags go to the first."""
        self._put(self._first, self._first.tags[:1])
        self._put(self._second, self._second.tags[:1])
        self._put(self._first, self._movable_tags)
        self._expect(self._first, self._movable_tags)
        return f"two builds of {self._name}; {self._movable} put on the first"

    def move_latest(self) -> str:
        """The movable tags go on."""
        return self._move(self._first, self._second)

    def refuse_overwriting(self) -> str:
        """A tag of each immutable pattern, first on one build, then on the other."""
        mode = self._declared.tag_mutability
        samples = (each.replace("*", "0") for each in self._declared.exclusion_filters)
        tags = {
            "MUTABLE_WITH_EXCLUSION": list(dict.fromkeys(samples)),  # two may be the same
            "IMMUTABLE_WITH_EXCLUSION": self._first.tags[:1],
        }.get(mode, [])
        self._put(self._first, tags)
        if Put.DONE in self._put(self._second, tags):
            raise RefusedError(f"{self._name}: one of {', '.join(tags)} was overwritten")
        self._expect(self._first, tags)
        if tags:
            return f"refused for {', '.join(tags)}"
        return f"nothing to refuse in {self._name}: with {mode} no tag is immutable"

    def move_latest_back(self) -> str:
        """The movable tags go back."""
        return self._move(self._second, self._first)

    def _move(self, source: Build, target: Build) -> str:
        """No layer is pulled or pushed. The source is still there, under the tag of its build."""
        self._expect(source, self._movable_tags)
        manifest = self._repository.manifest(digest_of(target.manifest))
        self._put(target._replace(manifest=manifest), self._movable_tags)
        self._expect(target, self._movable_tags)
        self._expect(source, source.tags[:1])
        return f"{self._movable} went from {source.tags[0]} to {target.tags[0]}"

    def promote(self) -> str:
        """The second build goes through all stages, as the first has before it."""
        self._put(self._first, self._first.tags[-1:])
        built_as, last = self._second.tags[0], self._second.tags[-1]
        for tag in self._second.tags[:-1]:
            promote(self._repository, built_as, tag=tag)
        promote(self._repository, built_as, tag=last, movable=self._movable_tags)
        self._expect(self._second, [*self._second.tags, *self._movable_tags])
        return f"the second build is {last}; {self._movable} put on it"

    def refuse_backwards(self) -> str:
        """The first build is older."""
        for tag in self._movable_tags:
            with suppress(RefusedError):
                move(self._repository, digest_of(self._first.manifest), tag)
        self._expect(self._second, self._movable_tags)
        return f"{self._movable} would not go to the older build"

    def roll_back(self) -> str:
        """Moto has no CloudTrail to tell where the tag was, so the unique tags do."""
        for tag in self._movable_tags:
            rollback(self._repository, tag, _no_trail)
        self._expect(self._first, self._movable_tags)
        return f"{self._movable} went back to the first build, by the unique tags"

    def resolve(self) -> str:
        """What a review app would run, and what that was built from."""
        expected = digest_of(self._first.manifest), self._first.commit, self._first.tags[-1]
        for tag in self._movable_tags:
            resolved = resolve(self._repository, tag)
            seen = resolved["digest"], resolved["commit"], resolved["uniqueTag"]
            if seen != expected:
                raise RefusedError(f"{self._name}: {tag} resolved to {', '.join(map(str, seen))}")
        return f"{self._movable} resolved to {expected[-1]}"

    def _put(self, build: Build, tags: Iterable[str]) -> list[Put]:
        return [self._repository.put(build.manifest, tag) for tag in tags]

    def _expect(self, build: Build, tags: Iterable[str]) -> None:
        """The tags name the build, to the byte."""
        digest = digest_of(build.manifest)
        places = {tag: image.digest for image in self._repository.images() for tag in image.tags}
        if missing := [tag for tag in tags if places.get(tag) != digest]:
            raise RefusedError(f"{self._name}: {', '.join(missing)} is not on {build.tags[0]}")
        self._repository.manifest(digest)


ACTS: Final = [name for name in vars(Pipeline) if not name.startswith("_")]


def _no_trail() -> Puts:
    raise RefusedError("the embedded AWS has no CloudTrail")
