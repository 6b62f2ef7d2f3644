"""The roles that push in a plan, as options of `container-images movers`.

A filter: the JSON of `container-images rehearse --plan-only --json` in, `--only ARN …` out.
"""

import json
import sys
from collections.abc import Iterator
from typing import Any


def pipeline_roles(plan: dict[str, Any]) -> list[str]:
    """Whom the repositories' Denies of PutImage spare. Raises ValueError if there is no such Deny.

    Without one, anybody might push: an empty list would ask for no check at all.
    """
    roles = sorted(set(_spared(plan)))
    if not roles:
        raise ValueError("no repository policy of the plan denies ecr:PutImage")
    return roles


def _spared(plan: dict[str, Any]) -> Iterator[str]:
    for it in plan["resources"]:
        if it["type"] == "aws:ecr/repositoryPolicy:RepositoryPolicy":
            for statement in json.loads(it["inputs"]["policy"])["Statement"]:
                if statement["Effect"] == "Deny" and "ecr:PutImage" in statement["Action"]:
                    yield from statement["Condition"]["ArnNotEquals"]["aws:PrincipalArn"]


if __name__ == "__main__":
    sys.stdout.write(" ".join(f"--only {arn}" for arn in pipeline_roles(json.load(sys.stdin))))
