"""A registry as a whole: what ECR and other registries put into its repositories by themselves.

Replication and pull-through caches are set for a registry, and no repository policy denies that.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from types_boto3_ecr import ECRClient
    from types_boto3_ecr.type_defs import (
        PullThroughCacheRuleTypeDef,
        ReplicationRuleOutputTypeDef,
        RepositoryCreationTemplateTypeDef,
    )


def registry_policy(ecr: "ECRClient") -> str | None:
    """The registry's own policy, if it has one."""
    try:
        return ecr.get_registry_policy()["policyText"]
    except ecr.exceptions.RegistryPolicyNotFoundException:
        return None


def replication_rules(ecr: "ECRClient") -> "list[ReplicationRuleOutputTypeDef]":
    """What this Region's registry copies, and to where.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/replication.html
    """
    return ecr.describe_registry()["replicationConfiguration"].get("rules", [])


def pull_through_rules(ecr: "ECRClient") -> "list[PullThroughCacheRuleTypeDef]":
    """Under which prefixes images of other registries are cached.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/pull-through-cache.html
    """
    pages = ecr.get_paginator("describe_pull_through_cache_rules").paginate()
    return [rule for page in pages for rule in page["pullThroughCacheRules"]]


def creation_templates(ecr: "ECRClient") -> "list[RepositoryCreationTemplateTypeDef]":
    """How repositories are made that ECR creates by itself.

    https://docs.aws.amazon.com/AmazonECR/latest/userguide/repository-creation-templates.html
    """
    pages = ecr.get_paginator("describe_repository_creation_templates").paginate()
    return [template for page in pages for template in page["repositoryCreationTemplates"]]
