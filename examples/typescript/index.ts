// `pulumi install` makes @pulumi/container-images from the plugin that Pulumi.yaml names.
import * as images from "@pulumi/container-images";

// Plain text, not outputs: the first preview is to show both policies whole.
const account = "111122223333";
const name = "forms-image-pipeline";
const path = "/pipeline/";

const pipeline = new images.PipelineRole(name, {
    path,
    trust: {
        partition: "aws",
        accountId: account,
        codebuildProjects: [],
        githubSubjects: ["repo:example-org/forms-deploy:environment:production"],
        roles: [],
    },
});

const repository = new images.ImageRepository("forms-admin-deploy", {
    access: {
        partition: "aws",
        accountId: account,
        region: "eu-west-2",
        pipelineRoles: [`arn:aws:iam::${account}:role${path}${name}`],
        administratorRoles: [`arn:aws:iam::${account}:role/platform/forms-registry-deploy`],
        pullAccounts: ["444455556666"],
        pullOrganization: "",
        lambdaPull: false,
    },
    tagMutability: "MUTABLE_WITH_EXCLUSION",
    movableTags: ["latest"],
    immutableTags: ["prod-*"],
    retention: [{ tags: "prod-*", keepNewest: 50 }, { untagged: true, expireAfterDays: 7 }],
}, { dependsOn: pipeline }); // AWS takes no repository policy whose principals do not exist.

export const repositoryUrl = repository.repositoryUrl;
export const pipelineRoleArn = pipeline.arn;
