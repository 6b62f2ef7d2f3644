"""One repository with two builds, and what a pipeline does with them."""

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from container_images.aws.errors import RefusedError
from container_images.aws.images import Manifest, Put, Repository
from container_images.aws.reference import Reference
from container_images.aws.trail import NoTrailError
from container_images.policies.tag_convention import Stage, TagConvention
from container_images.rehearsal.tags import tag_of, way_of
from container_images.stack.state import State
from container_images.tags.moves import Promotion, move, promote
from container_images.tags.resolve import resolve
from container_images.tags.rollback import Puts, rollback

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


class FailedError(Exception):
    """An act came out otherwise."""


_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_START: Final = datetime(2025, 11, 24, 16, tzinfo=UTC)
"""The day before the first build."""


def manifest_with(content: str) -> Manifest:
    """A manifest of an image that this text makes unique.

    It is without config and layers, for which ECR would ask: moto does not, and nothing pulls them.
    """
    text = json.dumps(
        {"schemaVersion": 2, "mediaType": _MANIFEST, "annotations": {"content": content}}
    )
    digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
    return Manifest(digest=digest, media_type=_MANIFEST, text=text)


class Build:
    """An image, and the tag that it is built with."""

    def __init__(self, repository: str, number: int, built_as: Stage) -> None:
        content = f"{repository}, build {number}"
        self.manifest = manifest_with(content)
        self.digest = self.manifest.digest
        self.commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        self._number = number
        self.tag = self.tag_of(built_as)

    def tag_of(self, stage: Stage) -> str:
        """Its tag of a stage."""
        return tag_of(stage, self.commit, _START + timedelta(days=self._number), self._number)


class Pipeline:
    """A repository with the pipeline's client. Each method raises FailedError or RefusedError."""

    def __init__(
        self,
        ecr: "ECRClient",
        declared: State,
        movable_tags: Sequence[str],
        convention: TagConvention,
    ) -> None:
        self.name = name = declared.name
        self._declared = declared
        self._repository = Repository(ecr, Reference(name=name), convention)
        self._convention = convention
        self._movable_tags = movable_tags
        self._movable = " and ".join(movable_tags)
        self._is = "are" if movable_tags[1:] else "is"
        self._way = way_of(convention)
        self.first, self.second = (Build(name, number, self._way[0]) for number in (1, 2))

    def push_builds(self) -> str:
        """Two builds, each with a tag of its own. The movable tags go to the first."""
        for build in (self.first, self.second):
            self._put(build, build.tag)
        for tag in self._movable_tags:
            self._put(self.first, tag)
            self._expect(self.first, tag)
        return f"two builds of {self.name}; {self._movable} {self._is} on the first"

    def move(self, source: Build, target: Build) -> str:
        """The movable tags go on, or return, without a layer being pulled or pushed.

        Both builds are still there, under the tags that they were built with.
        """
        for tag in self._movable_tags:
            self._expect(source, tag)
            self._repository.put(self._repository.manifest(target.digest), tag)
            self._expect(target, tag)
        self._expect(source, source.tag)
        return f"{self._movable} went from {_short(source.digest)} to {_short(target.digest)}"

    def refuse_overwriting(self) -> str:
        """A tag of each immutable pattern, first on one build, then on the other."""
        mode, filters = self._declared.tag_mutability, self._declared.exclusion_filters
        tags = [self.first.tag] if mode == "IMMUTABLE_WITH_EXCLUSION" else []
        if mode == "MUTABLE_WITH_EXCLUSION":  # two patterns may have the same sample
            tags = list(dict.fromkeys(pattern.replace("*", "0") for pattern in filters))
        for tag in tags:
            self._put(self.first, tag)
            if self._put(self.second, tag) is Put.DONE:
                raise FailedError(f"{self.name}: {tag} was overwritten")
            self._expect(self.first, tag)
        if not tags:
            return f"nothing to refuse in {self.name}: with {mode} no tag is immutable"
        return f"refused for {', '.join(map(_short, tags))}"

    def promote(self) -> str:
        """The second build goes through all stages, as the first has before it."""
        last = self._way[-1]
        self._put(self.first, self.first.tag_of(last))
        for stage in (*self._way[1:], last):
            promotion = self._promote(stage, self._movable_tags if stage == last else ())
            self._expect(self.second, promotion.tag)
        self._expect(self.second, *self._movable_tags)
        tags = self.images()[self.second.digest]
        stages = [tag.stage for tag in self._convention.unique_tags(tags)]
        if stages != [stage.name for stage in reversed(self._way)]:
            raise FailedError(f"{self.name}: the promoted build is {tags}")
        return f"the second build is {_short(promotion.tag)}; {self._movable} {self._is} on it"

    def _promote(self, stage: Stage, movable: Sequence[str]) -> Promotion:
        """With a tag of this stage which is made of the build's tag, or given where none can be."""
        source = self.second.tag
        try:
            self._convention.write(stage.name, [source], _START)
        except ValueError:
            tag = self.second.tag_of(stage)
            return promote(self._repository, source, tag=tag, movable=movable)
        return promote(self._repository, source, stage.name, movable=movable)

    def refuse_backwards(self) -> str:
        """The first build is older."""
        for tag in self._movable_tags:
            try:
                move(self._repository, self.first.digest, tag)
            except RefusedError:
                self._expect(self.second, tag)
            else:
                raise FailedError(f"{self.name}: {tag} went to an older build")
        return f"{self._movable} would not go to the older build"

    def roll_back(self) -> str:
        """Moto has no CloudTrail to tell where the tag was, so the unique tags do."""
        for tag in self._movable_tags:
            done = rollback(self._repository, tag, _no_trail)
            self._expect(self.first, tag)
        return f"{self._movable} {self._is} on the first build again, by the {done.basis}"

    def resolve(self) -> str:
        """What a review app would run, and what that was built from."""
        has_commit = any("sha" in stage.placeholders for stage in self._way)
        commit = self.first.commit if has_commit else None
        for tag in self._movable_tags:
            resolved = resolve(self._repository, tag)
            if (resolved.image.digest, resolved.commit) != (self.first.digest, commit):
                raise FailedError(f"{self.name}: {tag} was resolved to {resolved.image}")
        described = f"{self._movable} {self._is} {_short(str(resolved.unique_tag))}"
        return f"{described}, of commit {commit[:7]}" if commit else described

    def images(self) -> dict[str, list[str]]:
        """The tags of each image, by its digest."""
        return {image.digest: sorted(image.tags) for image in self._repository.images()}

    def _put(self, build: Build, tag: str) -> Put:
        return self._repository.put(build.manifest, tag)

    def _expect(self, build: Build, *tags: str) -> None:
        """The tags name the build, to the byte."""
        for tag in tags:
            image = self._repository.image(tag)
            if image is None or self._repository.manifest(image.digest) != build.manifest:
                raise FailedError(f"{self.name}: {tag} is not on {build.tag}")


def _no_trail() -> Puts:
    raise NoTrailError("the embedded AWS has no CloudTrail")


def _short(name: str, limit: int = 20) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
