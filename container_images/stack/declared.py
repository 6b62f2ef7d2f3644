"""What a stack declares, read from its file: `--stack NAME`."""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from container_images import settings
from container_images.aws.errors import RefusedError
from container_images.aws.reference import Reference
from container_images.settings.stack_file import StackFile, StackFileError, read


@dataclass(frozen=True, kw_only=True)
class DeclaredStack:
    """A stack as its file declares it."""

    name: str
    account: settings.Account
    """Where it is, as far as the file tells."""
    settings: settings.StackSettings
    file: StackFile

    def repositories(self) -> list[Reference]:
        """Its repositories, by name."""
        return [
            Reference(name=name, registry_id=self.account.id, region=self.account.region)
            for name in self.settings.repositories
        ]

    def with_only(self, name: str, entry: Mapping[str, Any] | None) -> "DeclaredStack":
        """The stack with this entry alone for its repositories. Raises InvalidInputError."""
        entries = {f"{self.file.project}:repositories": json.dumps({name: entry})}
        file = replace(self.file, config={**self.file.config, **entries})
        return declared_in(file, self.account)

    def refuse_elsewhere(self, references: Iterable[Reference]) -> None:
        """Raise RefusedError for repositories of another account or Region than the stack's."""
        account, region = self.account.id, self.account.region
        for reference in references:
            if (reference.registry_id or account, reference.region or region) != (account, region):
                raise RefusedError(
                    f"{reference} is elsewhere: stack {self.name} is in account {account}, Region "
                    f"{region}"
                )

    def refuse_others(self, references: Iterable[Reference]) -> None:
        """Raise RefusedError for repositories that the stack does not declare."""
        known = self.settings.repositories
        if unknown := [each.name for each in references if each.name not in known]:
            raise RefusedError(
                f"Pulumi.{self.name}.yaml has no repository {', '.join(unknown)}; it has "
                f"{', '.join(known)}"
            )


def declared(name: str, directory: Path | None = None, label: str = "") -> DeclaredStack:
    """The stack NAME of the project in a directory, or in this one.

    Raises RefusedError with every error. `label` begins its text.
    """
    try:
        file = read(directory or Path.cwd(), name)
    except StackFileError as error:
        raise RefusedError(f"{label}Pulumi.{name}.yaml: {error}") from None
    return declared_in(file, file.account)


def declared_in(file: StackFile, account: settings.Account) -> DeclaredStack:
    """What a stack's file declares, in this account. Raises InvalidInputError."""
    parsed = settings.parse(file.config, file.project)
    return DeclaredStack(name=file.stack, account=account, settings=parsed, file=file)
