"""ADR040's workflow: each act comes out well on a repository of any kind, and each can fail."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
from moto.ecr.exceptions import RepositoryNotFoundException
from moto.ecr.models import ECRBackend

from container_images.rehearsal import embedded_aws as fixes
from container_images.rehearsal import pipeline as module
from container_images.rehearsal import rehearse
from container_images.rehearsal.embedded_aws import embedded_aws
from container_images.rehearsal.rehearse import Act, perform
from container_images.stack.declared import DeclaredStack
from container_images.stack.state import intended
from container_images.tags.moves import move, promote, resolve
from container_images.tags.rollback import rollback

MOVABLE = ["latest", "stable"]
PATTERNS = ["*-*", "0-0"]  # which have the same sample
KINDS = {
    "excluded": {"immutableTags": PATTERNS},
    "excluded-too": {"immutableTags": PATTERNS},
    "immutable": {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
    "mutable": {"tagMutability": "MUTABLE"},
}
ACTS = (
    "push-builds, move-latest, refuse-overwriting, move-latest-back, promote, refuse-backwards, "
    "roll-back, resolve"
)
Played = tuple[dict[str, Act], dict[str, list[set[str]]]]
"""The acts, and the tags of each image of each repository when all is over."""


def play(stack: DeclaredStack) -> Played:
    """Play the acts on the repositories of the settings, without policies and without a program."""
    with embedded_aws(stack) as aws:
        states = [intended(stack, name) for name in stack.settings.repositories]
        for state in states:
            patterns = state.exclusion_filters
            filters = [{"filter": pattern, "filterType": "WILDCARD"} for pattern in patterns]
            aws.ecr.create_repository(
                repositoryName=state.name,
                imageTagMutability=state.tag_mutability,
                **({"imageTagMutabilityExclusionFilters": filters} if filters else {}),
            )
        acts = {act["act"]: act for act in perform(aws, states, [], stack)}
        assert acts.pop("declared")["ok"]
        tags = {}
        for name in stack.settings.repositories:
            images = aws.ecr.describe_images(repositoryName=name)["imageDetails"]
            tags[name] = [set(image["imageTags"]) for image in images]
    return acts, tags


def failed(acts: dict[str, Act]) -> list[str]:
    return [name for name, act in acts.items() if not act["ok"]]


def test_all_come_out_well_on_one_repository_of_each_kind(prod: DeclaredStack) -> None:
    acts, all_tags = play(prod.changed(repositories=KINDS, movableTags=MOVABLE, audit={}))
    assert (", ".join(acts), failed(acts)) == (ACTS, [])
    for name in ("excluded", "immutable", "mutable"):
        [tags] = [tags for tags in all_tags[name] if "latest" in tags]
        assert tags > set(MOVABLE)
        assert any(tag.startswith("prod-") for tag in tags)
    assert all_tags["excluded-too"] == [], "it is of the same kind as the first"
    *refused, nothing = acts["refuse-overwriting"]["detail"].split("; ")
    assert [detail.split(" ")[0] for detail in refused] == ["refused", "refused"]
    assert nothing == "nothing to refuse in mutable: with MUTABLE no tag is immutable"
    assert {act["by"] for act in acts.values()} == {"simulated"}


def test_without_exclusion_filters_moto_alone_decides(prod: DeclaredStack) -> None:
    acts, _ = play(prod.changed(repositories={"app": {"tagMutability": "MUTABLE"}}, audit={}))
    assert {act["by"] for act in acts.values()} == {"moto"}


def never_latest(*args: Any, **options: Any) -> None:
    promote(*args, tag=options["tag"])


def any_way(*args: Any) -> None:
    move(*args, allow_older=True)


def deny(*_: Any, **__: Any) -> Any:
    raise RepositoryNotFoundException("app", "111122223333")


def everything_moves(_: Any, repository: Any, tag: str) -> Any:
    return [image for image in repository.images if tag in image.image_tags]


def expire_the_first(ecr: ECRBackend, name: str, *args: Any) -> Any:
    """As if a lifecycle rule took an image as soon as latest had left it."""
    image = PUT(ecr, name, *args)
    images = ecr.repositories[name].images
    if "latest" in image.image_tags and image is not images[0]:
        del images[0]
    return image


def change_bytes(*args: Any, **options: Any) -> Any:
    answer = copy.deepcopy(GET(*args, **options))
    for image in answer["images"]:
        image.image_manifest += " "
    return answer


PUT, GET = ECRBackend.put_image, ECRBackend.batch_get_image
BROKEN: list[tuple[Any, str, Callable[..., Any], str, str]] = [
    (module, "promote", never_latest, "promote", "latest is not on merged-"),
    (module, "move", any_way, "promote refuse-backwards", "latest is not on merged-"),
    (
        *(module, "rollback", lambda *args: rollback(*args, dry_run=True)),
        *("promote roll-back", "latest is not on merged-"),
    ),
    (
        *(module, "resolve", lambda *args: {**resolve(*args), "commit": "0" * 40}),
        *("promote roll-back resolve", "latest resolved to sha256:"),
    ),
    (fixes, "_images_to_move", everything_moves, "refuse-overwriting", "was overwritten"),
    (ECRBackend, "put_image", expire_the_first, "move-latest", "is not on merged-"),
    (ECRBackend, "batch_get_image", change_bytes, "", "no tag was moved: check the proxy"),
    (ECRBackend, "batch_get_image", deny, "", "RepositoryNotFoundException"),
]
"""What is otherwise than it should be; the acts behind push-builds, the last one of which fails."""


@pytest.mark.parametrize("row", BROKEN, ids=lambda row: f"{row[1]} {row[3]}")
def test_an_act_fails_where_the_command_or_ecr_does_otherwise(
    prod: DeclaredStack, monkeypatch: pytest.MonkeyPatch, row: tuple[Any, str, Any, str, str]
) -> None:
    holder, name, broken, acts, detail = row
    names = ["push-builds", *acts.split()]
    monkeypatch.setattr(rehearse, "ACTS", [name.replace("-", "_") for name in names])
    monkeypatch.setattr(holder, name, broken)
    played, _ = play(prod.changed(repositories={"app": {}}, audit={}))
    assert failed(played) == names[-1:]
    assert detail in played[names[-1]]["detail"]
