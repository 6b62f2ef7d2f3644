"""What a stack declares, read from its file: `--stack NAME`."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from container_images import settings
from container_images.aws.errors import RefusedError
from container_images.aws.reference import Reference
from container_images.policies.invalid_input import InvalidInputError
from container_images.settings.stack_file import StackFile, StackFileError, read


@dataclass(frozen=True, kw_only=True)
class DeclaredStack:
    """A stack as its file declares it."""

    name: str
    account: settings.Account
    """Where it is, as far as the file tells."""
    settings: settings.StackSettings
    default_tags: Mapping[str, str]
    """What the AWS provider puts on every resource of it."""

    def repositories(self) -> list[Reference]:
        """Its repositories, by name."""
        return [
            Reference(name=name, registry_id=self.account.id, region=self.account.region)
            for name in self.settings.repositories
        ]

    def refuse_others(self, asked: Iterable[Reference]) -> None:
        """Raise RefusedError for repositories that the stack does not declare."""
        known = self.settings.repositories
        if unknown := [it.name for it in asked if it.name not in known]:
            raise RefusedError(
                f"Pulumi.{self.name}.yaml has no repository {', '.join(unknown)}; it has "
                f"{', '.join(known)}"
            )


def declared(name: str) -> DeclaredStack:
    """The stack NAME of the project in this directory. Raises RefusedError with every fault."""
    if "/" in name:
        raise RefusedError(
            f"{name} has a /, and no name of a stack file has; write the last part alone, such as "
            "prod for Pulumi.prod.yaml"
        )
    try:
        file = read(Path.cwd(), name)
        return declared_in(file, file.account)
    except StackFileError as error:
        raise RefusedError(f"Pulumi.{name}.yaml: {error}") from None
    except InvalidInputError as invalid:
        raise RefusedError(f"Pulumi.{name}.yaml: {settings.explain(invalid)}") from None


def declared_in(file: StackFile, account: settings.Account) -> DeclaredStack:
    """What a stack's file declares, in this account. Raises InvalidInputError."""
    found = settings.parse(file.config_in(settings.NAMESPACE), account)
    return DeclaredStack(
        name=file.stack, account=account, settings=found, default_tags=file.default_tags
    )
