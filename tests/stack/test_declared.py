from pathlib import Path

import pytest

from container_images.aws.errors import RefusedError
from container_images.stack.declared import declared
from tests.conftest import FIXTURES


def test_a_stacks_repositories_are_those_of_its_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(FIXTURES)
    found = declared("prod")
    assert [it.name for it in found.repositories()] == sorted(found.settings.repositories)
    assert {(it.registry_id, it.region) for it in found.repositories()} == {
        ("111122223333", "eu-west-2")
    }


@pytest.mark.parametrize(
    ("stack", "told"), [("nobody", "there is no such stack"), ("broken", "tagMutability")]
)
def test_what_is_wrong_with_it_is_told(
    stack: str, told: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "Pulumi.yaml").write_text((FIXTURES / "Pulumi.yaml").read_text())
    prod = (FIXTURES / "Pulumi.prod.yaml").read_text()
    (tmp_path / "Pulumi.broken.yaml").write_text(
        prod.replace("tagMutability: MUTABLE_WITH_EXCLUSION", "tagMutability: IMMUTABLE")
    )
    monkeypatch.chdir(tmp_path)
    with pytest.raises(RefusedError, match=told) as refused:
        declared(stack)
    assert f"Pulumi.{stack}.yaml" in str(refused.value)


@pytest.mark.parametrize("name", ["../prod", "acme/images/prod", "prod/"])
def test_a_name_with_more_than_the_files_is_refused(name: str) -> None:
    with pytest.raises(RefusedError, match=r"has a /.*; write the last part alone"):
        declared(name)
