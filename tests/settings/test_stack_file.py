"""The stack files, as the Pulumi CLI reads them."""

import json
import re
from pathlib import Path

import pytest

from container_images.settings import Account
from container_images.settings.stack_file import StackFile, StackFileError, read

PROJECT = """
name: container-images
config:
  retention: {type: array, items: {type: object}, default: []}
  lambdaPull: {type: boolean, default: false}
  tagMutability: {type: string, default: MUTABLE}
  repositories: {type: object}
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    return tmp_path


def stack(project: Path, config: str) -> StackFile:
    (project / "Pulumi.dev.yaml").write_text(config)
    return read(project, "dev")


def test_values_are_text_or_json_and_defaults_are_filled_in(project: Path) -> None:
    config = """
config:
  aws:region: eu-west-2
  container-images:lambdaPull: true
  container-images:repositories: {app: , other: {kmsKey: x}}
"""
    read_stack = stack(project, config)
    assert read_stack == StackFile(
        directory=project,
        project="container-images",
        stack="dev",
        config={
            "aws:region": "eu-west-2",
            "container-images:lambdaPull": "true",
            "container-images:retention": "[]",
            "container-images:tagMutability": "MUTABLE",
            "container-images:repositories": '{"app": null, "other": {"kmsKey": "x"}}',
        },
    )
    assert "container-images:repositories" not in stack(project, f"config: {{{REGION}}}").config


def test_a_namespace_is_read_without_it(project: Path) -> None:
    read_stack = stack(project, "config: {aws:region: x, container-images:lambdaPull: true}")
    assert read_stack.config_in("aws") == {"region": "x"}
    assert json.loads(read_stack.config_in("container-images")["lambdaPull"]) is True


def test_the_project_is_looked_for_upwards(project: Path) -> None:
    stack(project, f"config: {{{REGION}}}")
    below = project / "a" / "b"
    below.mkdir(parents=True)
    assert read(below, "dev").directory == project


REGION = "aws:region: eu-west-2"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: {a: 1, a: 2}", "line 1.*duplicate key"),
        ("config:\n  x:\n    b: 1\n    b: 2", "line 4.*duplicate key"),
        ("config: {x: {1: a}}", "in x, the key 1 is not text"),
        ("config: {x: [{true: a}]}", "in x, the key True is not text"),
        ("config: [", "line 1 is invalid YAML"),
        ("config: {a: 2026-02-30}", "invalid YAML"),
        ("config: {a: [*]}", r"line 1 is invalid YAML: .*; write text with \* or { in quotes"),
        (
            "config: {a: v{semver}}",
            r"line 1 is invalid YAML: .*; write text with \* or { in quotes",
        ),
        ("config: &a\n  x: *a", "x contains itself through a YAML alias; write out"),
        ("config:\n  x: &a [[*a]]", "x contains itself through a YAML alias; write out"),
        ("config: {x: [[{1: a}]]}", "in x, the key 1 is not text"),
        ("config:\n  x: a\0b", r"line 2 has the character U\+0000.*; delete it"),
        ("%YAML 3.0\n---\nconfig:", "invalid YAML"),
        (f"config: {'[' * 1000}", "invalid YAML"),
        ("- config", "the file must be a mapping"),
        ("", "the file must be a mapping"),
        ("config: [a]", r'config = \["a"\]: must be a mapping'),
        ("config: text", "config = .*must be a mapping"),
        (f"environment: [shared]\nconfig: {{{REGION}}}", "Pulumi ESC"),
        ("config: {x: {secure: abc}}", "encrypted"),
        ("config: {}", "aws:region: this key is required; write it as eu-west-2"),
        ("config: {aws:region: 5}", "aws:region = 5: must be the name of a Region"),
        (f"config: {{{REGION}, aws:defaultTags: foo}}", "aws:defaultTags = .*must be a mapping"),
        (f"config: {{{REGION}, aws:defaultTags: {{tags: null}}}}", "aws:defaultTags = "),
        (f"config: {{{REGION}, aws:allowedAccountIds: [1]}}", "aws:allowedAccountIds = "),
        (f"config: {{{REGION}, aws:allowedAccountIds: x}}", "aws:allowedAccountIds = "),
    ],
)
def test_what_the_cli_refuses_or_a_rehearsal_cannot_know(
    project: Path, text: str, said: str
) -> None:
    with pytest.raises(StackFileError, match=said):
        stack(project, text)


def test_a_file_that_is_no_text(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_bytes(b"config: \xff")
    with pytest.raises(StackFileError, match="invalid YAML"):
        read(project, "dev")


@pytest.mark.parametrize(
    ("written", "handed_over"),
    [
        ("no", "no"),
        ("1_000", "1000"),
        ("12:30", "12:30"),
        ("True", "true"),
        ('"012345678901"', "012345678901"),
        ("012345678901", "12345678901"),
        ("[012345670123]", "[12345670123]"),
    ],
)
def test_scalars_are_those_of_yaml_1_2(project: Path, written: str, handed_over: str) -> None:
    """An account id without quotes is a number, whatever its digits, and so is refused later."""
    config = stack(project, f"config: {{{REGION}, container-images:x: {written}}}").config
    assert config["container-images:x"] == handed_over


def test_default_tags_are_text_as_the_provider_has_them(project: Path) -> None:
    tags = "{CostCentre: 1234, Public: no, On: true}"
    read_stack = stack(project, f"config: {{{REGION}, aws:defaultTags: {{tags: {tags}}}}}")
    assert read_stack.default_tags == {"CostCentre": "1234", "Public": "no", "On": "true"}
    assert stack(project, f"config: {{{REGION}}}").default_tags == {}


def test_a_stack_that_is_not_there(project: Path) -> None:
    stack(project, f"config: {{{REGION}}}")
    with pytest.raises(StackFileError, match="no such stack: the stacks are dev"):
        read(project, "prod")


def test_a_folder_is_no_stack(project: Path) -> None:
    stack(project, f"config: {{{REGION}}}")
    (project / "Pulumi.dir.yaml").mkdir()
    (project / "Pulumi.a.b.yaml").touch()
    with pytest.raises(StackFileError, match=r"no such stack: the stacks are a\.b, dev; "):
        read(project, "dir")


def told(project: Path, text: str) -> list[str]:
    """The numbered problems, each without what is said of it."""
    with pytest.raises(StackFileError) as refused:
        stack(project, text)
    return re.findall(r"^  \d+\. (\S+?)(?: =|: )", str(refused.value), re.MULTILINE)


def test_all_problems_come_at_once_those_of_the_settings_too(project: Path) -> None:
    assert told(
        project,
        """
confg:
  aws:allowedAccountIds: x
  secret: {secure: abc}
  container-image:lambdaPull: true
  container-images:tagMutability: IMMUTABLE
  container-images:administratorRoles: [arn:aws:iam::444455556666:role/deploy]
  container-images:repositories:
    app: {kmsKey: "arn:aws:kms:eu-west-1:444455556666:key/1"}
""",
    ) == [
        "confg",
        "secret",
        "aws:region",
        "aws:allowedAccountIds",
        "container-image:lambdaPull",
        "tagMutability",
        "pipelineRole",
        "secret",
    ]


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("confg: {}", "did you mean config?"),
        ("environments: [a]", "did you mean environment?"),
        ("zzz: 1", "the keys here are config, secretsprovider"),
    ],
)
def test_a_top_level_key_that_the_cli_would_pass_over(
    project: Path, written: str, said: str
) -> None:
    with pytest.raises(StackFileError, match=re.escape(said)):
        stack(project, f"config: {{{REGION}}}\n{written}")


def test_only_that_is_told_of_a_stack_whose_values_the_service_has(project: Path) -> None:
    """Any key that is missing here may be there."""
    assert told(project, "environment: [shared]\nconfig: {aws:region: 5}") == ["environment"]


def test_every_top_level_key_of_the_cli_is_taken(project: Path) -> None:
    keys = "secretsprovider: awskms://x\nencryptedkey: x\nencryptionsalt: v1:x"
    assert stack(project, f"config: {{{REGION}}}\n{keys}")


@pytest.mark.parametrize("namespace", ["container-image", "containers-images", "container_images"])
def test_a_namespace_like_the_projects(project: Path, namespace: str) -> None:
    with pytest.raises(StackFileError, match=r"did you mean container-images:lambdaPull\?"):
        stack(project, f"config: {{{REGION}, {namespace}:lambdaPull: true}}")


def test_namespaces_of_others(project: Path) -> None:
    others = "pulumi:disable-default-providers: [x], aws-native:region: x, awsx:a: b, random:x: y"
    assert stack(project, f"config: {{{REGION}, {others}}}")


ROLES = ", administratorRoles: [x, arn:aws-cn:iam::111122223333:role/a]"


@pytest.mark.parametrize(
    ("config", "account"),
    [
        ("", Account(partition="aws", id="123456789012", region="eu-west-2")),
        (ROLES, Account(partition="aws-cn", id="111122223333", region="eu-west-2")),
        (
            f"{ROLES}, aws:allowedAccountIds: ['444455556666']",
            Account(partition="aws-cn", id="444455556666", region="eu-west-2"),
        ),
    ],
)
def test_where_a_stack_is_as_far_as_its_file_tells(
    project: Path, config: str, account: Account
) -> None:
    assert stack(project, f"config: {{{REGION}{config}}}").account == account


def test_a_project_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StackFileError, match=r"no Pulumi\.yaml"):
        read(tmp_path, "dev")


def test_anchors_and_merges_are_understood(project: Path) -> None:
    config = """
config:
  aws:region: eu-west-2
  container-images:repositories:
    app: &shared {scanOnPush: false}
    other: {<<: *shared, lambdaPull: true}
"""
    repositories = json.loads(stack(project, config).config["container-images:repositories"])
    assert repositories["other"] == {"scanOnPush": False, "lambdaPull": True}


def test_the_providers_settings_are_decoded(project: Path) -> None:
    read_stack = stack(project, 'config: {aws:region: eu-west-2, aws:allowedAccountIds: ["1"]}')
    assert read_stack.of_provider("region") == "eu-west-2"
    assert read_stack.of_provider("allowedAccountIds") == ["1"]
    assert read_stack.of_provider("profile") is None
