"""What the running Pulumi program is told: who calls, where, and the settings of its stack."""

import pulumi
import pulumi_aws as aws
from pulumi.runtime import get_config_env
from pulumi.runtime.config import CONFIG

from container_images.policies.invalid_input import InvalidInputError
from container_images.settings import (
    NAMESPACE,
    Account,
    StackSettings,
    explain,
    misspelt_namespaces,
    parse,
)


def whoami() -> tuple[str, Account]:
    """ARN of the calling session, and where it calls. Raises pulumi.RunError where AWS refuses."""
    try:
        caller, region = aws.get_caller_identity(), aws.get_region().region
    except Exception as error:  # noqa: BLE001 the SDK raises just that for a failed invoke
        raise pulumi.RunError(
            f"AWS accepts no call ({' '.join(str(error).split())}); "
            "log in to the stack's account (aws sso login, AWS_PROFILE) and set aws:region"
        ) from None
    partition = caller.arn.split(":")[1]
    return caller.arn, Account(partition=partition, id=caller.account_id, region=region)


def load(account: Account) -> StackSettings:
    """The settings of the running stack. Raises pulumi.RunError, which lists all errors."""
    keys = stack_configuration()
    prefix = f"{NAMESPACE}:"
    own = {key.removeprefix(prefix): keys[key] for key in keys if key.startswith(prefix)}
    try:
        return parse(own, account, [*misspelt_namespaces(keys)])
    except InvalidInputError as invalid:
        raise pulumi.RunError(explain(invalid)) from None


def stack_configuration() -> dict[str, str]:
    """All of the stack's keys, with their namespaces, and their values as text.

    pulumi.Config reads a key that is asked for by name. To find those that nobody asks for, because
    their names are misspelt, takes the two places where the SDK keeps them: what the language host
    hands over in PULUMI_CONFIG, and what `set_all_config` has put before it.
    """
    return {**get_config_env(), **CONFIG.get()}
