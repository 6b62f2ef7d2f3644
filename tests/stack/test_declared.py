"""The stack files, as the Pulumi CLI reads them."""

import re
from pathlib import Path

import pytest

from container_images.aws.errors import RefusedError
from container_images.settings import Account
from container_images.stack.declared import DeclaredStack, declared

PROJECT = """
name: container-images
config:
  repositories: {type: object, default: {app: {}}}
  pipelineRole: {type: object, default: {arn: "arn:aws:iam::111122223333:role/push"}}
  administratorRoles:
    {type: array, items: {type: string}, default: ["arn:aws:iam::111122223333:role/deploy"]}
  lambdaPull: {type: boolean, default: false}
  tagMutability: {type: string, default: MUTABLE}
  retention: {type: array, items: {type: object}}
"""
REGION = "aws:region: eu-west-2"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    (tmp_path / "Pulumi.yaml").write_text(PROJECT)
    return tmp_path


def stack(project: Path, config: str) -> DeclaredStack:
    (project / "Pulumi.dev.yaml").write_text(config)
    return declared("dev", project)


def test_values_are_text_or_json_and_defaults_are_filled_in(project: Path) -> None:
    config = """
config:
  aws:region: eu-west-2
  container-images:lambdaPull: true
  container-images:repositories: {b0: , b1: &a {tags: {}}, b2: {<<: *a}}
"""
    assert stack(project, config) == DeclaredStack(
        directory=project,
        project="container-images",
        name="dev",
        config={
            "aws:region": "eu-west-2",
            "container-images:administratorRoles": '["arn:aws:iam::111122223333:role/deploy"]',
            "container-images:lambdaPull": "true",
            "container-images:pipelineRole": '{"arn": "arn:aws:iam::111122223333:role/push"}',
            "container-images:tagMutability": "MUTABLE",
            "container-images:repositories": '{"b0": null, "b1": {"tags": {}}, "b2": {"tags": {}}}',
        },
    )


def test_the_project_is_looked_for_upwards(project: Path) -> None:
    stack(project, f"config: {{{REGION}}}")
    below = project / "a" / "b"
    below.mkdir(parents=True)
    assert declared("dev", below).directory == project


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("config: {a: 1, a: 2}", "line 1.*duplicate key"),
        ("config: {a: 2026-02-30}", "invalid YAML"),
        ("config: {a: [*]}", r"line 1 is invalid YAML: .*; write text with \* or { in quotes"),
        ("config: {a: v{semver}}", r"line 1 .*; write text with \* or { in quotes"),
        ("config: &a\n  x: *a", "invalid YAML: Circular reference"),
        ("config:\n  x: a\0b", "invalid YAML: unacceptable character"),
        (f"config: {'[' * 1000}", "invalid YAML"),
        ("config: \udcff", "invalid YAML"),
        ("", "the file must be a mapping"),
        ("config: [a]", "config must be a mapping"),
        # Any key that is missing here may be there.
        ("environment: [shared]\nconfig: {aws:region: 5}", ": only the Pulumi service knows"),
        (f"config: {{{REGION}, container-images:retention: {{secure: abc}}}}", "encrypted"),
        ("config: {}", "aws:region: this key is required; write it as eu-west-2"),
        ("config: {aws:region: 5}", "aws:region = 5: must be the name of a Region"),
        (f"config: {{{REGION}, aws:defaultTags: foo}}", "aws:defaultTags = .*must be a mapping"),
        (f"config: {{{REGION}, aws:defaultTags: {{tags: null}}}}", "aws:defaultTags.tags = null"),
        (f"config: {{{REGION}, aws:allowedAccountIds: [1]}}", r"aws:allowedAccountIds\[0\] = 1"),
        (f"config: {{{REGION}}}\nconfg: {{}}", r"did you mean config\?"),
        (f"config: {{{REGION}, container_images:x: 1}}", r"did you mean container-images:x\?"),
        (f"config: {{{REGION}}}\nzzz: 1", "the keys here are config, encryptedkey"),
    ],
)
def test_what_is_refused(project: Path, text: str, said: str) -> None:
    (project / "Pulumi.dev.yaml").write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(RefusedError, match=said):
        declared("dev", project)


@pytest.mark.parametrize(
    "text",
    [
        f"config: {{{REGION}}}\nsecretsprovider: awskms://x\nencryptedkey: x\nencryptionsalt: v1:x",
        f"config: {{{REGION}, pulumi:disable-default-providers: [x], awsx:a: b, random:x: y}}",
        f"config: {{{REGION}, aws:secretKey: {{secure: abc}}}}",
    ],
)
def test_what_the_cli_and_other_providers_have_is_accepted(project: Path, text: str) -> None:
    assert stack(project, text)


@pytest.mark.parametrize(
    ("written", "handed_over"),
    [
        ("no", "no"),
        ("12:30", "12:30"),
        ('"012345678901"', "012345678901"),
        ("012345678901", "12345678901"),
        ("{1: 2026-01-02}", '{"1": "2026-01-02"}'),
    ],
)
def test_scalars_are_those_of_yaml_1_2(project: Path, written: str, handed_over: str) -> None:
    """An account id without quotes is a number, whatever its digits, and so is refused later."""
    config = stack(project, f"config: {{{REGION}, other:x: {written}}}").config
    assert config["other:x"] == handed_over


def test_the_providers_settings(project: Path) -> None:
    tags = "aws:defaultTags: {tags: {CostCentre: 1234, Public: no, On: true}}"
    read_stack = stack(project, f"config: {{{REGION}, {tags}}}")
    # As text, as the provider has them.
    assert read_stack.default_tags == {"CostCentre": "1234", "Public": "no", "On": "true"}
    assert stack(project, f"config: {{{REGION}}}").default_tags == {}


def test_a_sample_of_a_clone_is_not_ignored_in_a_repository_of_ones_own(project: Path) -> None:
    (project / "Pulumi.yaml").write_text("name: shop\nruntime: python\n")
    with pytest.raises(RefusedError, match=r"did you mean shop:retention\?"):
        stack(project, f"config: {{{REGION}, container-images:retention: []}}")


def test_a_stack_that_is_not_there(project: Path) -> None:
    stack(project, f"config: {{{REGION}}}")
    (project / "Pulumi.dir.yaml").mkdir()
    (project / "Pulumi.a.b.yaml").touch()
    with pytest.raises(RefusedError, match=r"no such stack: the stacks are a\.b, dev; copy one"):
        declared("production", project)
    with pytest.raises(RefusedError, match=r"did you mean dev\?"):
        declared("devs", project)
    (project / "Pulumi.yaml").unlink()
    with pytest.raises(RefusedError, match=r"no Pulumi\.yaml"):
        declared("dev", project)


def test_all_errors_come_at_once_those_of_the_settings_too(project: Path) -> None:
    with pytest.raises(RefusedError) as refused:
        stack(
            project,
            """
confg:
  aws:allowedAccountIds: x
  secret: {secure: abc}
  container-image:lambdaPull: true
  container-images:tagMutability: IMMUTABLE
  container-images:administratorRoles: [arn:aws:iam::444455556666:role/deploy]
""",
        )
    keys = re.findall(r"^  \d+\. (\S+?)(?: =|: )", str(refused.value), re.MULTILINE)
    assert keys == [
        *("confg", "aws:region", "aws:allowedAccountIds", "container-image:lambdaPull"),
        *("tagMutability", "secret", "pipelineRole.arn"),
    ]


@pytest.mark.parametrize(
    ("roles", "allowed", "partition", "number"),
    [
        ("[]", "", "aws", "123456789012"),
        ('["x", "arn:aws-cn:iam::111122223333:role/a"]', "", "aws-cn", "111122223333"),
        ('["arn:aws:iam::111122223333:role/a"]', '["444455556666"]', "aws", "444455556666"),
    ],
)
def test_where_a_stack_is_as_far_as_its_file_tells(
    project: Path, roles: str, allowed: str, partition: str, number: str
) -> None:
    config = {"aws:region": "eu-west-2", "project:administratorRoles": roles}
    config |= {"aws:allowedAccountIds": allowed}
    declared_stack = DeclaredStack(directory=project, project="project", name="dev", config=config)
    place = Account(partition=partition, id=number, region="eu-west-2")
    assert declared_stack.account == place
