"""What goes round the guards of a stack's repositories, because it is set for the registry."""

import json
from typing import TYPE_CHECKING, Any

import pytest

from container_images.settings import Account
from container_images.stack.registry import is_cached, replication_warnings
from tests.cli.test_cli import run
from tests.stack.conftest import NAME, Answers

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient

ACCOUNT = Account(partition="aws", id="111122223333", region="eu-west-2")
NAMES = ["forms-admin-deploy", "forms-runner-deploy"]
HERE = {"region": "eu-west-2", "registryId": "111122223333"}
ELSEWHERE = {"region": "eu-west-1", "registryId": "444455556666"}


def rule(*destinations: dict[str, str], prefix: str | None = None) -> dict[str, Any]:
    filters = [] if prefix is None else [{"filter": prefix, "filterType": "PREFIX_MATCH"}]
    return {"destinations": [*destinations], "repositoryFilters": filters}


@pytest.mark.parametrize(
    ("region", "written", "warnings"),
    [
        ("us-east-1", rule(HERE), ["ECR in us-east-1 replicates forms-admin-deploy, "]),
        ("us-east-1", rule(HERE, prefix="forms-a"), ["ECR in us-east-1 replicates forms-admin-d"]),
        ("us-east-1", rule(HERE, prefix="others"), []),
        ("us-east-1", rule({**HERE, "registryId": "444455556666"}), []),
        ("us-east-1", rule(ELSEWHERE, HERE), ["ECR in us-east-1 replicates"]),
        ("eu-west-2", rule(ELSEWHERE, prefix="forms-r"), ["ECR replicates forms-runner-deploy to"]),
        ("eu-west-2", rule(ELSEWHERE, prefix="others"), []),
    ],
)
def test_replication(region: str, written: dict[str, Any], warnings: list[str]) -> None:
    texts = [*replication_warnings(region, [written], ACCOUNT, NAMES)]
    assert len(texts) == len(warnings)
    assert all(map(str.startswith, texts, warnings))


def test_what_a_pull_through_cache_rule_is_about() -> None:
    assert is_cached("docker-hub/library/nginx", "docker-hub/library")
    assert is_cached("forms-admin-deploy", "ROOT")
    assert not is_cached("docker-hub-copies/nginx", "docker-hub")
    assert not is_cached("docker-hub", "docker-hub")


def warnings() -> list[str]:
    verified = json.loads(run("verify", NAME, "--stack", "prod", "--json").stdout)
    return [str(warning) for warning in verified["warnings"]]


@pytest.mark.usefixtures("guarded")
def test_what_a_registry_puts_into_its_repositories_is_a_warning(
    ecr: "ECRClient", answers: Answers
) -> None:
    statement = {
        "Sid": "Replication",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
        "Resource": "arn:aws:ecr:eu-west-2:111122223333:repository/*",
    }
    ecr.put_registry_policy(
        policyText=json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    )
    answers["DescribePullThroughCacheRules", "eu-west-2"] = {
        "pullThroughCacheRules": [
            {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io"},
            {"ecrRepositoryPrefix": "ROOT", "upstreamRegistryUrl": "registry-1.docker.io"},
        ]
    }
    answers["DescribeRepositoryCreationTemplates", "eu-west-2"] = {
        "repositoryCreationTemplates": [{"prefix": "quay", "appliedFor": ["PULL_THROUGH_CACHE"]}]
    }
    answers["DescribeRegistry", "us-east-1"] = {
        "replicationConfiguration": {"rules": [{"destinations": [HERE]}]}
    }
    policy, quay, root, template, replication = warnings()
    assert policy.startswith("the registry policy allows replication into this registry")
    assert '"ecr:ReplicateImage"' in policy
    assert quay.endswith("of quay.io: its pulls create repositories that no stack guards")
    assert "a pull by a pipeline role may move tags of " in root
    assert NAME in root
    assert template.startswith("repository creation template quay: ECR creates repositories (PULL_")
    assert replication.startswith("ECR in us-east-1 replicates ")
    assert replication in run("verify", NAME, "--stack", "prod").stdout


@pytest.mark.usefixtures("guarded")
def test_what_may_not_be_read_is_a_warning(answers: Answers) -> None:
    denied = "AccessDeniedException"
    answers["GetRegistryPolicy", "eu-west-2"] = denied
    answers["DescribeRegistry", "us-east-1"] = answers["DescribeRegistry", "eu-west-1"] = denied
    policy, replication = warnings()
    assert policy.startswith("not checked: no permission for GetRegistryPolicy")
    assert replication.startswith(
        "replication is not checked in eu-west-1, us-east-1: no permission"
    )
    answers["DescribeRegions", "eu-west-2"] = "UnauthorizedOperation"
    policy, replication = warnings()
    assert "other Regions is not checked: no permission for DescribeRegions" in replication
