"""Every way in which a configuration can be wrong, and the errors that its author gets."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any

import botocore.session
import pytest
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from container_images import settings
from container_images.policies.invalid_input import InvalidInputError, Problem
from container_images.policies.tag_convention import ADR040
from container_images.settings import Account, StackSettings
from container_images.settings.model import PipelineRoleSettings, RepositorySettings
from container_images.settings.values import RepositoryName

ROLE = "arn:aws:iam::111122223333:role"
FOREIGN = "arn:aws:iam::444455556666:role"
KEY = "arn:aws:kms:eu-west-2:111122223333:key/1"
GITLAB = "project_path:group/name:ref_type:branch:ref:main"
PROJECT = "arn:aws:codebuild:eu-west-2:444455556666:project/deploy"
VALID: dict[str, Any] = {
    "repositories": {"app": {}},
    "pipelineRole": {"arn": f"{ROLE}/ci/push"},
    "administratorRoles": [f"{ROLE}/deploy"],
}
"""The least that a stack has to say."""


def parse(configuration: dict[str, Any], region: str = "eu-west-2") -> StackSettings:
    values = {f"project:{key}": value for key, value in configuration.items()}
    values |= {"aws:region": region, "aws:allowedAccountIds": ["111122223333"]}
    return settings.parse(values, "project")


def problems(**changes: Any) -> list[str]:
    with pytest.raises(InvalidInputError) as refused:
        parse(VALID | changes)
    return [str(problem) for problem in refused.value.problems]


def entry(**values: Any) -> dict[str, Any]:
    return {"repositories": {"app": values}}


def role(**changes: Any) -> dict[str, Any]:
    return {"pipelineRole": {"name": "push", "trustedRoles": [f"{ROLE}/ci"]} | changes}


def guarded(*patterns: str) -> dict[str, Any]:
    return {"tagMutability": "MUTABLE_WITH_EXCLUSION", "immutableTags": list(patterns)}


def movable(*tags: str, mode: str = "IMMUTABLE_WITH_EXCLUSION") -> dict[str, Any]:
    return {"movableTags": list(tags), "tagMutability": mode}


# --- What is valid --------------------------------------------------------------------------------


def test_the_least_has_every_default() -> None:
    parsed = parse(VALID)
    assert parsed.tag_mutability == "MUTABLE"
    assert parsed.movable_tags == ["latest"]
    assert parsed.convention.data == ADR040.data
    assert not parsed.audit.model_fields_set
    assert parsed.repositories["app"].model_dump(by_alias=True) == {
        "tagMutability": "MUTABLE",
        "immutableTags": [],
        "retention": [],
        "lambdaPull": False,
        "tags": {},
        "kmsKey": "",
        "scanOnPush": True,
        "import": False,
    }
    with pytest.raises(ValidationError, match="frozen"):
        parsed.tag_mutability = "MUTABLE"


def test_an_entry_replaces_what_the_stack_says() -> None:
    stack = {
        "tagMutability": "MUTABLE_WITH_EXCLUSION",
        "immutableTags": ["prod-*"],
        "retention": [{"tags": "prod-*", "keepNewest": 3}],
        "lambdaPull": True,
    }
    own = {"tagMutability": "IMMUTABLE_WITH_EXCLUSION", "retention": [], "lambdaPull": False}
    entries = {"overrides": own, "inherits": None}
    parsed = parse(VALID | stack | {"repositories": entries})
    assert list(parsed.repositories) == ["inherits", "overrides"], "in alphabetical order"
    inherits, overrides = parsed.repositories.values()
    assert inherits.tag_mutability == "MUTABLE_WITH_EXCLUSION"
    assert inherits.immutable_tags == overrides.immutable_tags == ["prod-*"]
    assert inherits.retention == [{"tags": "prod-*", "keep_newest": 3}]
    assert inherits.lambda_pull is True
    assert inherits.model_fields_set == set()
    assert overrides.tag_mutability == "IMMUTABLE_WITH_EXCLUSION"
    assert (overrides.retention, overrides.lambda_pull) == ([], False)


@pytest.mark.parametrize(
    "changes",
    [
        {"immutableTags": ["v*"], **entry(tagMutability="MUTABLE_WITH_EXCLUSION")},
        {"additionalPipelineRoles": [f"{FOREIGN}/push"], "pullAccounts": {"ci": "444455556666"}},
        role(trustedGitHubSubjects=["repo:owner/name:environment:production"]),
        role(trustedOidc={"provider": "gitlab.com", "audience": "aws", "subjects": [GITLAB]}),
        {"tagConvention": [{"stage": "a", "tag": "v{semver}"}]},
        # The default need not be within the patterns, as Pulumi hands it over.
        {
            "tagMutability": "MUTABLE_WITH_EXCLUSION",
            "immutableTags": ["v*"],
            "tagConvention": ADR040.data,
        },
        {"tagConvention": [{"stage": "a", "tag": "v{semver}"}], **movable("latest")},
    ],
)
def test_is_valid(changes: dict[str, Any]) -> None:
    assert parse(VALID | changes)


def test_what_the_audit_watches(account: Account) -> None:
    assert parse(VALID | {"audit": {"email": []}}).audit.model_fields_set
    created = parse(VALID | role(path="/ci/images/")).audit_of(account)
    assert created["access"]["pipeline_roles"] == [f"{ROLE}/ci/images/push"]
    assert created["created_role"] == f"{ROLE}/ci/images/push"
    existing = parse(VALID).audit_of(account)
    assert (existing["created_role"], existing["repositories"]) == ("", ["app"])


def test_a_pattern_of_movable_tags_is_freed_and_not_protected() -> None:
    """So that an image can be signed twice."""
    changes = movable("latest", "sha256-*.sig", "v1.*")
    changes |= {"retention": [{"tags": "sha256-*.sig", "keepNewest": 1000}]}
    stack = parse(VALID | changes)
    assert stack.exact_movable_tags == ("latest",)
    assert stack.movable_tags == ["latest", "sha256-*.sig", "v1.*"]
    rules = stack.lifecycle_policy("app")["rules"]
    assert [rule["selection"]["tagPatternList"] for rule in rules] == [["latest"], ["sha256-*.sig"]]
    assert stack.overwriting_warning("MUTABLE") is None


# --- One error ------------------------------------------------------------------------------------

CREATED = {"name": "push", "trustedRoles": [f"{ROLE}/ci"]}
CONVENTION = [{"stage": "build", "tag": "b{sha}"}, {"stage": "release", "tag": "v{semver}"}]
WRONG_VALUES = [
    ("movableTag", ["x"], "did you mean movableTags?"),
    ("zzz", 1, "the keys here are additionalPipelineRoles"),
    ("tagMutability", "IMMUTABLE", "ADR040"),
    ("repositories", {}, "at least one"),
    ("repositories.app.retentions", [], "did you mean retention?"),
    ("repositories.app.tags.x", 1, 'in quotes, such as "1"'),
    ("repositories.app.immutableTags", ["v*"], "with tagMutability MUTABLE they have no effect"),
    ("immutableTags", ["v*"], "no effect"),
    ("movableTags", [], "at least one"),
    ("movableTags", ["v1.*"], "at least one tag that is no pattern"),
    ("movableTags", None, "a key needs a value"),
    ("movableTags", ["a", "a"], "a is written twice"),
    ("movableTags", "latest", 'a list; write it as ["latest"]'),
    ("movableTags", [f"t{n}" for n in range(51)], "at most 50"),
    ("lambdaPull", {"secure": "x"}, "only the Pulumi CLI can decrypt it"),
    ("lambdaPull", "1" * 5000, "true or false"),
    ("lambdaPullAccounts[0]", "444455556666", "only if that account may pull"),
    ("pullAccounts.dev", 444455556666, 'such as "444455556666"'),
    ("administratorRoles", [], "at least one"),
    ("administratorRoles[0]", "arn:aws:sts::111122223333:assumed-role/a/b", "of its session"),
    ("administratorRoles[0]", f"{ROLE}/*", "without wildcards"),
    ("administratorRoles[0]", f"{ROLE}/${{aws:username}}/a", "without wildcards or $"),
    ("administratorRoles[0]", f"{FOREIGN}/deploy", "the stack's own account, 111122223333"),
    ("administratorRoles[0]", f"{ROLE}/ci/push", "no role both moves tags and administers"),
    ("administratorRoles[0]", f"{ROLE}/elsewhere/push", "unique across paths"),
    ("additionalPipelineRoles[0]", f"{FOREIGN}/x", "an account that the stack does not name"),
    ("pipelineRole", {}, "exists or is created"),
    ("pipelineRole", {"name": "push"}, "able to assume"),
    ("pipelineRole", {**CREATED, "arn": f"{ROLE}/push"}, "leave out name, trustedRoles"),
    ("pipelineRole.names", "x", "did you mean name?"),
    ("pipelineRole.name", "a/b", "1 to 64"),
    ("pipelineRole.path", "/*/", "wildcards"),
    ("pipelineRole.trustedCodeBuildProjects[0]", PROJECT[:-6] + "*", "one CodeBuild project"),
    ("pipelineRole.trustedCodeBuildProjects[0]", PROJECT, "name a project of it"),
    # tests/policies/test_repository_policy.py has all forms.
    (
        "pipelineRole.trustedGitHubSubjects[0]",
        "repo:owner/name:pull_request",
        "all who can push a branch",
    ),
    ("tagConvention", [], "at least one entry"),
    ("audit.mail", [], "did you mean email?"),
]
ROLE_0, TAG_1, OF_APP = "administratorRoles[0]", "movableTags[1]", "repositories.app.retention"
TRUSTED_0 = "pipelineRole.trustedRoles[0]"
OIDC = {"provider": "a.b", "audience": "c", "subjects": [GITLAB]}
WRONG_TOGETHER = [
    ({"repositories": {"App": {}}}, "repositories.App", "lower-case"),
    ({"repositories": {"a": {}}}, "repositories.a", "2 to 256"),
    ({"repositories": {"a.b": {"lambdaPull": 1}}}, 'repositories["a.b"].lambdaPull', "true or"),
    (movable("latest", "v*.*.*"), TAG_1, "at most 2 *"),
    (movable("latest", "v1.*", mode="MUTABLE"), TAG_1, "immutable otherwise, and none are"),
    (movable("latest", "prod-*"), TAG_1, "a unique tag (prod-{sha}-{epoch})"),
    (movable("a", "b", "c", "d", "e", "f"), "tagMutability", "at most 5"),
    (role(name="deploy"), ROLE_0, "pipelineRole.name is the same role"),
    ({"additionalPipelineRoles": [f"{ROLE}/x/deploy"]}, ROLE_0, "additionalPipelineRoles[0] is"),
    (
        role(trustedRoles=["arn:aws-cn:iam::111122223333:role/x"]),
        TRUSTED_0,
        "could be a stranger's",
    ),
    (role(trustedRoles=[f"{ROLE}/deploy"]), ROLE_0, "lets this administrator assume"),
    (
        role(name="push", trustedRoles=[f"{ROLE}/push"]),
        TRUSTED_0,
        "the role that the stack creates",
    ),
    (role(trustedRoles=[f"{FOREIGN}/ci"]), "pipelineRole.trustedRoles[0]", "could be a stranger's"),
    ({"pipelineRole": {"arn": f"{FOREIGN}/push"}}, "pipelineRole.arn", "own account, 11112222"),
    ({"pipelineRole": {"arn": "arn:aws-cn:iam::111122223333:role/x"}}, "pipelineRole.arn", "own"),
    (role(trustedOidc={**OIDC, "subjects": []}), "pipelineRole.trustedOidc.subjects", "at least"),
    (
        role(trustedOidc={**OIDC, "subjects": ["project_path:g/p"]}),
        "pipelineRole.trustedOidc.subjects[0]",
        "all who can push a branch",
    ),
    (
        role(trustedOidc={**OIDC, "provider": "https://a.b"}),
        "pipelineRole.trustedOidc.provider",
        "without https://",
    ),
    ({"tagConvention": [{"stage": "a"}]}, "tagConvention[0].tag", "this key is required"),
    ({"tagConvention": [{"stage": "a", "tag": "v"}]}, "tagConvention[0].tag", "each once"),
    ({"tagConvention": CONVENTION, **movable("latest", "v1.0.0")}, TAG_1, "as a unique tag"),
    (guarded("l*"), "immutableTags[0]", "matches latest"),
    (guarded(*(f"{n}-*" for n in range(6))), "immutableTags", "at most 5"),
    (guarded("v*", "v*"), "immutableTags", "twice"),
    (guarded(), "immutableTags", "takes at least one"),
    (entry(**guarded("l*")), "repositories.app.immutableTags[0]", "matches latest"),
    (entry(**guarded()), "repositories.app.immutableTags", "takes at least one"),
    ({"tagConvention": CONVENTION, **guarded("v*")}, "tagConvention[0].tag", "tags: b0000000"),
    ({"tagConvention": CONVENTION, **entry(**guarded("v*"))}, "tagConvention[0].tag", "app.immut"),
    # tests/policies/test_retention.py has all of these.
    (entry(retention=[{"tags": "a", "keepNewest": "1"}]), f"{OF_APP}[0].keepNewest", "as 1, with"),
    ({"retention": [{"tag": "a", "keepNewest": 1}]}, "retention[0].tag", "did you mean tags?"),
    (
        {"retention": [{"untagged": True, "keepNewest": 0}]},
        "retention[0]",
        "a rule has exactly one",
    ),
    (
        {"pullAccounts": {f"account-{n}": f"{n:012}" for n in range(300)}},
        '["repository policy"]',
        "shorten the lists of roles and accounts by ",
    ),
]


def written(place: str, value: Any) -> dict[str, Any]:
    """The least that a stack has to say, with a value in a place."""
    configuration = deepcopy(VALID)
    if place.startswith("pipelineRole."):
        configuration["pipelineRole"] = deepcopy(CREATED)
    spot = configuration
    *outer, last = place.removesuffix("[0]").split(".")
    for step in outer:
        spot = spot.setdefault(step, {})
    spot[last] = [value] if place.endswith("[0]") else value
    return configuration


@pytest.mark.parametrize(
    ("changes", "key", "said"),
    [*((written(key, value), key, said) for key, value, said in WRONG_VALUES), *WRONG_TOGETHER],
)
def test_one_mistake_is_one_error(changes: dict[str, Any], key: str, said: str) -> None:
    """The key, the value, the rule and the fix."""
    [error] = problems(**changes)
    assert error.startswith((f"{key} = ", f"{key}: "))
    assert said in error
    assert ";" in error, "the rule, and then the fix"


@pytest.mark.parametrize("key", VALID)
def test_a_required_key_that_is_missing_or_misspelt(key: str) -> None:
    rest = {other: value for other, value in VALID.items() if other != key}
    for misspelt in ({}, {key[:-1]: VALID[key]}):
        with pytest.raises(InvalidInputError) as refused:
            parse(rest | misspelt)
        text = settings.explain(refused.value)
        assert f" {key}: this key is required; write it as " in text
        assert (f"did you mean {key}?" in text) is bool(misspelt)


def test_an_audit_in_a_partition_whose_region_of_iam_is_not_known() -> None:
    text = json.dumps(VALID).replace("arn:aws:", "arn:aws-iso:")
    assert parse(json.loads(text), region="us-iso-east-1")
    with pytest.raises(InvalidInputError, match="in aws-iso it is not known"):
        parse(json.loads(text) | {"audit": {"email": []}}, region="us-iso-east-1")


# --- All errors -----------------------------------------------------------------------------------


AT_ONCE: list[tuple[dict[str, Any], list[str]]] = [
    (
        {
            "tagMutability": "IMMUTABLE",
            "movableTag": ["x"],
            "administratorRoles": [f"{FOREIGN}/push"],
            "pullAccounts": {"dev": 1, "stg": "2"},
            "repositories": {
                "App": {},
                "app": {"kmsKey": "x", "retention": [{"any": True, "keepNewest": 0}]},
            },
        },
        [
            *("administratorRoles[0]", "movableTag", "pullAccounts.dev", "pullAccounts.stg"),
            *("repositories.App", "repositories.app.kmsKey"),
            *("repositories.app.retention[0].keepNewest", "tagMutability"),
        ],
    ),
    # An item of no use hides no error of its neighbours.
    (
        {
            "administratorRoles": [f"{ROLE}/ci/push", "bad", f"{FOREIGN}/deploy"],
            "tagMutability": "MUTABLE_WITH_EXCLUSION",
            "immutableTags": ["latest", "a b", "v***"],
            "tagConvention": ["prod", {"stage": "a", "tag": "v"}],
            "retention": [
                {"tags": "v*", "keepNewest": "1"},
                {"untagged": True, "keepNewest": 1},
                {"any": True, "keepNewest": 1},
                {},
            ],
        },
        [
            *(f"administratorRoles[{position}]" for position in range(3)),
            *(f"immutableTags[{position}]" for position in range(3)),
            *("retention[0].keepNewest", "retention[1]", "retention[2]", "retention[3]"),
            *("tagConvention[0]", "tagConvention[1].tag"),
        ],
    ),
]


@pytest.mark.parametrize(("changes", "expected"), AT_ONCE)
def test_all_errors_come_at_once(changes: dict[str, Any], expected: list[str]) -> None:
    errors = problems(**changes)
    assert sorted(re.split(r" = |: ", error)[0] for error in errors) == expected


# --- A convention in a file of its own ------------------------------------------------------------

CIRCULAR: list[Any] = []
CIRCULAR.append(CIRCULAR)


@pytest.mark.parametrize(
    ("written", "errors"),
    [
        ("prod", ['"prod": must be a list; write it as ["prod"]']),
        ({"a": "b"}, ['{"a": "b"}: must be a list; write it as [{"a": "b"}]']),
        ([{"stage": "a", "tag": {"semver": None}}], ['write it in quotes, such as "{semver}"']),
        (["prod", None], ['[0] = "prod": must be a mapping', "[1] = null: a key needs a value"]),
        (CIRCULAR, ["[0] = [[...]]: must be a mapping"]),
        ([{"stage": "a", "tag": "{sha}", "x": 1}], ["[0].x = 1: there is no such key"]),
        ([{"stage": "a", "tag": "v"}], ['[0].tag = "v": its placeholders are some']),
        ([], ["[]: must have at least one entry"]),
    ],
)
def test_a_convention_that_is_refused(written: Any, errors: list[str]) -> None:
    with pytest.raises(InvalidInputError) as refused:
        settings.convention_in(written)
    for problem, expected in zip(refused.value.problems, errors, strict=True):
        assert expected in str(problem)


def test_a_valid_convention_is_read_as_it_is_written() -> None:
    assert settings.convention_in(ADR040.data).data == ADR040.data


# --- Hints ----------------------------------------------------------------------------------------

ENTRY = {
    "tagMutability": "MUTABLE_WITH_EXCLUSION",
    "immutableTags": ["v*"],
    "retention": [
        {"tags": "v*", "keepNewest": 2},
        {"untagged": True, "expireAfterDays": 1},
        {"any": True, "keepNewest": 1},
    ],
    "lambdaPull": True,
    "tags": {"Team": "forms"},
    "kmsKey": KEY,
    "scanOnPush": True,
    "import": False,
}
BOUNDARY = "arn:aws:iam::111122223333:policy/boundary"
EVERY_KEY: dict[str, Any] = {
    "repositories": {"app": ENTRY},
    "tagMutability": "MUTABLE_WITH_EXCLUSION",
    "movableTags": ["latest"],
    "immutableTags": ["v*"],
    "tagConvention": [{"stage": "release", "tag": "v{semver}"}],
    "pipelineRole": {
        "name": "push",
        "path": "/",
        "permissionsBoundary": BOUNDARY,
        "trustedCodeBuildProjects": [PROJECT.replace("444455556666", "111122223333")],
        "trustedGitHubSubjects": ["repo:o/r:environment:production"],
        "trustedOidc": {"provider": "gitlab.com", "audience": "aws", "subjects": [GITLAB]},
        "trustedRoles": [f"{ROLE}/ci"],
    },
    "additionalPipelineRoles": [f"{ROLE}/other"],
    "administratorRoles": [f"{ROLE}/break-glass"],
    "pullAccounts": {"dev": "444455556666"},
    "pullOrganization": "o-abcdefghij",
    "lambdaPull": True,
    "lambdaPullAccounts": ["444455556666"],
    "retention": ENTRY["retention"],
    "audit": {"email": ["a@example.org"], "kmsKey": KEY, "permissionsBoundary": BOUNDARY},
}
Place = tuple[str | int, ...]


def places(value: Any, *where: str | int) -> Iterator[tuple[Place, Any]]:
    """Every place in a configuration, and what is there."""
    if where:
        yield where, value
    if isinstance(value, dict | list):
        children = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in children:
            yield from places(child, *where, key)


def errors_of(where: Place, value: Any) -> list[Problem]:
    """The errors of the value in that place, not of what it has within."""
    configuration = spot = deepcopy(EVERY_KEY)
    *outer, last = where
    for step in outer:
        spot = spot[step]  # type: ignore[index]
    spot[last] = value  # type: ignore[index]
    try:
        parse(configuration)
    except InvalidInputError as refused:
        return [problem for problem in refused.problems if problem.where == where]
    return []


def test_every_key_is_there_and_valid() -> None:
    parse(EVERY_KEY)
    assert EVERY_KEY.keys() == {field.alias for field in StackSettings.model_fields.values()}
    assert ENTRY.keys() == {field.alias for field in RepositorySettings.model_fields.values()}
    of_role = {field.alias for field in PipelineRoleSettings.model_fields.values()}
    assert EVERY_KEY["pipelineRole"].keys() == of_role - {"arn"}


@pytest.mark.parametrize(("where", "right"), [*places(EVERY_KEY)], ids=lambda part: str(part)[:40])
def test_whatever_is_of_the_wrong_kind_is_an_error_with_an_example_that_fits(
    where: Place, right: Any
) -> None:
    wrong: list[Any] = ["", "foo", 150, 1.5, True, False, [], ["a"], {}, {"a": "b"}, None]
    fixes = set()
    for value in wrong:
        if type(value) is type(right) and not isinstance(right, str):
            continue
        errors = errors_of(where, value)
        fixes |= {problem.fix for problem in errors}
        is_empty_entry = value is None and where == ("repositories", "app")
        assert errors or type(value) is type(right) or is_empty_entry, value
    assert fixes
    for fix in sorted(fixes):
        shown = re.search(r"write (?:it as|one such as) (.*)$|such as (.*)$", fix)
        assert shown, fix
        example = YAML(typ="safe", pure=True).load(shown[1] or shown[2])
        assert errors_of(where, example) == [], fix


@pytest.mark.parametrize(
    "name",
    [
        *("ab", "a--b", "a__b", "a_b", "a.b", "a/b", "a-b/c.d_e", "1/2"),
        *("a___b", "a..b", "-a", "a-", "a//b", "A", "/a", "a/", "a_-b", "aé", "a\n"),
    ],
)
def test_a_repository_name_is_what_ecr_says_it_is(name: str) -> None:
    shape = botocore.session.get_session().get_service_model("ecr").shape_for("RepositoryName")
    accepted = re.fullmatch(shape.metadata["pattern"], name) is not None
    try:
        TypeAdapter(RepositoryName).validate_python(name)
    except ValidationError:
        assert not accepted
    else:
        assert accepted
    assert (shape.metadata["min"], shape.metadata["max"]) == (2, 256)
