// `pulumi install` makes @pulumi/container-images from the plugin that Pulumi.yaml names.
import * as images from "@pulumi/container-images";

// The settings of docs/settings.md. Plain text, not outputs: the first preview shows all policies.
const registry = new images.Registry("registry", {
    repositories: { "forms-admin-deploy": { scanOnPush: true } },
    tagMutability: "MUTABLE_WITH_EXCLUSION",
    immutableTags: ["merged-*", "stg-*", "prod-*", "dev-*", "pr-*"],
    pipelineRole: {
        name: "forms-image-pipeline",
        path: "/pipeline/",
        trustedGitHubSubjects: ["repo:example-org/forms-deploy:environment:production"],
    },
    administratorRoles: ["arn:aws:iam::111122223333:role/platform/forms-registry-deploy"],
    pullAccounts: { staging: "444455556666" },
    retention: [{ tags: "prod-*", keepNewest: 50 }, { untagged: true, expireAfterDays: 7 }],
});

export const repositoryUrls = registry.repositoryUrls;
export const pipelineRoleArn = registry.pipelineRoleArn;
