"""What goes round the guards of a stack's repositories, because it is set for the registry."""

import json
from typing import Any

import pytest

from container_images.stack.registry import is_cached
from tests.builds import ECRClient
from tests.cli.test_cli import run
from tests.stack.conftest import NAME, policy

HERE = {"region": "eu-west-2", "registryId": "111122223333"}
ELSEWHERE = {"region": "eu-west-1", "registryId": "444455556666"}


def warnings() -> list[str]:
    verified = json.loads(run("verify", NAME, "--stack", "prod", "--json").stdout)
    return [str(warning) for warning in verified["warnings"]]


def rule(*destinations: dict[str, str], prefix: str | None = None) -> dict[str, Any]:
    filters = [] if prefix is None else [{"filter": prefix, "filterType": "PREFIX_MATCH"}]
    return {"destinations": [*destinations], "repositoryFilters": filters}


@pytest.mark.usefixtures("guarded")
def test_replication(answers: dict[Any, Any]) -> None:
    others = rule(HERE, prefix="others"), rule({**HERE, "registryId": "444455556666"})
    outwards = rule(ELSEWHERE, prefix="forms-r"), rule(ELSEWHERE, prefix="others")
    for region, rules in (
        ("us-east-1", (rule(HERE), rule(ELSEWHERE, HERE, prefix="forms-a"), *others)),
        ("eu-west-2", outwards),
    ):
        answers["DescribeRegistry", region] = {"replicationConfiguration": {"rules": rules}}
    to_elsewhere, everything, filtered = warnings()
    assert to_elsewhere.startswith(
        "ECR replicates forms-runner-deploy to eu-west-1 of account 4444"
    )
    assert everything.startswith("ECR in us-east-1 replicates end-to-end-tests, forms-admin-deploy")
    assert filtered.startswith("ECR in us-east-1 replicates forms-admin-deploy to eu-west-2: who ")


def test_what_a_pull_through_cache_rule_is_about() -> None:
    assert is_cached("docker-hub/library/nginx", "docker-hub/library")
    assert not is_cached("docker-hub-copies/nginx", "docker-hub")
    assert not is_cached("docker-hub", "docker-hub")


@pytest.mark.usefixtures("guarded")
def test_what_a_registry_puts_into_its_repositories_is_a_warning(
    ecr: ECRClient, answers: dict[Any, Any]
) -> None:
    statement = {
        "Sid": "Replication",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": ["ecr:CreateRepository", "ecr:ReplicateImage"],
        "Resource": "arn:aws:ecr:eu-west-2:111122223333:repository/*",
    }
    ecr.put_registry_policy(policyText=policy(statement))
    answers["DescribePullThroughCacheRules"] = {
        "pullThroughCacheRules": [
            {"ecrRepositoryPrefix": "quay", "upstreamRegistryUrl": "quay.io"},
            {"ecrRepositoryPrefix": "ROOT", "upstreamRegistryUrl": "registry-1.docker.io"},
        ]
    }
    answers["DescribeRepositoryCreationTemplates"] = {
        "repositoryCreationTemplates": [{"prefix": "quay", "appliedFor": ["PULL_THROUGH_CACHE"]}]
    }
    by_policy, quay, root, template = warnings()
    assert by_policy.startswith("the registry policy allows this, whatever the repository policies")
    assert '"ecr:ReplicateImage"' in by_policy
    assert quay.startswith("pull-through cache rule quay of quay.io: pulls create repositories")
    assert quay.endswith("may move tags of no repository of this stack")
    assert f"may move tags of end-to-end-tests, {NAME}" in root
    assert template.startswith("repository creation template quay: ECR creates repositories (PULL_")
    assert template in run("verify", NAME, "--stack", "prod").stdout


@pytest.mark.usefixtures("guarded")
def test_what_may_not_be_read_is_a_warning(answers: dict[Any, Any]) -> None:
    denied = "AccessDeniedException"
    answers["GetRegistryPolicy"] = denied
    answers["DescribeRegistry", "us-east-1"] = answers["DescribeRegistry", "eu-west-1"] = denied
    by_policy, replication = warnings()
    assert by_policy.startswith("not checked: registry policy: no permission for GetRegistryPolicy")
    regions = "replication of eu-west-1, replication of us-east-1"
    assert replication.startswith(f"not checked: {regions}: no permission")
    answers["DescribeRegions"] = "UnauthorizedOperation"
    others, _ = warnings()
    assert "replication of other Regions: no permission for DescribeRegions" in others
