"""Every way in which a configuration can be wrong, and what its author is told."""

import json
import re
from collections.abc import Iterator
from copy import deepcopy
from typing import Any, ClassVar

import botocore.session
import pytest
from pydantic import TypeAdapter, ValidationError
from ruamel.yaml import YAML

from container_images import settings
from container_images.policies.invalid_input import InvalidInputError, Problem, key_at
from container_images.policies.tag_convention import ADR040
from container_images.settings import Account, StackSettings
from container_images.settings.model import PipelineRoleSettings, RepositorySettings
from container_images.settings.planned import planned_audit, planned_lifecycle_policy
from container_images.settings.values import RepositoryName

DEPLOY = "arn:aws:iam::111122223333:role/deploy"
NO_ENTRIES: list[Any] = [True, False, "", [], 0]


def valid() -> dict[str, Any]:
    """The least that a stack has to say."""
    return {
        "repositories": {"app": {}},
        "pipelineRole": {"arn": "arn:aws:iam::111122223333:role/ci/push"},
        "administratorRoles": [DEPLOY],
    }


def as_pulumi_has_it(configuration: dict[str, Any]) -> dict[str, str]:
    return {
        key: value if isinstance(value, str) else json.dumps(value)
        for key, value in configuration.items()
    }


def parse(configuration: dict[str, Any]) -> StackSettings:
    account = Account(partition="aws", id="111122223333", region="eu-west-2")
    return settings.parse(as_pulumi_has_it(configuration), account)


def problems(**changes: Any) -> list[str]:
    with pytest.raises(InvalidInputError) as refused:
        parse(valid() | changes)
    return [str(problem) for problem in refused.value.problems]


def created_role(**changes: Any) -> dict[str, Any]:
    return {"name": "push", "trustedRoles": ["arn:aws:iam::111122223333:role/ci"]} | changes


class TestWhatIsValid:
    def test_the_least_has_every_default(self) -> None:
        parsed = parse(valid())
        assert parsed.tag_mutability == "MUTABLE"
        assert parsed.movable_tags == ("latest",)
        app = parsed.repositories["app"]
        assert app.model_dump(by_alias=True) == {
            "tagMutability": "MUTABLE",
            "immutableTags": (),
            "retention": (),
            "lambdaPull": False,
            "tags": {},
            "kmsKey": "",
            "scanOnPush": True,
            "import": False,
        }

    def test_an_entry_replaces_what_the_stack_says(self) -> None:
        parsed = parse(
            valid()
            | {
                "tagMutability": "MUTABLE_WITH_EXCLUSION",
                "immutableTags": ["prod-*"],
                "retention": [{"tags": "prod-*", "keepNewest": 3}],
                "lambdaPull": True,
                "repositories": {
                    "inherits": None,
                    "overrides": {
                        "tagMutability": "IMMUTABLE_WITH_EXCLUSION",
                        "retention": [],
                        "lambdaPull": False,
                    },
                },
            }
        )
        inherits, overrides = parsed.repositories["inherits"], parsed.repositories["overrides"]
        assert inherits.tag_mutability == "MUTABLE_WITH_EXCLUSION"
        assert inherits.immutable_tags == overrides.immutable_tags == ("prod-*",)
        assert len(inherits.retention) == 1
        assert inherits.lambda_pull is True
        assert overrides.tag_mutability == "IMMUTABLE_WITH_EXCLUSION"
        assert overrides.retention == ()
        assert overrides.lambda_pull is False

    def test_repositories_come_in_alphabetical_order(self) -> None:
        parsed = parse(valid() | {"repositories": {"bb": {}, "cc/a": {}, "aa": {}}})
        assert list(parsed.repositories) == ["aa", "bb", "cc/a"]

    def test_settings_cannot_be_changed(self) -> None:
        with pytest.raises(ValidationError, match="frozen"):
            parse(valid()).tag_mutability = "MUTABLE"

    def test_patterns_are_of_use_where_one_repository_uses_them(self) -> None:
        entries = {"app": {"tagMutability": "MUTABLE_WITH_EXCLUSION"}, "other": {}}
        parsed = parse(valid() | {"immutableTags": ["v*"], "repositories": entries})
        assert parsed.repositories["other"].tag_mutability == "MUTABLE"

    @pytest.mark.parametrize(
        "subject",
        [
            "repo:owner/name:environment:production",
            "repo:owner/name:ref:refs/heads/main",
            "repo:owner/name:ref:refs/tags/v1.0",
            # Repositories created after 15 July 2026 send their ids too.
            "repo:owner@123/name@456:environment:production",
        ],
    )
    def test_an_exact_subject(self, subject: str) -> None:
        role = created_role(trustedGitHubSubjects=[subject])
        assert parse(valid() | {"pipelineRole": role}).pipeline_role.trusted_git_hub_subjects == (
            subject,
        )

    def test_the_arn_of_a_role_to_create_is_known_beforehand(self, account: Account) -> None:
        parsed = parse(valid() | {"pipelineRole": created_role(path="/ci/images/")})
        assert parsed.pipeline_roles_in(account) == [
            "arn:aws:iam::111122223333:role/ci/images/push"
        ]

    def test_a_pipeline_role_may_be_of_another_account(self) -> None:
        foreign = "arn:aws:iam::444455556666:role/push"
        named = {"pullAccounts": {"ci": "444455556666"}}
        assert parse(valid() | named | {"additionalPipelineRoles": [foreign]})


class TestOneFault:
    """Each of these is one mistake, and is told once: the key, the value, the rule and the fix."""

    @pytest.mark.parametrize(
        ("changes", "key", "said"),
        [
            pytest.param(
                {"movableTag": ["x"]}, "movableTag", "did you mean movableTags?", id="typo"
            ),
            pytest.param({"zzz": 1}, "zzz", "the keys here are additionalPipelineRoles", id="key"),
            pytest.param({"tagMutability": "IMMUTABLE"}, "tagMutability", "ADR040", id="immutable"),
            pytest.param(
                {"tagMutability": "mutable"}, "tagMutability", "one of MUTABLE", id="case"
            ),
            pytest.param({"repositories": {}}, "repositories", "at least one", id="none"),
            pytest.param({"repositories": ["app"]}, "repositories", "a mapping", id="list"),
            pytest.param({"repositories": "app"}, "repositories", "a mapping", id="text"),
            pytest.param(
                {"repositories": {"App": {}}}, "repositories.App", "lower-case", id="name"
            ),
            pytest.param({"repositories": {"a": {}}}, "repositories.a", "2 to 256", id="short"),
            pytest.param(
                {"repositories": {"app": {"retentions": []}}},
                "repositories.app.retentions",
                "did you mean retention?",
                id="typo in an entry",
            ),
            pytest.param(
                {"repositories": {"app.v2": {"scanOnPush": "yes"}}},
                'repositories["app.v2"].scanOnPush',
                "true or false",
                id="no boolean",
            ),
            pytest.param(
                {"repositories": {"app": ["x"]}}, "repositories.app", "a mapping", id="entry"
            ),
            *(
                pytest.param(
                    {"repositories": {"app": entry}},
                    "repositories.app",
                    "a mapping",
                    id=repr(entry),
                )
                for entry in NO_ENTRIES
            ),
            pytest.param(
                {"repositories": {"app": {"kmsKey": "alias/x"}}},
                "repositories.app.kmsKey",
                "ARN of a KMS key",
                id="alias",
            ),
            pytest.param(
                {"repositories": {"app": {"kmsKey": "arn:aws:kms:eu-west-1:111122223333:key/1"}}},
                "repositories.app.kmsKey",
                "eu-west-2",
                id="key of another Region",
            ),
            pytest.param(
                {"repositories": {"app": {"tags": {"aws:x": "1"}}}},
                "repositories.app.tags.aws:x",
                "AWS's own prefix",
                id="AWS's tag",
            ),
            pytest.param(
                {"repositories": {"app": {"tags": {"x": 1}}}},
                "repositories.app.tags.x",
                'in quotes, such as "1"',
                id="number as tag",
            ),
            pytest.param({"movableTags": []}, "movableTags", "at least one", id="no tag"),
            pytest.param(
                {"movableTags": ["latest", "la*"]},
                "movableTags[1]",
                "a pattern frees tags that are immutable otherwise, and none are",
                id="pattern without effect",
            ),
            pytest.param(
                {"movableTags": ["v1.*"], "tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
                "movableTags",
                "has patterns only",
                id="patterns only",
            ),
            pytest.param(
                {"movableTags": ["latest", "v*.*.*"], "tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
                "movableTags[1]",
                "at most 2 wildcards",
                id="too many wildcards",
            ),
            pytest.param(
                {"movableTags": ["latest", "prod-*"], "tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
                "movableTags[1]",
                "tagConvention has it as a unique tag (prod-{sha}-{epoch})",
                id="pattern of unique tags",
            ),
            pytest.param(
                {"movableTags": ["-a"]}, "movableTags[0]", "a tag pattern", id="no tag at all"
            ),
            pytest.param({"movableTags": ["a", "a"]}, "movableTags", "twice", id="tag twice"),
            pytest.param({"movableTags": "latest"}, "movableTags", "a list", id="no list"),
            pytest.param({"lambdaPull": "on"}, "lambdaPull", "true or false", id="boolean"),
            pytest.param({"pullOrganization": "o-1"}, "pullOrganization", "o- and 10", id="org"),
            pytest.param(
                {"pullAccounts": {"dev": 444455556666}},
                "pullAccounts.dev",
                'in quotes, such as "444455556666"',
                id="unquoted account",
            ),
            pytest.param({"pullAccounts": {"dev": "1"}}, "pullAccounts.dev", "12 digits", id="id"),
            pytest.param(
                {"pullAccounts": {"dev": "444455556666", "stg": "444455556666"}},
                "pullAccounts.stg",
                "dev has the same id",
                id="account twice",
            ),
            pytest.param({"administratorRoles": []}, "administratorRoles", "at least", id="nobody"),
            pytest.param(
                {"administratorRoles": ["arn:aws:iam::111122223333:user/bob"]},
                "administratorRoles[0]",
                "one IAM role",
                id="user",
            ),
            pytest.param(
                {"administratorRoles": ["arn:aws:iam::111122223333:role/*"]},
                "administratorRoles[0]",
                "without wildcards",
                id="wildcard in a role",
            ),
            pytest.param(
                {"administratorRoles": ["arn:aws:iam::111122223333:role/a?/b"]},
                "administratorRoles[0]",
                "without wildcards",
                id="wildcard in a path",
            ),
            pytest.param(
                {"administratorRoles": ["arn:aws:iam::111122223333:role/${aws:username}/a"]},
                "administratorRoles[0]",
                "without wildcards or $",
                id="policy variable in a path",
            ),
            pytest.param(
                {"administratorRoles": [DEPLOY, "arn:aws:iam::111122223333:role/x/deploy"]},
                "administratorRoles[1]",
                "the same name with another path",
                id="one role with two paths",
            ),
            pytest.param(
                {
                    "pipelineRole": created_role(
                        trustedRoles=["arn:aws:iam::111122223333:role/push"]
                    )
                },
                "pipelineRole.trustedRoles[0]",
                "the role that the stack creates",
                id="a role that trusts itself",
            ),
            pytest.param(
                {"pullAccounts": {"own": "111122223333"}},
                "pullAccounts.own",
                "the stack's own account",
                id="own account",
            ),
            pytest.param(
                {"administratorRoles": ["arn:aws:sts::111122223333:assumed-role/a/session"]},
                "administratorRoles[0]",
                "never of its session",
                id="session",
            ),
            pytest.param(
                {"administratorRoles": ["arn:aws:iam::444455556666:role/deploy"]},
                "administratorRoles[0]",
                "the stack's own account, 111122223333",
                id="administrator of another account",
            ),
            pytest.param(
                {"administratorRoles": ["arn:aws:iam::111122223333:role/ci/push"]},
                "administratorRoles[0]",
                "no role both moves tags and administers",
                id="both",
            ),
            pytest.param(
                {"administratorRoles": ["arn:aws:iam::111122223333:role/elsewhere/push"]},
                "administratorRoles[0]",
                "unique across paths",
                id="both, under another path",
            ),
            pytest.param(
                {"pipelineRole": created_role(name="deploy")},
                "administratorRoles[0]",
                "pipelineRole.name is the same role",
                id="both, created",
            ),
            pytest.param(
                {"additionalPipelineRoles": ["arn:aws:iam::111122223333:role/x/deploy"]},
                "administratorRoles[0]",
                "additionalPipelineRoles[0] is the same role",
                id="both, additional",
            ),
            pytest.param(
                {"pipelineRole": created_role(trustedRoles=[DEPLOY])},
                "administratorRoles[0]",
                "lets this administrator assume the pipeline role",
                id="an administrator who may become the pipeline",
            ),
            pytest.param(
                {"additionalPipelineRoles": ["arn:aws-cn:iam::111122223333:role/x"]},
                "additionalPipelineRoles[0]",
                "another partition",
                id="partition",
            ),
            pytest.param(
                {"additionalPipelineRoles": ["arn:aws:iam::444455556666:role/x"]},
                "additionalPipelineRoles[0]",
                "of an account that the stack does not name",
                id="pipeline role of a stranger",
            ),
            pytest.param(
                {"pipelineRole": {"arn": "arn:aws:iam::111122223334:role/ci/push"}},
                "pipelineRole.arn",
                "one of the stack's own account, 111122223333",
                id="a digit of the account is wrong",
            ),
            pytest.param(
                {"lambdaPullAccounts": ["444455556666"]},
                "lambdaPullAccounts[0]",
                "only if that account may pull",
                id="functions of an account that may not pull",
            ),
            pytest.param(
                {"pipelineRole": {}}, "pipelineRole", "exists or is created", id="no role"
            ),
            pytest.param({"pipelineRole": "x"}, "pipelineRole", "a mapping", id="role as text"),
            pytest.param(
                {"pipelineRole": {"name": "push"}}, "pipelineRole", "able to assume", id="untrusted"
            ),
            pytest.param(
                {"pipelineRole": {"name": "push", "trustedRoles": []}},
                "pipelineRole",
                "able to assume",
                id="trusted by none",
            ),
            pytest.param(
                {"pipelineRole": created_role(arn="arn:aws:iam::111122223333:role/push")},
                "pipelineRole",
                "leave out name, trustedRoles",
                id="arn and name",
            ),
            pytest.param(
                {"pipelineRole": created_role(name="a/b")},
                "pipelineRole.name",
                "1 to 64",
                id="name/",
            ),
            pytest.param(
                {"pipelineRole": created_role(path="ci")}, "pipelineRole.path", "starts", id="path"
            ),
            pytest.param(
                {"pipelineRole": created_role(path="/*/")},
                "pipelineRole.path",
                "wildcards",
                id="/*/",
            ),
            pytest.param(
                {"pipelineRole": created_role(permissionsBoundary=DEPLOY)},
                "pipelineRole.permissionsBoundary",
                "managed policy",
                id="boundary",
            ),
            pytest.param(
                {
                    "pipelineRole": created_role(
                        trustedCodeBuildProjects=[
                            "arn:aws:codebuild:eu-west-2:111122223333:project/*"
                        ]
                    )
                },
                "pipelineRole.trustedCodeBuildProjects[0]",
                "one CodeBuild project",
                id="any project",
            ),
            pytest.param(
                {
                    "pipelineRole": created_role(
                        trustedCodeBuildProjects=[
                            "arn:aws:codebuild:eu-west-2:444455556666:project/deploy"
                        ]
                    )
                },
                "pipelineRole.trustedCodeBuildProjects[0]",
                "project of that account",
                id="project of another account",
            ),
            pytest.param(
                {"tagMutability": "MUTABLE_WITH_EXCLUSION"},
                "immutableTags",
                "takes 1 to 5",
                id="no patterns",
            ),
            pytest.param(
                {"immutableTags": ["v*"]}, "immutableTags", "no effect", id="patterns unused"
            ),
            pytest.param(
                {"repositories": {"app": {"tagMutability": "MUTABLE_WITH_EXCLUSION"}}},
                "repositories.app.immutableTags",
                "takes 1 to 5",
                id="no patterns in an entry",
            ),
            pytest.param(
                {"repositories": {"app": {"immutableTags": ["v*"]}}},
                "repositories.app.immutableTags",
                "with tagMutability MUTABLE they have no effect",
                id="patterns unused in an entry",
            ),
            pytest.param(
                {
                    "movableTags": ["a", "b", "c", "d", "e", "f"],
                    "tagMutability": "IMMUTABLE_WITH_EXCLUSION",
                },
                "tagMutability",
                "at most 5",
                id="too many filters",
            ),
        ],
    )
    def test_is_told(self, changes: dict[str, Any], key: str, said: str) -> None:
        [told] = problems(**changes)
        assert told.startswith((f"{key} = ", f"{key}: "))
        assert said in told
        assert ";" in told, "the rule, and then the fix"

    @pytest.mark.parametrize("written", ["administratorRole", "adminRoles"])
    def test_a_required_key_is_misspelt(self, written: str) -> None:
        configuration = valid()
        configuration[written] = configuration.pop("administratorRoles")
        with pytest.raises(InvalidInputError) as refused:
            parse(configuration)
        [problem] = refused.value.problems
        assert (problem.where, problem.fix) == ((written,), "did you mean administratorRoles?")

    @pytest.mark.parametrize("key", ["repositories", "pipelineRole", "administratorRoles"])
    def test_a_required_key_is_missing(self, key: str) -> None:
        configuration = valid()
        del configuration[key]
        with pytest.raises(InvalidInputError) as refused:
            parse(configuration)
        [problem] = refused.value.problems
        assert str(problem).startswith(f"{key}: this key is required; write it as ")

    @pytest.mark.parametrize(
        "subject",
        [
            "*",
            "repo:*",
            "repo:owner/*",
            "repo:owner/name:*",
            "repo:owner/name",
            "repo:owner/name:pull_request",
            "repo:owner/name:ref:refs/heads/*",
            "repo:owner/name:ref:refs/heads/?ain",
            "repo:owner/name:ref:refs/pull/1/merge",
            "repo:*/name:environment:production",
            "repo:owner/name:environment:*",
            "repo:owner/name:environment:${aws:username}",
            "owner/name:environment:production",
        ],
    )
    def test_a_subject_that_lets_any_branch_in(self, subject: str) -> None:
        [told] = problems(pipelineRole=created_role(trustedGitHubSubjects=[subject]))
        assert "all who can push a branch" in told

    @pytest.mark.parametrize(
        ("patterns", "said"),
        [
            (["l*"], "matches latest"),
            (["*"], "matches latest"),
            (["latest"], "matches latest"),
            (["a*b*c*"], "at most 2 wildcards"),
            ([f"{n}-*" for n in range(6)], "at most 5"),
            (["v*", "v*"], "twice"),
            (["-v"], "starts as a tag does"),
            ([7], 'in quotes, such as "7"'),
        ],
    )
    @pytest.mark.parametrize("where", ["stack", "entry"])
    def test_an_immutable_pattern(self, patterns: list[Any], said: str, where: str) -> None:
        changes: dict[str, Any] = {
            "tagMutability": "MUTABLE_WITH_EXCLUSION",
            "immutableTags": patterns,
        }
        if where == "entry":
            changes = {"repositories": {"app": changes}}
        [told] = problems(**changes)
        assert said in told

    @pytest.mark.parametrize("where", ["stack", "entry"])
    def test_a_retention_rule(self, where: str) -> None:
        """One of those that tests/components/test_retention.py has all of."""
        changes: dict[str, Any] = {"retention": [{"untagged": True, "keepNewest": 1}]}
        prefix = "retention[0]"
        if where == "entry":
            changes = {"repositories": {"app": changes}}
            prefix = "repositories.app.retention[0]"
        [told] = problems(**changes)
        assert told.startswith(prefix)
        assert "keepNewest" in told

    @pytest.mark.parametrize(
        ("rule", "said"),
        [
            ({"tag": "a", "keepNewest": 1}, "did you mean tags?"),
            ({"tags": "a", "keepNewest": "1"}, "a whole number"),
            ({"tags": "a", "keepNewest": 1.5}, "a whole number"),
            ({"tags": "a", "keepNewest": True}, "a whole number"),
            ({"tags": 1, "keepNewest": 1}, "text"),
            ("prod-*", "a mapping"),
        ],
    )
    def test_a_retention_rule_of_the_wrong_shape(self, rule: Any, said: str) -> None:
        [told] = problems(retention=[rule])
        assert told.startswith("retention[0]")
        assert said in told

    @pytest.mark.parametrize(
        ("changes", "key"),
        [
            ({"movableTags": None}, "movableTags"),
            ({"repositories": None}, "repositories"),
            ({"pipelineRole": None}, "pipelineRole"),
            ({"administratorRoles": [None]}, "administratorRoles[0]"),
            ({"repositories": {"app": {"kmsKey": None}}}, "repositories.app.kmsKey"),
            ({"pullAccounts": {"dev": None}}, "pullAccounts.dev"),
        ],
    )
    def test_a_key_without_a_value(self, changes: dict[str, Any], key: str) -> None:
        [told] = problems(**changes)
        assert told.startswith(f"{key} = null: a key needs a value")

    def test_more_movable_tags_than_a_lifecycle_policy_has_rules(self) -> None:
        [told] = problems(movableTags=[f"t{n}" for n in range(200)], retention=[])
        assert told.startswith("movableTags = ")
        assert told.endswith("; leave 150 out")

    @pytest.mark.parametrize(
        "rule",
        [
            {"untagged": True, "keepNewest": 0},
            {"untagged": False, "keepNewest": 1},
            {"tags": "a", "keepNewest": 1, "expireAfterDays": 0},
            {"keepNewest": 0},
        ],
    )
    def test_a_faulty_retention_rule_is_told_once(self, rule: dict[str, Any]) -> None:
        assert len(problems(retention=[rule])) == 1

    def test_what_does_not_go_with_an_unknown_key(self) -> None:
        [told] = problems(pipelineRole={"arn": DEPLOY.replace("deploy", "push"), "names": "x"})
        assert "did you mean name?" in told

    def test_a_number_too_long_for_python(self) -> None:
        account = Account(partition="aws", id="111122223333", region="eu-west-2")
        with pytest.raises(InvalidInputError, match="lambdaPull"):
            settings.parse(as_pulumi_has_it(valid()) | {"lambdaPull": "1" * 5000}, account)

    def test_a_policy_that_is_too_long(self) -> None:
        accounts = {f"account-{n}": f"{n:012}" for n in range(300)}
        [told] = problems(pullAccounts=accounts)
        assert "300 pull accounts" in told

    def test_a_trust_policy_that_is_too_long(self) -> None:
        subjects = [f"repo:owner/name{n}:environment:production" for n in range(60)]
        [told] = problems(pipelineRole=created_role(trustedGitHubSubjects=subjects))
        assert "60 GitHub subjects" in told


class TestAllFaults:
    def test_come_at_once(self) -> None:
        told = problems(
            tagMutability="IMMUTABLE",
            movableTag=["x"],
            administratorRoles=["arn:aws:iam::444455556666:role/push"],
            pullAccounts={"dev": 1, "stg": "2"},
            repositories={
                "App": {},
                "app": {"kmsKey": "x", "retention": [{"any": True, "keepNewest": 0}]},
            },
        )
        assert [re.split(r" = |: ", it)[0] for it in told] == [
            "repositories.App",
            "repositories.app.kmsKey",
            "tagMutability",
            "pullAccounts.dev",
            "pullAccounts.stg",
            "movableTag",
            "administratorRoles[0]",
            "repositories.app.retention[0].keepNewest",
        ]

    def test_come_from_every_item_of_a_list(self) -> None:
        """One that is of no use hides nothing that is wrong with its neighbours."""
        told = problems(
            administratorRoles=[
                "arn:aws:iam::111122223333:role/ci/push",
                "bad",
                "arn:aws:iam::444455556666:role/deploy",
            ],
            tagMutability="MUTABLE_WITH_EXCLUSION",
            immutableTags=["latest", "a b", "v***"],
            pullAccounts={"one": "444455556666", "bad": 1, "other": "444455556666"},
            retention=[
                {"tags": "v*", "keepNewest": "1"},
                {"untagged": True, "keepNewest": 1},
                {"any": True, "keepNewest": 1},
                {},
            ],
        )
        assert sorted(re.split(r" = |: ", it)[0] for it in told) == [
            "administratorRoles[0]",
            "administratorRoles[1]",
            "administratorRoles[2]",
            "immutableTags[0]",
            "immutableTags[1]",
            "immutableTags[2]",
            "pullAccounts.bad",
            "pullAccounts.other",
            "retention[0].keepNewest",
            "retention[1]",
            "retention[2]",
            "retention[3]",
        ]

    def test_of_what_a_thousand_repositories_inherit_are_told_once(self) -> None:
        assert (
            len(
                problems(
                    tagMutability="MUTABLE_WITH_EXCLUSION",
                    repositories={f"app-{n}": {} for n in range(1000)},
                )
            )
            == 1
        )

    def test_are_one_message(self) -> None:
        with pytest.raises(InvalidInputError) as refused:
            parse(valid() | {"tagMutability": "IMMUTABLE", "zzz": 1})
        first, *rest = settings.explain(refused.value).splitlines()
        assert first == "the configuration has 2 errors; nothing has been changed:"
        assert [line[:5] for line in rest] == ["  1. ", "  2. "]


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
    "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1",
    "scanOnPush": True,
    "import": False,
}
EVERY_KEY: dict[str, Any] = {
    "repositories": {"app": ENTRY},
    "tagMutability": "MUTABLE_WITH_EXCLUSION",
    "movableTags": ["latest"],
    "immutableTags": ["v*"],
    "tagConvention": [{"stage": "release", "tag": "v{semver}"}],
    "pipelineRole": {
        "name": "push",
        "path": "/",
        "permissionsBoundary": "arn:aws:iam::111122223333:policy/boundary",
        "trustedCodeBuildProjects": ["arn:aws:codebuild:eu-west-2:111122223333:project/x1"],
        "trustedGitHubSubjects": ["repo:o/r:environment:production"],
        "trustedRoles": ["arn:aws:iam::111122223333:role/ci"],
    },
    "additionalPipelineRoles": ["arn:aws:iam::111122223333:role/other"],
    "administratorRoles": ["arn:aws:iam::111122223333:role/break-glass"],
    "pullAccounts": {"dev": "444455556666"},
    "pullOrganization": "o-abcdefghij",
    "lambdaPull": True,
    "lambdaPullAccounts": ["444455556666"],
    "retention": ENTRY["retention"],
    "audit": {
        "email": ["a@example.org"],
        "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1",
        "permissionsBoundary": "arn:aws:iam::111122223333:policy/boundary",
    },
}


def places(value: Any, *where: str | int) -> Iterator[tuple[tuple[str | int, ...], Any]]:
    """Every place in a configuration, and what is there."""
    if where:
        yield where, value
    if isinstance(value, dict | list):
        children = value.items() if isinstance(value, dict) else enumerate(value)
        for key, child in children:
            yield from places(child, *where, key)


def with_value(where: tuple[str | int, ...], value: Any) -> dict[str, Any]:
    configuration = deepcopy(EVERY_KEY)
    *outer, last = where
    spot: Any = configuration
    for step in outer:
        spot = spot[step]
    spot[last] = value
    return configuration


def told_about(where: tuple[str | int, ...], value: Any) -> list[Problem]:
    """The problems of the value in that place, not of what it has within."""
    try:
        parse(with_value(where, value))
    except InvalidInputError as refused:
        return [it for it in refused.problems if it.where == where]
    return []


class TestHints:
    """Whoever writes something of the wrong kind is shown something of the right one."""

    WRONG: ClassVar[list[Any]] = ["", "foo", 150, 1.5, True, [], ["a"], {}, {"a": "b"}, None]

    def test_everything_is_there_and_valid(self) -> None:
        parse(EVERY_KEY)
        assert EVERY_KEY.keys() == {it.alias for it in StackSettings.model_fields.values()}
        assert ENTRY.keys() == {it.alias for it in RepositorySettings.model_fields.values()}
        role = {it.alias for it in PipelineRoleSettings.model_fields.values()}
        assert EVERY_KEY["pipelineRole"].keys() == role - {"arn"}

    @pytest.mark.parametrize("where", [it for it, _ in places(EVERY_KEY)], ids=key_at)
    def test_an_example_is_one_that_fits(self, where: tuple[str | int, ...]) -> None:
        [right] = [it for place, it in places(EVERY_KEY) if place == where]
        fixes = {
            problem.fix
            for wrong in self.WRONG
            if isinstance(right, str) or type(wrong) is not type(right)
            for problem in told_about(where, wrong)
        }
        assert fixes
        for fix in sorted(fixes):
            shown = re.search(r"write (?:it as|one such as) (.*)$|such as (.*)$", fix)
            assert shown, fix
            example = YAML(typ="safe", pure=True).load(shown[1] or shown[2])
            assert told_about(where, example) == [], fix

    def test_a_hint_that_does_not_fit_would_be_noticed(self) -> None:
        assert told_about(("administratorRoles",), ["latest"]) == []
        assert told_about(("administratorRoles", 0), "latest")
        assert told_about(("pipelineRole",), ["latest"])


class TestTagConvention:
    """The stages are told apart, covered by the patterns, and name no movable tag."""

    def test_without_one_it_is_that_of_adr040(self) -> None:
        assert parse(valid()).convention.to_data() == ADR040.to_data()

    def test_an_own_one_is_read_in_its_order(self) -> None:
        written = [{"stage": "b", "tag": "b{sha}"}, {"stage": "a", "tag": "v{semver}"}]
        parsed = parse(valid() | {"tagConvention": written})
        assert list(parsed.convention.stages) == ["b", "a"]
        assert parsed.convention.to_data() == written

    @pytest.mark.parametrize(
        ("written", "place", "said"),
        [
            ([], "tagConvention = []", "at least one stage"),
            ([{"stage": "a"}], "tagConvention[0].tag", "this key is required"),
            ([{"stage": "a", "tag": "v{semver}", "name": "x"}], "tagConvention[0].name", "keys"),
            ([{"stage": "a", "tag": "v"}], "tagConvention[0].tag", "would be the same"),
            ([{"stage": "a b", "tag": "v{sha}"}], "tagConvention[0].stage", "letters, digits"),
            (
                [{"stage": "a", "tag": "{sha}"}, {"stage": "b", "tag": "{number}"}],
                "tagConvention[1].tag",
                "has the same tags, such as 9999999999",
            ),
        ],
    )
    def test_stages_that_could_not_be_read(self, written: Any, place: str, said: str) -> None:
        [told] = problems(tagConvention=written)
        assert told.startswith(place)
        assert said in told

    def test_positions_count_stages_that_are_none(self) -> None:
        first, second = problems(tagConvention=["prod", {"stage": "a", "tag": "v"}])
        assert first.startswith("tagConvention[0] = ")
        assert second.startswith("tagConvention[1].tag = ")

    def test_a_movable_tag_that_a_stage_has_too(self) -> None:
        written = [{"stage": "release", "tag": "{sha}"}]
        [told] = problems(tagConvention=written, movableTags=["latest", "deadbeef"])
        assert told.startswith('movableTags[1] = "deadbeef": tagConvention has it as a unique tag')

    @pytest.mark.parametrize("where", ["stack", "entry"])
    def test_a_stage_that_the_immutable_patterns_do_not_cover(self, where: str) -> None:
        convention = [{"stage": "build", "tag": "b{sha}"}, {"stage": "release", "tag": "v{semver}"}]
        guard: dict[str, Any] = {
            "tagMutability": "MUTABLE_WITH_EXCLUSION",
            "immutableTags": ["v*", "x*"],
        }
        key = "immutableTags"
        if where == "entry":
            guard, key = {"repositories": {"app": guard}}, f"repositories.app.{key}"
        [told] = problems(tagConvention=convention, **guard)
        assert told.startswith('tagConvention[0].tag = "b{sha}"')
        assert f"{key} do not match all of its tags: b0000000" in told
        assert "write a pattern that does" in told

    @pytest.mark.parametrize("mode", ["MUTABLE", "IMMUTABLE_WITH_EXCLUSION"])
    def test_without_patterns_nothing_need_cover_them(self, mode: str) -> None:
        parse(valid() | {"tagConvention": EVERY_KEY["tagConvention"], "tagMutability": mode})

    def test_the_default_need_not_be_within_the_patterns(self) -> None:
        written = {"tagMutability": "MUTABLE_WITH_EXCLUSION", "immutableTags": ["v*"]}
        parse(valid() | written)
        parse(valid() | written | {"tagConvention": ADR040.to_data()})  # as Pulumi hands it over


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


class TestAudit:
    def test_it_is_off_unless_it_is_written(self) -> None:
        assert not parse(valid()).audit.enabled
        assert not parse(valid() | {"audit": {}}).audit.enabled
        assert parse(valid() | {"audit": {"email": []}}).audit.enabled

    def test_what_it_watches(self, account: Account) -> None:
        created = planned_audit(parse(valid() | {"pipelineRole": created_role()}), account)
        assert created["created_role"] == "arn:aws:iam::111122223333:role/push"
        existing = planned_audit(parse(valid()), account)
        assert existing["created_role"] == ""
        assert existing["repositories"] == ["app"]

    @pytest.mark.parametrize(
        ("audit", "problem"),
        [
            ({"mail": []}, "audit.mail = []: there is no such key; did you mean email?"),
            ({"email": "a@b.c"}, 'audit.email = "a@b.c": must be a list; write it as ["a@b.c"]'),
            ({"email": ["a@b"]}, 'audit.email[0] = "a@b": must be an e-mail'),
            ({"email": ["a@b.c", "a@b.c"]}, "a@b.c is written twice"),
            ({"permissionsBoundary": DEPLOY}, "audit.permissionsBoundary ="),
            ({"kmsKey": "alias/x"}, "audit.kmsKey ="),
            ({"kmsKey": "arn:aws:kms:eu-west-1:111122223333:key/1"}, "own Region, eu-west-2"),
            ([], "audit = []: must be a mapping"),
            ("yes", 'audit = "yes": must be a mapping'),
            (False, "audit = false: must be a mapping"),
        ],
    )
    def test_what_is_wrong_with_it(self, audit: Any, problem: str) -> None:
        found = problems(audit=audit)
        assert any(problem in it for it in found), found

    def test_roles_that_no_pattern_can_name(self) -> None:
        roles = [f"arn:aws:iam::111122223333:role/{'a' * 60}{number:02}" for number in range(20)]
        off = valid() | {"additionalPipelineRoles": roles}
        assert parse(off)
        [problem] = problems(additionalPipelineRoles=roles, audit={"email": []})
        assert "of at most 2,048 characters" in problem

    def test_a_partition_whose_region_of_iam_is_not_known(self) -> None:
        role = "arn:aws-iso:iam::111122223333:role/"
        written = {
            "repositories": {"app": {}},
            "pipelineRole": {"arn": f"{role}push"},
            "administratorRoles": [f"{role}deploy"],
        }
        account = Account(partition="aws-iso", id="111122223333", region="us-iso-east-1")
        assert settings.parse(as_pulumi_has_it(written), account)
        with pytest.raises(InvalidInputError, match="in the partition aws-iso it is not known"):
            settings.parse(as_pulumi_has_it(written | {"audit": {"email": []}}), account)


def test_a_pattern_of_movable_tags_is_freed_and_not_protected() -> None:
    """So that an image can be signed twice."""
    stack = parse(
        valid()
        | {
            "movableTags": ["latest", "sha256-*.sig", "v1.*"],
            "tagMutability": "IMMUTABLE_WITH_EXCLUSION",
            "retention": [{"tags": "sha256-*.sig", "keepNewest": 1000}],
        }
    )
    assert stack.movable_tags == ("latest",)
    assert stack.movable_patterns == ("latest", "sha256-*.sig", "v1.*")
    rules = planned_lifecycle_policy(stack, "app")["rules"]
    assert [rule["selection"]["tagPatternList"] for rule in rules] == [["latest"], ["sha256-*.sig"]]
    assert stack.overwriting_warning() is None
