"""The stack files, as the Pulumi CLI reads them."""

import json
from pathlib import Path

import pytest

from rehearsal.stack_file import StackFile, StackFileError, read

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
        ("config: {x: {1: a}}", "in x, the key 1 is no text"),
        ("config: {x: [{true: a}]}", "in x, the key True is no text"),
        ("config: [", "line 1 is no YAML"),
        ("config: {a: 2026-02-30}", "no YAML that the CLI reads"),
        ("- config", "the file is to be a mapping"),
        ("", "the file is to be a mapping"),
        ("config: [a]", "config is to be a mapping"),
        ("config: text", "config is to be a mapping"),
        (f"environment: [shared]\nconfig: {{{REGION}}}", "Pulumi ESC"),
        ("config: {x: {secure: abc}}", "encrypted"),
        ("config: {}", "aws:region is to be the name of a Region"),
        ("config: {aws:region: 5}", "aws:region is to be the name of a Region"),
        (f"config: {{{REGION}, aws:defaultTags: foo}}", "aws:defaultTags is to be a mapping"),
        (f"config: {{{REGION}, aws:defaultTags: {{tags: null}}}}", "aws:defaultTags is"),
        (f"config: {{{REGION}, aws:allowedAccountIds: [1]}}", "aws:allowedAccountIds is"),
        (f"config: {{{REGION}, aws:allowedAccountIds: x}}", "aws:allowedAccountIds is"),
    ],
)
def test_what_the_cli_refuses_or_a_rehearsal_cannot_know(
    project: Path, text: str, said: str
) -> None:
    with pytest.raises(StackFileError, match=said):
        stack(project, text)


def test_a_file_that_is_no_text(project: Path) -> None:
    (project / "Pulumi.dev.yaml").write_bytes(b"config: \xff")
    with pytest.raises(StackFileError, match="no YAML that the CLI reads"):
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
    with pytest.raises(StackFileError, match="no such stack; there is dev"):
        read(project, "prod")


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
