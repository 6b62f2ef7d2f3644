"""CloudTrail's records of ECR, in the shape that AWS documents.

https://docs.aws.amazon.com/AmazonECR/latest/userguide/logging-using-cloudtrail.html
"""

import json
from typing import Any

from tests.builds import ACCOUNT, NAME, REGION

ARN = f"arn:aws:ecr:{REGION}:{ACCOUNT}:repository/{NAME}"
PIPELINE = f"arn:aws:iam::{ACCOUNT}:role/pipeline/forms-image-pipeline"
DIGESTS = {letter: f"sha256:{letter * 64}" for letter in "abcdef"}


def identity(role: str = PIPELINE, session: str = "build-7") -> dict[str, Any]:
    name = role.rpartition("/")[2]
    return {
        "type": "AssumedRole",
        "arn": f"arn:aws:sts::{ACCOUNT}:assumed-role/{name}/{session}",
        "accountId": ACCOUNT,
        "sessionContext": {"sessionIssuer": {"type": "Role", "arn": role, "userName": name}},
    }


def event(name: str, hour: int, **parts: Any) -> dict[str, Any]:
    return {
        "eventTime": f"2026-11-20T{hour:02}:00:00Z",
        "eventSource": "ecr.amazonaws.com",
        "eventName": name,
        "awsRegion": REGION,
        "userIdentity": identity(),
        "requestParameters": None,
        "responseElements": None,
        "resources": [{"ARN": ARN, "accountId": ACCOUNT}],
        **parts,
    }


def put(hour: int, letter: str, tag: str = "latest", **parts: Any) -> dict[str, Any]:
    request = {
        "repositoryName": NAME,
        "registryId": ACCOUNT,
        "imageTag": tag,
        "imageManifest": "{}",
    }
    image = {"imageId": {"imageDigest": DIGESTS[letter], "imageTag": tag}}
    whole = {"requestParameters": request, "responseElements": {"image": image}}
    return event("PutImage", hour, **whole | parts)


def expiry(hour: int, letter: str, *tags: str) -> dict[str, Any]:
    image = {"digest": DIGESTS[letter], "tagStatus": "Tagged", "tagList": list(tags)}
    return event(
        "PolicyExecutionEvent",
        hour,
        userIdentity={"accountId": ACCOUNT, "invokedBy": "AWS Internal"},
        serviceEventDetails={
            "repositoryName": NAME,
            "lifecycleEventImageActions": [{"lifecycleEventImage": image, "rulePriority": 1}],
        },
    )


def page(*raw: dict[str, Any], more: str | None = None) -> dict[str, Any]:
    """An answer to a lookup, with the events as CloudTrail has them."""
    events = {"Events": [{"CloudTrailEvent": json.dumps(event)} for event in raw]}
    return {**events, "NextToken": more} if more else events
