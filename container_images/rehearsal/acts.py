"""ADR040 acted out: what the pipeline does with images, and what ECR refuses to everybody.

The acts follow on each other, as in a pipeline. They are played on one repository of each kind:
those with the same tag mutability behave alike.
"""

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Final, Literal

from container_images.aws.errors import RefusedError
from container_images.aws.images import Manifest, Put, Repository
from container_images.aws.reference import Reference
from container_images.aws.trail import NoTrailError
from container_images.policies.tag_convention import Stage, TagConvention
from container_images.policies.tag_mutability import is_immutable
from container_images.rehearsal.embedded_aws import REFUSALS, EmbeddedAws, embedded_aws
from container_images.rehearsal.moto_fixes import TagRule
from container_images.rehearsal.program import Update, run
from container_images.rehearsal.tags import convention_of, way_of, written
from container_images.settings import NAMESPACE, StackSettings
from container_images.settings.stack_file import StackFile
from container_images.stack.adopt import adoption
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import State, differences, intended
from container_images.stack.verify import verify
from container_images.tags.moves import Promotion, move, promote
from container_images.tags.resolve import resolve
from container_images.tags.rollback import rollback

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient


@dataclass(frozen=True, kw_only=True)
class Act:
    """What was done, and whether it came out as ADR040 asks."""

    act: str
    ok: bool
    detail: str
    by: Literal["moto", "simulated"]
    """Whose behaviour it shows: moto's alone, or also one that this project puts in moto's place,
    which is the rule of the exclusion filters (`TagRule`) and Pulumi's import."""


class _FailedError(Exception):
    """An act came out otherwise."""


class _NotPlayedError(Exception):
    """An act does not apply to a repository, for this reason."""


def perform(
    aws: EmbeddedAws, update: Update, found: Sequence[State], stack: DeclaredStack
) -> Iterator[Act]:
    """Play each act. Each is given as soon as it is over; one that does not apply says so.

    `found` is every repository as the API has it. The acts follow the settings, not what the
    program has made of them.
    """
    wanted = [intended(stack, name) for name in stack.settings.repositories]
    yield from _played(
        aws.tag_rule,
        "declared",
        [partial(_compare, wanted, found), partial(_check_options, update)],
    )
    pipeline = aws.ecr_as(update.outputs["pipelineRoleArn"])
    names = {it.name for it in found}
    kinds: dict[tuple[object, ...], list[_Scene]] = {}
    for scene in (_scene(pipeline, it, stack.settings) for it in wanted if it.name in names):
        it = scene.repository
        kind = (it.tag_mutability, it.exclusion_filters, str(scene.convention))
        kinds.setdefault(kind, []).append(scene)
    for name, act in _ACTS.items():
        yield from _played(
            aws.tag_rule, name, [partial(_play_one, act, alike) for alike in kinds.values()]
        )


def _play_one(act: Callable[["_Scene"], str], alike: Sequence["_Scene"]) -> str:
    """Play an act on the first of the repositories of a kind, for all of them."""
    try:
        return act(alike[0])
    except _NotPlayedError as reason:
        names = ", ".join(it.repository.name for it in alike[:_MOST_NAMED])
        more = f" and {len(alike) - _MOST_NAMED} more" if alike[_MOST_NAMED:] else ""
        raise _NotPlayedError(f"not played for {names}{more}: {reason}") from None


_MOST_NAMED: Final = 5
"""Repositories of a kind: of more, there is their number."""


def _scene(ecr: "ECRClient", repository: State, settings: StackSettings) -> "_Scene":
    convention = convention_of(settings, repository.name)
    return _Scene(ecr, repository, settings.movable_tags, convention)


def verified(stack: DeclaredStack, aws: EmbeddedAws) -> Act:
    """`registry verify` finds one of the repositories as the stack declares it, and guarded."""
    it = verify(next(aws.repositories()), stack)
    faults = [proof.claim for proof in it.proofs if not proof.proved]
    faults += map(str, it.differences)
    told = f"{it.live.name}: {len(it.proofs)} claims are proved, and nothing differs"
    return Act(act="verify", ok=it.ok, detail="; ".join(faults) or told, by="moto")


def adopt(file: StackFile, stack: DeclaredStack) -> Act:
    """A repository that exists, immutable and without policies, comes under the stack's guard.

    An AWS of its own has the stack's first repository in that state, with two builds. The program
    of the stack's file imports it. Where a failure is the settings', `perform` has found it.
    """
    name = next(iter(stack.settings.repositories))
    entries, audit = f"{NAMESPACE}:repositories", f"{NAMESPACE}:audit"
    written = json.loads(file.config[entries])[name] or {}
    only = {entries: json.dumps({name: written | {"import": True}})}
    # Of the audit, an adoption is no part.
    config = {key: it for key, it in file.config.items() if key != audit} | only
    file = replace(file, config=config)
    with embedded_aws(file) as aws:
        [act] = _played(aws.tag_rule, "adopt", [partial(_adopt, aws, file, stack, name)])
    return replace(act, by="simulated")  # the import, which is the engine's


def _adopt(aws: EmbeddedAws, file: StackFile, stack: DeclaredStack, name: str) -> str:
    wanted = intended(stack, name)
    ecr = aws.ecr_as(stack.settings.pipeline_roles_in(aws.account)[0])
    key = {"kmsKey": wanted.kms_key} if wanted.kms_key else {}
    ecr.create_repository(
        repositoryName=name,
        imageTagMutability="IMMUTABLE",
        encryptionConfiguration={"encryptionType": wanted.encryption, **key},  # type: ignore[typeddict-item]
    )
    scene = _scene(ecr, wanted, stack.settings)
    scene.push_builds()
    before, before_images = next(aws.repositories()), scene.images()
    told = adoption(before, stack)
    if told.blocks or [*(told.changes or ())] != differences(before, wanted):
        raise _FailedError(f"{name}: adopt reports {told.to_json()}")
    run(file, aws)
    [after] = aws.repositories()
    _compare([wanted], [after])
    if scene.images() != before_images:
        raise _FailedError(f"{name}: the images are {scene.images()}, and were {before_images}")
    scene.move(scene.first, scene.second)
    return (
        f"{name}, which existed as {before.tag_mutability} without policies, is now "
        f"{after.tag_mutability} and has both, as `registry adopt` said before; its "
        f"{len(before_images)} images are kept, and {scene.movable_tags[0]} moves"
    )


def _played(rule: TagRule, name: str, parts: Iterable[Callable[[], str | None]]) -> Iterator[Act]:
    """One act in all its parts."""
    rule.has_decided = False
    told: list[str | None] = []
    failures, unplayed = list[str](), list[str]()
    for part in parts:
        try:
            told.append(part())
        except _NotPlayedError as reason:
            unplayed.append(str(reason))
        except (_FailedError, RefusedError, *REFUSALS) as error:
            failures.append(str(error))
    # A success is told once for all; what failed or does not apply is told of each.
    if details := [*(failures or [*filter(None, told)][:1]), *unplayed]:
        by: Literal["moto", "simulated"] = "simulated" if rule.has_decided else "moto"
        yield Act(act=name, ok=not failures, detail="; ".join(details), by=by)


def _compare(wanted: Sequence[State], found: Sequence[State]) -> str:
    """What the API has, against what the settings say."""
    there, right = ({it.name: it for it in them} for them in (found, wanted))
    if there.keys() != right.keys():
        raise _FailedError(f"there is {sorted(there)}, and should be {sorted(right)}")
    for name, repository in there.items():
        if repository.arn != right[name].arn:
            raise _FailedError(f"{name} is {repository.arn}, and should be {right[name].arn}")
        if differing := differences(repository, right[name]):
            raise _FailedError(f"{name} is not as declared: {'; '.join(map(str, differing))}")
    return f"all repositories ({len(right)}) are as the settings say"


def _check_options(update: Update) -> None:
    """Pulumi's options that keep images and guard from being deleted; AWS does not know them."""
    options = {
        "aws:ecr/repository:Repository": (True, True),
        "aws:ecr/lifecyclePolicy:LifecyclePolicy": (False, True),
        "aws:ecr/repositoryPolicy:RepositoryPolicy": (False, True),
    }
    for it in update.resources:
        if (it.protect, it.retain_on_delete) != options.get(it.type, (False, False)):
            raise _FailedError(f"{it.name} ({it.type}) is not protected and retained as it should")


# --- The acts on one repository -------------------------------------------------------------------


class _Build:
    """An image, and the tag that it is built with."""

    def __init__(self, repository: str, number: int, built_as: Stage) -> None:
        content = f"{repository}, build {number}"
        # Without config and layers, for which ECR would ask: moto does not, and no act pulls them.
        text = json.dumps(
            {"schemaVersion": 2, "mediaType": _MANIFEST, "annotations": {"content": content}}
        )
        self.digest = f"sha256:{hashlib.sha256(text.encode()).hexdigest()}"
        self.manifest = Manifest(digest=self.digest, media_type=_MANIFEST, text=text)
        self.commit = hashlib.sha1(content.encode(), usedforsecurity=False).hexdigest()
        self._number = number
        self.tag = self.tag_of(built_as)

    def tag_of(self, stage: Stage) -> str:
        """Its tag of a stage."""
        return written(stage, self.commit, _START + timedelta(days=self._number), self._number)


_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
_START: Final = datetime(2025, 11, 24, 16, tzinfo=UTC)
"""The day before the first build."""


class _Scene:
    """A repository, its tags that move, and the pipeline's client."""

    def __init__(
        self,
        ecr: "ECRClient",
        repository: State,
        movable_tags: Sequence[str],
        convention: TagConvention,
    ) -> None:
        self.repository = repository
        self.convention = convention
        self.operated = Repository(ecr, Reference(name=repository.name), convention)
        self.movable_tags = movable_tags
        self.movable = " and ".join(movable_tags)
        self._is = "are" if movable_tags[1:] else "is"
        self.way = way_of(convention)
        self.first, self.second = (
            _Build(repository.name, number, self.way[0]) for number in (1, 2)
        )

    def push_builds(self) -> str:
        """Two builds, each with a tag of its own. The movable tags go to the first."""
        for build in (self.first, self.second):
            self._put(build, build.tag)
        for tag in self.movable_tags:
            self._put(self.first, tag)
            self._expect(self.first, tag)
        return f"two builds of {self.repository.name}; {self.movable} {self._is} on the first"

    def move(self, source: _Build, target: _Build) -> str:
        """The movable tags go on, or return, without a layer being pulled or pushed."""
        for tag in self.movable_tags:
            self._expect(source, tag)
            self.operated.put(self.operated.manifest(target.digest), tag)
            self._expect(target, tag)
        return f"{self.movable} went from {_short(source.digest)} to {_short(target.digest)}"

    def keep_unique_tag(self) -> str:
        """The first build is there, under the tag that it was built with."""
        self._expect(self.first, self.first.tag)
        return f"the first build can still be pulled, as {_short(self.first.tag)}"

    def refuse_overwriting(self) -> str:
        """A tag of each immutable pattern, first on one build, then on the other."""
        mode, filters = self.repository.tag_mutability, self.repository.exclusion_filters
        tags = [self.first.tag] if mode == "IMMUTABLE_WITH_EXCLUSION" else []
        if mode == "MUTABLE_WITH_EXCLUSION":  # two patterns may have the same sample
            tags = list(dict.fromkeys(it.replace("*", "0") for it in filters))
        if not tags:
            raise _NotPlayedError(f"with {mode} no tag is immutable")
        for tag in tags:
            self._put(self.first, tag)
            if self._put(self.second, tag) is Put.DONE:
                raise _FailedError(f"{self.repository.name}: {tag} was overwritten")
            self._expect(self.first, tag)
        return f"refused for {', '.join(map(_short, tags))}"

    def overwrite(self) -> str:
        """A tag that is neither movable nor immutable by the settings."""
        mode, filters = self.repository.tag_mutability, self.repository.exclusion_filters
        open_ = [tag for tag in _OTHER_TAGS if not is_immutable(tag, mode, filters)]
        if not open_:
            raise _NotPlayedError(f"every tag but {self.movable} is immutable")
        tag = open_[0]
        for build in (self.first, self.second):
            self._put(build, tag)
            self._expect(build, tag)
        return f"{tag}, which no pattern names, went from one build to the other"

    def promote(self) -> str:
        """The second build goes through all stages, as the first has before it."""
        last = self.way[-1]
        self._put(self.first, self.first.tag_of(last))
        for stage in (*self.way[1:], last):
            promotion = self._promote(stage, self.movable_tags if stage == last else ())
            self._expect(self.second, promotion.tag)
        self._expect(self.second, *self.movable_tags)
        image, _ = self.operated.image_and_place(self.second.tag, self.second.tag)
        stages = [tag.stage for tag in self.convention.unique_tags(image.tags)]
        if stages != [it.name for it in reversed(self.way)]:
            raise _FailedError(f"{self.repository.name}: the promoted build is {image.tags}")
        return f"the second build is {_short(promotion.tag)}; {self.movable} {self._is} on it"

    def _promote(self, stage: Stage, movable: Sequence[str]) -> Promotion:
        """With a tag of this stage which is made of the build's tag, or given where none can be."""
        source = self.second.tag
        try:
            self.convention.write(stage.name, [source], _START)
        except ValueError:
            given = self.second.tag_of(stage)
            return promote(self.operated, source, tag=given, movable=movable)
        return promote(self.operated, source, stage.name, movable=movable)

    def refuse_backwards(self) -> str:
        """The first build is older."""
        for tag in self.movable_tags:
            try:
                move(self.operated, self.first.digest, tag)
            except RefusedError:
                self._expect(self.second, tag)
            else:
                raise _FailedError(f"{self.repository.name}: {tag} went to an older build")
        return f"{self.movable} would not go to the older build"

    def roll_back(self) -> str:
        """Moto has no CloudTrail to tell where the tag was, so the unique tags do."""
        for tag in self.movable_tags:
            done = rollback(self.operated, tag, _no_trail)
            self._expect(self.first, tag)
        return f"{self.movable} {self._is} on the first build again, by the {done.basis}"

    def resolve(self) -> str:
        """What a review app would run, and what that was built from."""
        tells = any("sha" in it.placeholders for it in self.way)
        for tag in self.movable_tags:
            found = resolve(self.operated, tag)
            commit = self.first.commit if tells else None
            if (found.image.digest, found.commit) != (self.first.digest, commit):
                raise _FailedError(f"{self.repository.name}: {tag} was resolved to {found.image}")
        told = f"{self.movable} {self._is} {_short(str(found.unique_tag))}"
        return f"{told}, of commit {self.first.commit[:7]}" if tells else told

    def images(self) -> dict[str, list[str]]:
        """The tags of each image, by its digest."""
        return {it.digest: sorted(it.tags) for it in self.operated.images()}

    def _put(self, build: _Build, tag: str) -> Put:
        return self.operated.put(build.manifest, tag)

    def _expect(self, build: _Build, *tags: str) -> None:
        """The tags name the build, to the byte."""
        for tag in tags:
            found = self.operated.image(tag)
            if found is None or self.operated.manifest(found.digest) != build.manifest:
                raise _FailedError(f"{self.repository.name}: {tag} is not on {build.tag}")


_OTHER_TAGS: Final = ("scratch", "cache", "next")

_ACTS: Final[dict[str, Callable[[_Scene], str]]] = {
    "push-builds": _Scene.push_builds,
    "move-latest": lambda it: it.move(it.first, it.second),
    "keep-unique-tag": _Scene.keep_unique_tag,
    "refuse-overwriting": _Scene.refuse_overwriting,
    "overwrite-other-tag": _Scene.overwrite,
    "move-latest-back": lambda it: it.move(it.second, it.first),
    "promote": _Scene.promote,
    "refuse-backwards": _Scene.refuse_backwards,
    "roll-back": _Scene.roll_back,
    "resolve": _Scene.resolve,
}


def _no_trail() -> Sequence[str]:
    raise NoTrailError("the embedded AWS has no CloudTrail")


def _short(name: str, limit: int = 20) -> str:
    return name if len(name) <= limit else f"{name[: limit - 1]}…"
