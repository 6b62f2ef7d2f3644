"""The program that Pulumi runs: settings in, components, outputs out."""

import pulumi
import pulumi_aws as aws

from components.image_repository import ImageRepository
from components.pipeline_role import PipelineRole
from components.tag_audit import TagAudit
from container_images.settings.program import load, whoami


def main() -> None:
    """Declare the stack."""
    caller, account = whoami()
    stack = load(account)
    refuse_lock_out(caller, stack.administrator_roles)
    if pulumi.runtime.is_dry_run() and (warning := stack.overwriting_warning()):
        pulumi.log.warn(warning)

    role = None
    if stack.pipeline_role.name:
        role = PipelineRole(stack.pipeline_role.name, stack.pipeline_role.to_args(account))
    repositories = {
        name: ImageRepository(
            name,
            stack.repository_args(name, account),
            # AWS takes no repository policy whose principals do not exist.
            pulumi.ResourceOptions(depends_on=role),
        )
        for name in stack.repositories
    }
    if stack.audit.trail:
        TagAudit("tag-audit", stack.audit_args(account))

    pulumi.export("repositoryUrls", {name: it.repository_url for name, it in repositories.items()})
    pulumi.export("repositoryArns", {name: it.repository_arn for name, it in repositories.items()})
    pulumi.export("tagMutability", {name: it.tag_mutability for name, it in repositories.items()})
    pulumi.export("pipelineRoleArn", role.arn if role else stack.pipeline_role.arn)


def refuse_lock_out(caller: str, administrator_roles: tuple[str, ...]) -> None:
    """Fail where the repository policies would lock out the very role that writes them.

    A preview only warns: it may well run as another role, one that cannot change anything.
    """
    try:
        # Unlike a session's ARN, the role's has its path, as the administrators' have.
        role = aws.iam.get_session_context(arn=caller).issuer_arn
        found = f"{role} is not one of the administratorRoles"
    except Exception as error:  # noqa: BLE001 the SDK raises just that for a failed invoke
        role, found = None, f"the role of {caller} could not be looked up (iam:GetRole): {error}"
    if role in administrator_roles:
        return
    message = (
        f"{found}, and only those may change a repository policy: an update would lock itself out. "
        "Run it as one of them; to replace the role that deploys, update twice: as the old one, "
        "adding the new, then as the new one, removing the old."
    )
    if not pulumi.runtime.is_dry_run():
        raise pulumi.RunError(message)
    pulumi.log.warn(f"{message} An update would fail here.")


main()
