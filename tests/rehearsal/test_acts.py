"""The acts: each comes out well on the stack as it is, and each can fail."""

import copy
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any

import moto.ecr.models
import pytest
from moto.ecr.exceptions import RepositoryNotFoundException

from components import image_repository
from container_images.aws.errors import RefusedError
from container_images.policies.tag_mutability import exclusion_filters
from container_images.rehearsal import pipeline as pipeline_module
from container_images.rehearsal.acts import Act, perform
from container_images.rehearsal.embedded_aws import EmbeddedAws, embedded_aws
from container_images.rehearsal.moto_fixes import TAG_CHECK
from container_images.rehearsal.program import Update, run
from container_images.settings import Account, StackSettings
from container_images.settings.stack_file import StackFile
from container_images.stack.declared import DeclaredStack, declared_in
from container_images.stack.state import State
from container_images.tags.moves import Promotion, move, promote
from container_images.tags.resolve import Resolved, resolve
from container_images.tags.rollback import Rollback, rollback

MOVABLE = ["latest", "stable"]
ALL = [
    "declared",
    "push-builds",
    "move-latest",
    "refuse-overwriting",
    "move-latest-back",
    "promote",
    "refuse-backwards",
    "roll-back",
    "resolve",
]
OPEN_POLICY = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "ecr:*"}],
}
ECR = moto.ecr.models.ECRBackend


def declared_by(stack: StackFile) -> DeclaredStack:
    """What a stack's file declares."""
    return declared_in(stack, Account(partition="aws", id="111122223333", region="eu-west-2"))


@dataclass
class Up:
    """A stack that has come up, and is ready to be acted on."""

    aws: EmbeddedAws
    update: Update
    declared: DeclaredStack

    def images(self, repository: str) -> Any:
        ecr = self.aws.ecr_as("arn:aws:iam::111122223333:role/break-glass")
        return ecr.describe_images(repositoryName=repository)["imageDetails"]

    def play(self) -> dict[str, Act]:
        acts = perform(self.aws, self.update, self.declared)
        return {act.act: act for act in acts}

    def failed(self) -> set[str]:
        return {name for name, act in self.play().items() if not act.ok}


def brought_up(stack: StackFile, aws: EmbeddedAws) -> Up:
    return Up(aws, run(stack, aws), declared_in(stack, aws.account))


def with_setting(stack: StackFile, key: str, value: Any) -> StackFile:
    text = value if isinstance(value, str) else json.dumps(value)
    return replace(stack, config={**stack.config, f"container-images:{key}": text})


def settings_of(stack: StackFile) -> StackSettings:
    return declared_by(stack).settings


def of_every_kind(stack: StackFile) -> StackFile:
    """The stack, with repositories of every kind, and nobody who is told of events."""
    repositories = {
        "excluded": {"tags": {"Team": "forms"}},
        "excluded-too": {},
        "immutable": {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        "mutable": {"tagMutability": "MUTABLE"},
    }
    for key, it in {"repositories": repositories, "movableTags": MOVABLE, "audit": {}}.items():
        stack = with_setting(stack, key, it)
    return stack


@pytest.fixture(scope="module")
def stack(prod: StackFile) -> StackFile:
    return of_every_kind(prod)


@pytest.fixture
def up(stack: StackFile) -> Iterator[Up]:
    """With one repository, for tests that break an act."""
    stack = with_setting(stack, "repositories", {"app": {}})
    with embedded_aws(stack) as aws:
        yield brought_up(stack, aws)


@dataclass(frozen=True)
class Played:
    """What is left when all acts are over."""

    acts: dict[str, Act]
    roles: list[str]
    """Those that have acted."""
    images: dict[str, list[Any]]
    """By the repository."""


@pytest.fixture(scope="module")
def played(stack: StackFile) -> Played:
    roles, right = list[str](), EmbeddedAws.ecr_as

    def ecr_as(aws: EmbeddedAws, role_arn: str) -> Any:
        roles.append(role_arn)
        return right(aws, role_arn)

    with embedded_aws(stack) as aws:
        up = brought_up(stack, aws)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(EmbeddedAws, "ecr_as", ecr_as)
            acts = up.play()
        return Played(acts, roles, {it: up.images(it) for it in up.declared.settings.repositories})


def test_all_come_out_well(played: Played) -> None:
    assert list(played.acts) == ALL
    assert [act for act in played.acts.values() if not act.ok] == []
    assert "all repositories (4)" in played.acts["declared"].detail


def test_the_pipelines_role_acts(played: Played) -> None:
    assert played.roles == ["arn:aws:iam::111122223333:role/pipeline/forms-image-pipeline"]


def test_each_movable_tag_ends_on_the_first_build(played: Played) -> None:
    for name in ("excluded", "immutable", "mutable"):
        [tags] = [it["imageTags"] for it in played.images[name] if "latest" in it["imageTags"]]
        assert set(tags) > set(MOVABLE)
    assert played.images["excluded-too"] == [], "one of a kind"


def test_where_there_is_nothing_to_refuse_it_is_said(played: Played) -> None:
    *done, unplayed = played.acts["refuse-overwriting"].detail.split("; ")
    assert [part.split(" ")[0] for part in done] == ["refused", "refused"]
    assert unplayed == "nothing to refuse in mutable: with MUTABLE no tag is immutable"


def test_an_act_says_whether_moto_alone_has_decided(played: Played, stack: StackFile) -> None:
    by = {name: act.by for name, act in played.acts.items()}
    assert by.pop("declared") == "moto"
    assert set(by.values()) == {"simulated"}
    mutable = with_setting(stack, "repositories", {"app": {"tagMutability": "MUTABLE"}})
    with embedded_aws(mutable) as aws:
        acts = brought_up(mutable, aws).play().values()
    assert {act.by for act in acts} == {"moto"}, "without exclusion filters"


@pytest.fixture(scope="module")
def unplayed(stack: StackFile) -> Up:
    """What there is once a stack has come up, read before its AWS ends."""
    with embedded_aws(stack) as aws:
        up = brought_up(stack, aws)
        states = list(aws.repositories())
    read: Any = SimpleNamespace(repositories=lambda: states)
    return replace(up, aws=read)


class TestDeclared:
    def declared(self, up: Up, live: list[State], update: Update | None = None) -> Act:
        aws: Any = SimpleNamespace(repositories=lambda: live)
        return next(perform(aws, update or up.update, up.declared))

    @pytest.mark.parametrize(
        "change",
        [
            {"policy": None},
            {"policy": json.dumps(OPEN_POLICY)},
            {"lifecycle_policy": None},
            {"tag_mutability": "IMMUTABLE"},
            {"exclusion_filters": ("p*",)},
            {"scan_on_push": False},
            {"kms_key": "arn:aws:kms:eu-west-2:111122223333:key/1"},
            {"tags": {}},
            {"arn": "arn:aws:ecr:eu-west-1:111122223333:repository/other"},
        ],
        ids=lambda change: next(iter(change)),
    )
    def test_sees_what_is_otherwise(self, unplayed: Up, change: dict[str, Any]) -> None:
        live = list(unplayed.aws.repositories())
        assert self.declared(unplayed, live).ok
        for number, state in enumerate(live):
            changed = [*live]
            changed[number] = replace(state, **change)
            act = self.declared(unplayed, changed)
            assert not act.ok
            assert act.detail.startswith(f"{state.name} is ")

    def test_sees_a_repository_too_few_and_one_too_many(self, unplayed: Up) -> None:
        first, *rest = live = list(unplayed.aws.repositories())
        assert not self.declared(unplayed, rest).ok
        assert not self.declared(unplayed, [*live, replace(first, name="another")]).ok

    def test_sees_a_component_that_declares_something_else(
        self, stack: StackFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not the program's own word counts, but the settings'."""

        def one_too_few(mode: str, movable: list[str], immutable: list[str]) -> list[str]:
            filters = exclusion_filters(mode, movable, immutable)
            return filters[1:] if mode == "MUTABLE_WITH_EXCLUSION" else filters

        monkeypatch.setattr(image_repository, "exclusion_filters", one_too_few)
        stack = with_setting(stack, "repositories", {"app": {}})
        with embedded_aws(stack) as aws:
            failed = brought_up(stack, aws).failed()
        assert {"declared", "refuse-overwriting"} <= failed

    @pytest.mark.parametrize("option", ["protect", "retain_on_delete"])
    @pytest.mark.parametrize("name", ["mutable", "mutable-lifecycle", "mutable-policy"])
    def test_sees_what_could_be_deleted(self, unplayed: Up, option: str, name: str) -> None:
        resources = [
            replace(it, **{option: not getattr(it, option)})  # type: ignore[arg-type]
            if it.name == name and it.retain_on_delete
            else it
            for it in unplayed.update.resources
        ]
        update = replace(unplayed.update, resources=resources)
        act = self.declared(unplayed, list(unplayed.aws.repositories()), update)
        assert not act.ok
        assert "is not protected and retained" in act.detail


def test_two_patterns_may_have_the_same_sample(stack: StackFile) -> None:
    stack = with_setting(stack, "immutableTags", ["a*b*", "a0b0"])
    stack = with_setting(stack, "repositories", {"app": {}})
    with embedded_aws(stack) as aws:
        assert brought_up(stack, aws).failed() == set()


def never_latest(*args: Any, movable: Any = ()) -> Promotion:
    assert isinstance(movable, Sequence)
    return promote(*args)


def any_way(*args: Any) -> None:
    move(*args, allow_older=True)


def refuse_after_moving(*args: Any) -> None:
    any_way(*args)
    raise RefusedError("too late")


def only_plan(*args: Any) -> Rollback:
    return rollback(*args, dry_run=True)


def another_commit(*args: Any) -> Resolved:
    return replace(resolve(*args), commit="0" * 40)


@pytest.mark.parametrize(
    ("act", "name", "broken"),
    [
        ("promote", "promote", never_latest),
        ("refuse-backwards", "move", any_way),
        ("refuse-backwards", "move", refuse_after_moving),
        ("roll-back", "rollback", only_plan),
        ("resolve", "resolve", another_commit),
    ],
)
def test_an_act_fails_where_the_command_does_other_than_it_says(
    up: Up, monkeypatch: pytest.MonkeyPatch, act: str, name: str, broken: Callable[..., Any]
) -> None:
    monkeypatch.setattr(pipeline_module, name, broken)
    assert act in up.failed()


class TestTheOthers:
    """What `up` has put into moto is not patched beyond it, or it would come back for good."""

    def test_an_overwritten_tag_is_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        def lets_everything_pass(_: Any, repository: Any, tag: str) -> list[Any]:
            return [image for image in repository.images if tag in image.image_tags]

        with monkeypatch.context() as before_up_ends:
            before_up_ends.setattr(ECR, TAG_CHECK, lets_everything_pass)
            acts = up.play()
        assert not acts["refuse-overwriting"].ok
        assert "was overwritten" in acts["refuse-overwriting"].detail

    def test_a_tag_that_cannot_move_is_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        right: Any = getattr(ECR, TAG_CHECK)

        def moves_nothing(ecr: Any, repository: Any, tag: str) -> Any:
            if tag in MOVABLE:
                repository = replace_mode(repository)
            return right(ecr, repository, tag)

        def replace_mode(repository: Any) -> Any:
            class Immutable:
                name = repository.name
                images = repository.images
                image_tag_mutability = "IMMUTABLE"
                image_tag_mutability_exclusion_filters = None

            return Immutable

        with monkeypatch.context() as before_up_ends:
            before_up_ends.setattr(ECR, TAG_CHECK, moves_nothing)
            failed = up.failed()
        assert failed == {
            *("move-latest", "move-latest-back", "promote", "refuse-backwards", "roll-back"),
        }

    def test_a_put_that_does_nothing_is_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        right = ECR.put_image

        def forgets_latest(ecr: Any, name: str, manifest: str, tag: str, *args: Any) -> Any:
            if tag == "latest" and any(
                "latest" in it.image_tags for it in ecr.repositories[name].images
            ):
                return ecr.repositories[name].images[0]
            return right(ecr, name, manifest, tag, *args)

        monkeypatch.setattr(ECR, "put_image", forgets_latest)
        assert {"move-latest"} <= up.failed()

    def test_a_build_that_is_gone_is_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        """As if a lifecycle rule took the first build as soon as latest had left it."""
        right = ECR.put_image

        def takes_the_first(ecr: Any, name: str, *args: Any) -> Any:
            image = right(ecr, name, *args)
            images = ecr.repositories[name].images
            if "latest" in image.image_tags and len(images) > 1 and image is images[1]:
                del images[0]
            return image

        monkeypatch.setattr(ECR, "put_image", takes_the_first)
        assert {"move-latest", "move-latest-back"} <= up.failed()

    def test_changed_bytes_are_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        right = ECR.batch_get_image

        def with_a_space_more(*args: Any, **kwargs: Any) -> Any:
            answer = copy.deepcopy(right(*args, **kwargs))
            for image in answer["images"]:
                image.image_manifest += " "
            return answer

        monkeypatch.setattr(ECR, "batch_get_image", with_a_space_more)
        assert {"push-builds", "move-latest"} <= up.failed()

    def test_an_error_of_aws_is_a_failure_with_its_message(
        self, up: Up, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denies(*_: Any, **__: Any) -> Any:
            raise RepositoryNotFoundException("app", "111122223333")

        monkeypatch.setattr(ECR, "batch_get_image", denies)
        acts = up.play()
        assert not acts["move-latest"].ok
        assert "RepositoryNotFoundException" in acts["move-latest"].detail
