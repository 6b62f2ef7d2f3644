"""The acts: each comes out well on the stack as it is, and each can fail."""

import copy
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import boto3
import moto.ecr.models
import pytest
from moto.ecr.exceptions import RepositoryNotFoundException

from components import image_repository
from policies.tag_mutability import exclusion_filters
from rehearsal.acts import Act, intended, perform
from rehearsal.embedded_aws import EmbeddedAws, embedded_aws
from rehearsal.program import Resource, Update, run
from settings import StackSettings, parse
from settings.stack_file import StackFile

MOVABLE = ["latest", "stable"]
ALL = [
    "declared",
    "push-builds",
    "move-latest",
    "keep-unique-tag",
    "refuse-overwriting",
    "overwrite-other-tag",
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


@dataclass
class Up:
    """A stack that has come up, and is ready to be acted on."""

    aws: EmbeddedAws
    update: Update
    settings: StackSettings

    @property
    def ecr(self) -> Any:
        role = "arn:aws:iam::111122223333:role/break-glass"
        return self.aws.session_as(role).client("ecr")

    def play(self) -> dict[str, Act]:
        found = list(self.aws.repositories())
        wanted = intended(self.settings, self.aws.account, self.aws.default_tags)
        acts = perform(self.aws, self.update, found, wanted, self.settings.movable_tags)
        return {act.act: act for act in acts}

    def failed(self) -> set[str]:
        return {name for name, act in self.play().items() if not act.ok}


def brought_up(stack: StackFile, aws: EmbeddedAws) -> Up:
    return Up(aws, run(stack, aws), parse(stack.config_in("container-images"), aws.account))


@pytest.fixture
def stack(prod: StackFile) -> StackFile:
    """Repositories of every kind."""
    repositories = {
        "excluded": {"tags": {"Team": "forms"}},
        "excluded-too": {},
        "immutable": {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
        "mutable": {"tagMutability": "MUTABLE"},
    }
    changes = {"repositories": repositories, "movableTags": MOVABLE}
    texts = {f"container-images:{key}": json.dumps(it) for key, it in changes.items()}
    return replace(prod, config={**prod.config, **texts})


@pytest.fixture
def up(stack: StackFile) -> Iterator[Up]:
    with embedded_aws(stack) as aws:
        yield brought_up(stack, aws)


def test_all_come_out_well(up: Up) -> None:
    acts = up.play()
    assert list(acts) == ALL
    assert [act for act in acts.values() if not act.ok] == []
    assert "all repositories (4)" in acts["declared"].detail


def test_each_movable_tag_ends_on_the_first_build(up: Up) -> None:
    up.play()
    for name in ("excluded", "immutable", "mutable"):
        digests = {
            up.ecr.describe_images(repositoryName=name, imageIds=[{"imageTag": tag}])[
                "imageDetails"
            ][0]["imageDigest"]
            for tag in MOVABLE
        }
        assert len(digests) == 1
    assert up.ecr.list_images(repositoryName="excluded-too")["imageIds"] == [], "one of a kind"


def test_nothing_is_claimed_where_there_is_nothing_to_play(stack: StackFile) -> None:
    only = json.dumps({"app": {"tagMutability": "MUTABLE"}})
    config = {**stack.config, "container-images:repositories": only}
    config["container-images:tagMutability"] = "MUTABLE"
    config["container-images:writeOnceTags"] = "[]"
    stack = replace(stack, config=config)
    with embedded_aws(stack) as aws:
        assert list(brought_up(stack, aws).play()) == [
            it for it in ALL if it != "refuse-overwriting"
        ]


class TestDeclared:
    @pytest.mark.parametrize(
        "tamper",
        [
            lambda ecr: ecr.delete_repository_policy(repositoryName="mutable"),
            lambda ecr: ecr.delete_lifecycle_policy(repositoryName="mutable"),
            lambda ecr: ecr.put_image_tag_mutability(
                repositoryName="immutable", imageTagMutability="MUTABLE"
            ),
            lambda ecr: ecr.put_image_tag_mutability(
                repositoryName="excluded",
                imageTagMutability="MUTABLE_WITH_EXCLUSION",
                imageTagMutabilityExclusionFilters=[{"filter": "p*", "filterType": "WILDCARD"}],
            ),
            lambda ecr: ecr.put_image_scanning_configuration(
                repositoryName="mutable", imageScanningConfiguration={"scanOnPush": False}
            ),
            lambda ecr: ecr.delete_repository(repositoryName="mutable"),
            lambda ecr: ecr.create_repository(repositoryName="another"),
            lambda ecr: ecr.untag_resource(
                resourceArn="arn:aws:ecr:eu-west-2:111122223333:repository/excluded",
                tagKeys=["Team"],
            ),
            lambda ecr: ecr.set_repository_policy(
                repositoryName="mutable", policyText=json.dumps(OPEN_POLICY)
            ),
        ],
    )
    def test_sees_what_is_not(self, up: Up, tamper: Callable[[Any], object]) -> None:
        tamper(up.ecr)
        assert "declared" in up.failed()

    def test_says_what_was_declared_and_what_is_there(self, up: Up) -> None:
        up.ecr.delete_repository_policy(repositoryName="mutable")
        act = up.play()["declared"]
        assert act.detail.startswith("mutable is Repository(")
        assert "policy=None" in act.detail
        assert "and should be Repository(" in act.detail

    def test_sees_a_component_that_declares_something_else(
        self, stack: StackFile, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Not the program's own word counts, but the settings'."""

        def one_too_few(mode: str, movable: list[str], write_once: list[str]) -> list[str]:
            filters = exclusion_filters(mode, movable, write_once)
            return filters[1:] if mode == "MUTABLE_WITH_EXCLUSION" else filters

        monkeypatch.setattr(image_repository, "exclusion_filters", one_too_few)
        with embedded_aws(stack) as aws:
            failed = brought_up(stack, aws).failed()
        assert {"declared", "refuse-overwriting"} <= failed

    @pytest.mark.parametrize(
        "change",
        [
            lambda it: replace(it, protect=not it.protect),
            lambda it: replace(it, retain_on_delete=False),
        ],
    )
    @pytest.mark.parametrize("name", ["mutable", "mutable-lifecycle", "mutable-policy"])
    def test_sees_what_could_be_deleted(
        self, up: Up, change: Callable[[Resource], Resource], name: str
    ) -> None:
        resources = up.update.resources
        [it] = [it for it in resources if it.name == name and it.retain_on_delete]
        resources[resources.index(it)] = change(it)
        assert up.failed() == {"declared"}


def test_two_patterns_may_have_the_same_sample(stack: StackFile) -> None:
    config = {
        **stack.config,
        "container-images:writeOnceTags": '["a*b*", "a0b0"]',
        "container-images:repositories": '{"app": {}}',
    }
    stack = replace(stack, config=config)
    with embedded_aws(stack) as aws:
        assert brought_up(stack, aws).failed() == set()


class TestTheOthers:
    def test_an_overwritten_tag_is_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        def lets_everything_pass(_: Any, repository: Any, tag: str) -> list[Any]:
            return [image for image in repository.images if tag in image.image_tags]

        monkeypatch.setattr(ECR, "_resolve_image_tag_mutability", lets_everything_pass)
        acts = up.play()
        assert not acts["refuse-overwriting"].ok
        assert "was overwritten" in acts["refuse-overwriting"].detail

    def test_a_tag_that_cannot_move_is_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        right = ECR._resolve_image_tag_mutability

        def moves_nothing(ecr: Any, repository: Any, tag: str) -> Any:
            if tag in {*MOVABLE, "scratch"}:
                repository = replace_mode(repository)
            return right(ecr, repository, tag)

        def replace_mode(repository: Any) -> Any:
            class Immutable:
                name = repository.name
                images = repository.images
                image_tag_mutability = "IMMUTABLE"
                image_tag_mutability_exclusion_filters = None

            return Immutable

        monkeypatch.setattr(ECR, "_resolve_image_tag_mutability", moves_nothing)
        assert up.failed() == {
            "move-latest",
            "overwrite-other-tag",
            "move-latest-back",
            "promote",
            "refuse-backwards",
            "roll-back",
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
        assert {"keep-unique-tag", "move-latest-back"} <= up.failed()

    def test_changed_bytes_are_seen(self, up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
        right = ECR.batch_get_image

        def with_a_space_more(*args: Any, **kwargs: Any) -> Any:
            answer = copy.deepcopy(right(*args, **kwargs))
            for image in answer["images"]:
                image.image_manifest += " "
            return answer

        monkeypatch.setattr(ECR, "batch_get_image", with_a_space_more)
        assert {"push-builds", "keep-unique-tag", "move-latest"} <= up.failed()

    def test_an_error_of_aws_is_a_failure_with_its_message(
        self, up: Up, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def denies(*_: Any, **__: Any) -> Any:
            raise RepositoryNotFoundException("app", "111122223333")

        monkeypatch.setattr(ECR, "batch_get_image", denies)
        acts = up.play()
        assert not acts["move-latest"].ok
        assert "RepositoryNotFoundException" in acts["move-latest"].detail


def test_the_pipelines_role_acts(up: Up, monkeypatch: pytest.MonkeyPatch) -> None:
    sessions = []
    right = EmbeddedAws.session_as

    def session_as(aws: EmbeddedAws, role_arn: str) -> boto3.Session:
        sessions.append(role_arn)
        return right(aws, role_arn)

    monkeypatch.setattr(EmbeddedAws, "session_as", session_as)
    up.play()
    assert sessions == ["arn:aws:iam::111122223333:role/pipeline/forms-image-pipeline"]
