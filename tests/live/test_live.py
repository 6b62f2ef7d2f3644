"""The live tier, against a server that denies by the repository's policy, in ECR's words."""

import json
from typing import Any

import pytest
from moto.core.exceptions import JsonRESTError
from moto.core.responses import ActionResult
from moto.ecr.models import ecr_backends
from moto.ecr.responses import ECRResponse
from moto.sts.models import sts_backends

from tests.builds import ACCOUNT
from tests.live import __main__ as live

DENIED = (
    "User: {principal} is not authorized to perform: {action} on resource: {resource} "
    "with an explicit deny in a resource-based policy"
)


def authorize(response: Any, _resource: str) -> None:
    """What ECR does before each call: the Denies of the repository's policy."""
    name = response._get_param("repositoryName")
    repository = ecr_backends[ACCOUNT][response.region].repositories.get(name)
    if repository is None:
        return
    key, assumed = response.get_access_key(), sts_backends[ACCOUNT]["aws"].assumed_roles
    role = next((each.role_arn for each in assumed if each.access_key_id == key), None)
    action = f"ecr:{response._get_action()}"
    for statement in json.loads(repository.policy or '{"Statement": []}')["Statement"]:
        exempt = statement.get("Condition", {}).get("ArnNotEquals", {}).get("aws:PrincipalArn", [])
        if statement["Effect"] == "Deny" and action in statement["Action"] and role not in exempt:
            values = {"principal": role, "action": action, "resource": repository.arn}
            raise JsonRESTError("AccessDeniedException", DENIED.format(**values))
    # moto takes an exclusion filter as a regular expression, in which prod-* has no build.
    tag = response._get_param("imageTag") or ""
    if tag.startswith("prod-") and any(tag in image.image_tags for image in repository.images):
        raise JsonRESTError("ImageTagAlreadyExistsException", f"The image tag {tag} already exists")


@pytest.fixture
def server(moto_server: None, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: ARG001
    monkeypatch.setattr(ECRResponse, "_authenticate_and_authorize_normal_action", authorize)
    for name, answer in {
        "initiate_layer_upload": {"uploadId": "1", "partSize": 1},
        "upload_layer_part": {"uploadId": "1"},
        "complete_layer_upload": {"uploadId": "1"},
    }.items():
        method = lambda _, answer=answer: ActionResult(answer)  # noqa: E731
        monkeypatch.setattr(ECRResponse, name, method, raising=False)


@pytest.mark.usefixtures("server")
def test_every_step_holds(capsys: pytest.CaptureFixture[str]) -> None:
    assert live.main(ACCOUNT) == 0
    steps = capsys.readouterr().out.splitlines()
    assert len(steps) == 12
    assert not [step for step in steps[:-1] if not step.startswith("ok ")]
    assert not ecr_backends[ACCOUNT]["eu-west-2"].repositories


@pytest.mark.usefixtures("server")
def test_a_guard_that_is_not_there_is_seen(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for step in ("take_the_policy", "move"):
        monkeypatch.setattr(live.LiveTier, step, lambda _: None)
    assert live.main(ACCOUNT) == 1
    assert capsys.readouterr().out.count("FAILED  denied: ") == 6


@pytest.mark.usefixtures("moto_server")
def test_another_account_is_left_alone(capsys: pytest.CaptureFixture[str]) -> None:
    assert live.main("111122223333") == 2
    assert "make live ACCOUNT=" in capsys.readouterr().err
