"""Any valid settings give valid, stable documents; any invalid ones one clear error."""

from string import ascii_lowercase, digits
from typing import Any

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from container_images.access.claims import alike, prove
from container_images.policies.document import to_json
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.settings import Account, StackSettings
from tests.settings.test_settings import parse

ACCOUNT = Account(partition="aws", id="111122223333", region="eu-west-2")

words = st.builds(
    str.__add__,
    st.sampled_from(ascii_lowercase),
    st.text(ascii_lowercase + digits, min_size=1, max_size=7),
)
accounts = st.sampled_from(["444455556666", "123456789012", "777788889999", "999999999999"])
patterns = words.map(lambda word: f"{word}-*")  # no movable tag has a hyphen
retention_rules = st.builds(
    lambda pattern, count, number: {"tags": pattern, count: number},
    patterns,
    st.sampled_from(["keepNewest", "expireAfterDays"]),
    st.integers(1, 1000),
)


@st.composite
def retentions(draw: st.DrawFn) -> list[dict[str, Any]]:
    rules = draw(st.lists(retention_rules, max_size=6, unique_by=lambda rule: str(rule["tags"])))
    if draw(st.booleans()):
        rules.append({"untagged": True, "expireAfterDays": draw(st.integers(1, 1000))})
    if draw(st.booleans()):
        rules.append({"any": True, "keepNewest": draw(st.integers(1, 1000))})
    return rules


def roles(draw: st.DrawFn, names: list[str], account: str = ACCOUNT.id) -> list[str]:
    paths = st.sampled_from(["", "ci/", "a/b/"])
    return [f"arn:aws:iam::{account}:role/{draw(paths)}{name}" for name in names]


@st.composite
def configurations(draw: st.DrawFn) -> dict[str, Any]:
    """Configurations that are valid, as their authors write them."""
    names = draw(st.lists(words, min_size=4, max_size=8, unique=True))
    pipeline, *administrators = names[:3]
    modes = st.sampled_from(["MUTABLE", "IMMUTABLE_WITH_EXCLUSION"])
    entry = st.fixed_dictionaries(
        {},
        optional={
            "retention": retentions(),
            "scanOnPush": st.booleans(),
            "lambdaPull": st.booleans(),
            "import": st.booleans(),
            "tags": st.dictionaries(words, words, max_size=2),
            "tagMutability": modes,
        },
    )
    pulling = draw(st.lists(accounts, unique=True))
    foreign = draw(st.sampled_from([ACCOUNT.id, *pulling]))
    configuration: dict[str, Any] = {
        "repositories": draw(st.dictionaries(words, st.none() | entry, min_size=1, max_size=4)),
        "movableTags": draw(st.lists(words, min_size=1, max_size=3, unique=True)),
        "tagMutability": draw(modes),
        "administratorRoles": roles(draw, administrators),
        "pipelineRole": {"name": pipeline, "trustedRoles": roles(draw, [names[3]])},
        "additionalPipelineRoles": roles(draw, names[4:], foreign),
        "pullAccounts": {f"a{account}": account for account in pulling},
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


def documents(parsed: StackSettings) -> list[str]:
    return [
        to_json(document)
        for name in parsed.repositories
        for document in (parsed.repository_policy(name, ACCOUNT), parsed.lifecycle_policy(name))
    ]


@given(configurations())
def test_every_document_is_one_that_aws_takes(configuration: dict[str, Any]) -> None:
    """https://docs.aws.amazon.com/AmazonECR/latest/userguide/lifecycle_policy_parameters.html"""
    parsed = parse(configuration)
    assert parsed.repositories.keys() == configuration["repositories"].keys()
    for name in parsed.repositories:
        policy = parsed.repository_policy(name, ACCOUNT)
        assert len(to_json(policy)) <= 10_240
        sids = [statement["Sid"] for statement in policy["Statement"]]
        assert len(sids) == len(set(sids))

        lifecycle = parsed.lifecycle_policy(name)
        assert 100 <= len(to_json(lifecycle)) <= 30_720
        rules = lifecycle["rules"]
        assert [rule["rulePriority"] for rule in rules] == list(range(1, len(rules) + 1))
        kinds = [rule["selection"]["tagStatus"] for rule in rules]
        assert kinds.count("untagged") <= 1
        assert "any" not in kinds[:-1]

        protected = [
            rule["selection"]["tagPatternList"] for rule in rules[: len(parsed.movable_tags)]
        ]
        assert protected == [[tag] for tag in parsed.movable_tags]


@hypothesis_settings(max_examples=hypothesis_settings().max_examples // 4)  # of the profile's
@given(configurations())
def test_every_claim_is_proved_of_every_guard(configuration: dict[str, Any]) -> None:
    parsed = parse(configuration)
    ecr = "arn:aws:ecr:eu-west-2:111122223333:repository"
    groups = alike(
        (
            f"{ecr}/{name}",
            to_json(parsed.repository_policy(name, ACCOUNT)),
            parsed.access(name, ACCOUNT),
        )
        for name in parsed.repositories
    )
    assert [proof.claim for proof in prove(groups) if not proof.proved] == []


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=5)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=5,
)


def errors_of(configuration: dict[str, Any]) -> tuple[Problem, ...]:
    try:
        parse(configuration)
    except InvalidInputError as refused:
        return refused.problems
    return ()


@given(configurations(), st.data())
def test_whatever_is_written_is_either_valid_or_an_error(
    configuration: dict[str, Any], data: st.DataObject
) -> None:
    """A value anywhere in the configuration replaced by any other."""
    spot: Any = configuration
    path: list[Any] = []
    while isinstance(spot, dict | list) and spot and (not path or data.draw(st.booleans())):
        keys = sorted(spot) if isinstance(spot, dict) else list(range(len(spot)))
        path.append(data.draw(st.sampled_from(keys)))
        parent, spot = spot, spot[path[-1]]
    parent[path[-1]] = data.draw(json_values)
    errors = errors_of(configuration)
    assert errors or documents(parse(configuration))
    assert all(error.rule and error.fix and "\n" not in str(error) for error in errors)
