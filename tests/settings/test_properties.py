"""Any valid settings give valid, stable documents; any invalid ones one clear error."""

import json
from string import ascii_lowercase, digits
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from container_images import settings
from container_images.access.claims import alike, prove
from container_images.policies.document import to_json
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.patterns import tag_glob
from container_images.policies.repository_policy import repository_policy
from container_images.policies.tag_mutability import exclusion_filters
from container_images.settings import Account, StackSettings
from container_images.settings.planned import planned_lifecycle_policy, planned_repository_policy

ACCOUNT = Account(partition="aws", id="111122223333", region="eu-west-2")

words = st.builds(
    str.__add__,
    st.sampled_from(ascii_lowercase),
    st.text(ascii_lowercase + digits, min_size=1, max_size=7),
)
accounts = st.sampled_from(["444455556666", "123456789012", "777788889999", "999999999999"])
movable_tags = st.lists(words, min_size=1, max_size=3, unique=True)
patterns = words.map(lambda word: f"{word}-*")  # no movable tag has a hyphen
retention_rules = st.one_of(
    st.builds(lambda p, n: {"tags": p, "keepNewest": n}, patterns, st.integers(1, 1000)),
    st.builds(lambda p, n: {"tags": p, "expireAfterDays": n}, patterns, st.integers(1, 1000)),
)


@st.composite
def retentions(draw: st.DrawFn) -> list[dict[str, Any]]:
    rules = draw(st.lists(retention_rules, max_size=6, unique_by=lambda it: str(it["tags"])))
    if draw(st.booleans()):
        rules.append({"untagged": True, "expireAfterDays": draw(st.integers(1, 1000))})
    if draw(st.booleans()):
        rules.append({"any": True, "keepNewest": draw(st.integers(1, 1000))})
    return rules


def roles(draw: st.DrawFn, names: list[str], account: str = ACCOUNT.id) -> list[str]:
    paths = [draw(st.sampled_from(["", "ci/", "a/b/"])) for _ in names]
    return [
        f"arn:aws:iam::{account}:role/{path}{name}" for path, name in zip(paths, names, strict=True)
    ]


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Configurations that are valid, as their authors write them."""
    names = draw(st.lists(words, min_size=4, max_size=8, unique=True))
    pipeline, *administrators = names[:3]
    entry = st.fixed_dictionaries(
        {},
        optional={
            "retention": retentions(),
            "scanOnPush": st.booleans(),
            "lambdaPull": st.booleans(),
            "import": st.booleans(),
            "tags": st.dictionaries(words, words, max_size=2),
            "tagMutability": st.sampled_from(["MUTABLE", "IMMUTABLE_WITH_EXCLUSION"]),
        },
    )
    pulling = draw(st.lists(accounts, unique=True))
    foreign = draw(st.sampled_from(["111122223333", *pulling]))
    configuration: dict[str, Any] = {
        "repositories": draw(
            st.dictionaries(words, st.one_of(st.none(), entry), min_size=1, max_size=4)
        ),
        "movableTags": draw(movable_tags),
        "tagMutability": draw(st.sampled_from(["MUTABLE", "IMMUTABLE_WITH_EXCLUSION"])),
        "administratorRoles": roles(draw, administrators),
        "pipelineRole": {"name": pipeline, "trustedRoles": roles(draw, [names[3]])},
        "additionalPipelineRoles": roles(draw, names[4:], foreign),
        "pullAccounts": {f"a{it}": it for it in pulling},
        "lambdaPullAccounts": draw(st.sampled_from([pulling, []])),
        "pullOrganization": draw(st.sampled_from(["", "o-exampleorgid"])),
        "lambdaPull": draw(st.booleans()),
        "retention": draw(retentions()),
    }
    if draw(st.booleans()):
        # As a repository's own entry says, it may not use the patterns.
        configuration["tagMutability"] = "MUTABLE_WITH_EXCLUSION"
        configuration["immutableTags"] = draw(
            st.lists(patterns, min_size=1, max_size=5, unique=True)
        )
    return configuration


def as_pulumi_has_it(configuration: dict[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in configuration.items()
    }


def parse(configuration: dict[str, Any]) -> StackSettings:
    return settings.parse(as_pulumi_has_it(configuration), ACCOUNT)


def documents(parsed: StackSettings) -> list[str]:
    texts = []
    for name in parsed.repositories:
        texts.append(to_json(planned_repository_policy(parsed, name, ACCOUNT)))
        texts.append(to_json(planned_lifecycle_policy(parsed, name)))
    return texts


@given(configurations())
def test_every_document_is_one_that_aws_takes(configuration: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html"""
    parsed = parse(configuration)
    assert parsed.repositories.keys() == configuration["repositories"].keys()
    for name, repository in parsed.repositories.items():
        policy = planned_repository_policy(parsed, name, ACCOUNT)
        assert len(to_json(policy)) <= 10_240
        sids = [statement["Sid"] for statement in policy["Statement"]]
        assert len(sids) == len(set(sids))

        lifecycle = planned_lifecycle_policy(parsed, name)
        assert 100 <= len(to_json(lifecycle)) <= 30_720
        rules = lifecycle["rules"]
        assert [rule["rulePriority"] for rule in rules] == list(range(1, len(rules) + 1))
        shields = [
            rule["selection"]["tagPatternList"] for rule in rules[: len(parsed.movable_tags)]
        ]
        assert shields == [[tag] for tag in parsed.movable_tags]
        kinds = [rule["selection"]["tagStatus"] for rule in rules]
        assert kinds.count("untagged") <= 1
        assert "any" not in kinds[:-1]

        filters = exclusion_filters(
            repository.tag_mutability, parsed.movable_tags, repository.immutable_tags
        )
        assert len(filters) <= 5
        assert (filters != []) == repository.tag_mutability.endswith("WITH_EXCLUSION")
        assert not any(
            tag_glob(it, tag) for it in repository.immutable_tags for tag in parsed.movable_tags
        )


@given(configurations(), st.randoms(use_true_random=False))
def test_documents_do_not_depend_on_the_order_of_keys(
    configuration: dict[str, Any], random: Any
) -> None:
    def shuffled(value: Any) -> Any:
        if not isinstance(value, dict):
            return [shuffled(it) for it in value] if isinstance(value, list) else value
        keys = list(value)
        random.shuffle(keys)
        return {key: shuffled(value[key]) for key in keys}

    assert documents(parse(shuffled(configuration))) == documents(parse(configuration))


@hypothesis_settings(max_examples=hypothesis_settings().max_examples // 4)  # of the profile's
@given(configurations())
def test_every_claim_is_proved_of_every_guard(configuration: dict[str, Any]) -> None:
    parsed = parse(configuration)
    accesses = [parsed.access(name, ACCOUNT) for name in parsed.repositories]
    groups = alike(
        (
            f"arn:aws:ecr:eu-west-2:111122223333:repository/{number}",
            to_json(repository_policy(it)),
            it,
        )
        for number, it in enumerate(accesses)
    )
    assert [proof.claim for proof in prove(groups) if not proof.proved] == []


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda children: (
        st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=5), children, max_size=3)
    ),
    max_leaves=5,
)


@given(configurations(), st.data())
def test_whatever_is_written_is_either_taken_or_told(
    configuration: dict[str, Any], data: st.DataObject
) -> None:
    """A value anywhere in the configuration replaced by any other: settings, or one error."""
    spot: Any = configuration
    path: list[Any] = []
    while isinstance(spot, dict | list) and spot and (not path or data.draw(st.booleans())):
        keys = sorted(spot) if isinstance(spot, dict) else list(range(len(spot)))
        path.append(data.draw(st.sampled_from(keys)))
        parent, spot = spot, spot[path[-1]]
    parent[path[-1]] = data.draw(json_values)
    problems = problems_in(configuration)
    assert problems or documents(parse(configuration))
    assert all(problem.rule and problem.fix and "\n" not in str(problem) for problem in problems)


def problems_in(configuration: dict[str, Any]) -> tuple[Problem, ...]:
    try:
        parse(configuration)
    except InvalidInputError as refused:
        return refused.problems
    return ()


MISTAKES: dict[str, Any] = {
    "tagMutability": "IMMUTABLE",
    "movableTags": [],
    "administratorRoles": ["arn:aws:iam::444455556666:role/other"],
    "pullAccounts": {"dev": 444455556666},
    "pullOrganization": "organization",
    "lambdaPull": "yes",
    "tagConvention": [{"stage": "release", "tag": "{version}"}],
    "repository": {},
    "additionalPipelineRoles": ["arn:aws:iam::111122223333:user/somebody"],
}


@given(configurations(), st.sets(st.sampled_from(sorted(MISTAKES)), min_size=1))
def test_every_mistake_is_told_at_once(configuration: dict[str, Any], keys: set[str]) -> None:
    configuration |= {key: MISTAKES[key] for key in keys}
    with pytest.raises(InvalidInputError) as refused:
        parse(configuration)
    assert {str(problem.where[0]) for problem in refused.value.problems} >= keys


@given(configurations(), st.integers(1, 40), st.integers(0, 60))
def test_more_rules_than_aws_takes_are_told(
    configuration: dict[str, Any], shields: int, rules: int
) -> None:
    configuration["movableTags"] = [f"tag{number}" for number in range(shields)]
    configuration["retention"] = [{"tags": f"x{n}-*", "keepNewest": 1} for n in range(rules)]
    configuration["tagMutability"] = "MUTABLE"
    configuration.pop("immutableTags", None)
    configuration["repositories"] = {"app": {}}
    assume(shields <= 50)
    if shields + rules <= 50:
        assert parse(configuration)
    else:
        with pytest.raises(InvalidInputError, match="at most 50 rules"):
            parse(configuration)
