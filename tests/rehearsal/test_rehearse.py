"""The rehearsal as a whole, and the command that people and machines use."""

import contextlib
import io
import json
import re
import shutil
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result
from markdown_it import MarkdownIt

from components import image_repository
from container_images.aws.errors import RefusedError
from container_images.cli.app import app
from container_images.cli.rehearse import print_markdown
from container_images.policies.ecr_actions import ACTIONS, Effect
from container_images.policies.invalid_input import printable
from container_images.rehearsal import rehearse as module
from container_images.rehearsal import year
from container_images.rehearsal.program import Resource
from container_images.rehearsal.rehearse import rehearse, warnings_about
from container_images.stack.declared import DeclaredStack, declared
from container_images.stack.state import intended
from tests.conftest import FIXTURES, ROOT
from tests.rehearsal.conftest import Rehearsed, printed
from tests.rehearsal.test_pipeline import ACTS
from tests.test_docs import Sample, differences

MOVED = "Nobody but the pipeline roles can move a tag"
EXAMPLES = sorted((ROOT / "examples" / "stacks").glob("Pulumi.*.yaml"))


@pytest.fixture(autouse=True)
def _a_short_year(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for `prod_rehearsed`, which is made before."""
    monkeypatch.setattr(year, "DAYS", 90)


@pytest.fixture(scope="module")
def weakened(prod: DeclaredStack) -> Rehearsed:
    """A stack whose guard does not deny PutImage, and of which a policy loses releases.

    The second rule never comes to the releases: their merged- tags belong to the first.
    """
    retention = [
        {"tags": "merged-*", "expireAfterDays": 3},
        {"tags": "prod-*", "keepNewest": 50},
    ]
    repositories = {"app": {"retention": retention}, "cache": {}}
    stack = prod.changed(repositories=repositories, audit={}, retention=None)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(ACTIONS, "PutImage", Effect.UPLOAD)
        patch.setattr(year, "DAYS", 90)
        patch.setattr(image_repository, "_policies", image_repository._policies.__wrapped__)
        return rehearse(stack)


def command(project: Path, *args: str) -> Result:
    """The command with its options, in this process."""
    with contextlib.chdir(project):
        return CliRunner().invoke(app, ["rehearse", *args], catch_exceptions=False)


def in_markdown(rehearsed: Rehearsed) -> str:
    with contextlib.redirect_stdout(io.StringIO()) as output:
        print_markdown(*rehearsed)
    return output.getvalue().strip()


def comment(rehearsed: Rehearsed) -> str:
    """The code in the Markdown, as GitHub reads it."""
    tokens = MarkdownIt("commonmark").parse(in_markdown(rehearsed))
    assert [token.type for token in tokens if token.content] == ["inline", "fence", "inline"]
    return next(token.content for token in tokens if token.type == "fence")


# --- What is done, for machines -------------------------------------------------------------------

SHAPES = {
    "resources": ("type", "name", "parent", "id", "inputs", "protect", "retainOnDelete"),
    "acts": ("act", "ok", "detail", "by"),
    "proofs": ("claim", "proved", "counterexample"),
    "access": ("principal", "pull", "moveTags", "deleteImages", "changeGuard"),
}


def test_the_production_stack_comes_up_and_everything_holds(prod_rehearsed: Rehearsed) -> None:
    rehearsal, failures = prod_rehearsed
    assert failures == []
    assert ", ".join(act["act"] for act in rehearsal["acts"]) == f"declared, {ACTS}, year"
    assert (rehearsal["stack"], rehearsal["cloud"]["name"]) == ("prod", "moto")
    assert 0 < rehearsal["seconds"]["program"] < rehearsal["seconds"]["total"]
    keys = {name: {tuple(each) for each in rehearsal[name]} for name in SHAPES}
    assert keys == {name: {shape} for name, shape in SHAPES.items()}
    others = {"stack", "cloud", "outputs", "warnings", "seconds"}
    assert rehearsal.keys() == SHAPES.keys() | others
    kinds = Counter(resource["type"].rpartition(":")[2] for resource in rehearsal["resources"])
    assert (kinds["Registry"], kinds["Repository"], kinds["EventRule"]) == (1, 5, 12)


def test_what_is_not_as_declared_or_could_be_deleted_is_seen(
    prod: DeclaredStack, prod_rehearsed: Rehearsed
) -> None:
    """tests/stack has all that may differ."""
    declared = {name: intended(prod, name) for name in prod.settings.repositories}
    name, state = next(iter(declared.items()))
    kept: Any = {"protect": True, "retain_on_delete": True, "options": None}
    detail = "all repositories (5) are as the settings say, protected and retained"
    assert (
        detail == module._compare(declared, declared, ()) == prod_rehearsed[0]["acts"][0]["detail"]
    )
    with pytest.raises(RefusedError, match=f"{name} is not as declared: repository policy"):
        module._compare(declared, {**declared, name: replace(state, policy=None)}, ())
    for other, live in [({}, declared), (declared, {})]:
        with pytest.raises(RefusedError, match="and should be"):
            module._compare(other, live, ())
    for kind in ("Repository", "LifecyclePolicy", "RepositoryPolicy"):
        for option in ("protect", "retain_on_delete"):
            token = f"aws:ecr/{kind[0].lower()}{kind[1:]}:{kind}"
            options = {**kept, "protect": kind == "Repository"}
            options[option] = not options[option]
            resource = Resource(type=token, name="app", parent=None, **options)
            with pytest.raises(RefusedError, match=r"app .* is not protected and retained"):
                module._compare(declared, declared, [resource])


# --- For people -----------------------------------------------------------------------------------


def test_what_decides_comes_first_and_fits_one_screen(prod_rehearsed: Rehearsed) -> None:
    text = printed(prod_rehearsed)
    lines = text.splitlines()
    assert lines[0].startswith("ok       the stack prod does what ADR040 asks")
    assert lines[1] == f"warning  {prod_rehearsed[0]['warnings'][0]}"
    wrapped = [line for line in lines if line.split()[-1:] not in (["yes"], ["-"])]
    folds = sum(len(line) // 80 for line in wrapped)
    assert len(lines) + folds <= 45, "on a terminal of 80 columns"
    words = [line.split() for line in lines]
    assert ["111122223333:role/break-glass", "yes", "-", "yes", "yes"] in words
    assert ["444455556666:root", "yes", "-", "-", "-"] in words
    assert f"\nholds    {MOVED}" in text
    assert "12 EventRule, 12 EventTarget" in text
    assert "\x1b" not in text


def test_the_rest_comes_with_verbose(prod_rehearsed: Rehearsed) -> None:
    brief, verbose = printed(prod_rehearsed), printed(prod_rehearsed, verbose=True)
    detail = "refuse-overwriting: refused for merged-0, stg-0, prod-0, dev-0, pr-0 (simulated)"
    resource = "         aws:ecr/repository:Repository forms-admin-deploy\n"
    for part in (detail, resource, "the rest is moto's"):
        assert part in verbose
        assert part not in brief


def test_the_readme_shows_it(prod_rehearsed: Rehearsed) -> None:
    """Line by line; … stands for lines left out, and the seconds are not the same."""
    [shown] = re.findall(r"```text\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    seconds = r"\d+\.\d s"
    lines = tuple(line.strip() for line in re.sub(seconds, "… s", shown).splitlines())
    sample = Sample(command="make rehearse", shown=(*lines, "…"))
    assert differences(sample, re.sub(seconds, "… s", printed(prod_rehearsed))) == []


def test_a_failure_is_said_right_behind_the_verdict(weakened: Rehearsed) -> None:
    verdict, *lines = printed(weakened).splitlines()
    assert verdict.startswith("FAILED   the stack prod does not do what ADR040 asks")
    failures = "\n".join(lines[:4])
    assert f"FAILED   {MOVED}" in failures
    assert "counterexample: ecr:PutImage on arn:aws:ecr:eu-west-2:111122223333:repo" in failures
    assert "the newest 10 releases (rule 2 (tags merged-*) took it; put the rule that " in failures
    assert "Next:" not in "\n".join(lines)
    assert "\nFAILED   Nobody but the pipeline roles can move a tag" in comment(weakened)
    assert f"holds    {MOVED}" not in comment(weakened)


# --- For pull requests ----------------------------------------------------------------------------


def test_the_comment_says_what_machines_are_told(prod_rehearsed: Rehearsed) -> None:
    text, rehearsal = comment(prod_rehearsed), prod_rehearsed[0]
    warnings = [f"warning  {warning}" for warning in rehearsal["warnings"]]
    claims = [f"holds    {proof['claim']}" for proof in rehearsal["proofs"]]
    lines = text.splitlines()
    assert lines[: len(warnings)] == warnings
    assert lines[-len(claims) :] == claims
    for principal, *abilities in (row.values() for row in rehearsal["access"]):
        shown = ["yes" if ability else "-" for ability in abilities]
        words = " ".join([principal.split(":", 4)[-1], *shown])
        assert words in [" ".join(line.split()) for line in lines]


ODD = ["a|b", "~~~~~~~~~~", "<b>a</b> [b](c)", "\x1b[2Ka\u202e\x9b`|x"]


@pytest.mark.parametrize("odd", ODD)
def test_nothing_that_comes_from_a_file_is_taken_for_a_mark(
    prod_rehearsed: Rehearsed, odd: str
) -> None:
    rows = [{**prod_rehearsed[0]["access"][0], "principal": f"arn:{odd}"}]
    rehearsed = {**prod_rehearsed[0], "access": rows, "warnings": [odd]}, [f"one: {odd}"]
    text, shown = comment(rehearsed), printable(odd)
    assert f"FAILED   one: {shown}\nwarning  {shown}\n" in text
    assert f"\n{shown} " in text
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\u202e]", text + printed(rehearsed))


# --- The command ----------------------------------------------------------------------------------


@pytest.mark.parametrize("form", ["--json", "--markdown", "--verbose"])
def test_each_form_is_printed_alone_and_the_status_is_the_outcome(
    prod_rehearsed: Rehearsed, weakened: Rehearsed, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    for rehearsed, status in ((prod_rehearsed, 0), (weakened, 1)):
        monkeypatch.setattr(module, "rehearse", lambda _, rehearsed=rehearsed: rehearsed)
        done = command(FIXTURES, "--stack", "prod", form)
        assert (done.exit_code, done.stderr) == (status, "")
        texts = {
            "--json": json.dumps(rehearsed[0], indent=2),
            "--markdown": in_markdown(rehearsed).strip(),
        }
        assert done.stdout.strip() == texts.get(form, printed(rehearsed, verbose=True).strip())


def test_all_errors_of_the_settings_come_at_once(tmp_path: Path) -> None:
    shutil.copy(ROOT / "Pulumi.yaml", tmp_path)
    text = (FIXTURES / "Pulumi.prod.yaml").read_text()
    more = "  container-images:scanOnPush: 1\n  container-images:pullAcounts: {}\n"
    (tmp_path / "Pulumi.dev.yaml").write_text(text.replace("config:\n", f"config:\n{more}"))
    done = command(tmp_path, "--stack", "dev", "--json")
    assert (done.exit_code, done.stdout) == (2, "")
    error = json.loads(done.stderr)
    assert error["kind"] == "usage"
    assert error["error"].startswith("Pulumi.dev.yaml: ")
    done = command(tmp_path, "--stack", "dev")
    assert (done.exit_code, done.stdout) == (2, "")
    assert [line.split()[0] for line in done.stderr.splitlines()[1:]] == ["1.", "2."]


def test_wrong_usage() -> None:
    for args, message in (
        (["--stack", "none"], "there is no such stack"),
        (["--stack", "../prod"], "there is no such stack"),
        (["--json"], "Missing option"),
        (["--stack", "prod", "--json", "--markdown"], "give one of --json, --markdown"),
    ):
        done = command(FIXTURES, *args)
        assert (done.exit_code, done.stdout) == (2, "")
        assert message in done.stderr


# --- Other programs and stacks --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("added", "message", "by"),
    [
        ("aws.Provider('b')", "there is no pulumi:providers:aws", "simulated"),
        ("aws.iam.RolePolicy('a', name='a', role='no', policy='{}')", "NoSuchEntity", "moto"),
        ("raise pulumi.RunError('not so')", "yaml: not so", None),
    ],
)
def test_what_the_program_or_the_embedded_aws_refuses(
    prod: DeclaredStack, tmp_path: Path, added: str, message: str, by: str | None
) -> None:
    """To the program, a setting is wrong; to the embedded AWS, an act fails."""
    program = (ROOT / "__main__.py").read_text()
    (tmp_path / "__main__.py").write_text(f"import pulumi_aws as aws\n{program}\n{added}\n")
    stack = replace(prod.changed(repositories={"app": {}}, audit={}), directory=tmp_path)
    if by is None:
        with pytest.raises(RefusedError, match=message):
            rehearse(stack)
        return
    rehearsal, [failure] = rehearse(stack)
    [act] = rehearsal["acts"]
    assert (act["act"], act["ok"], act["by"]) == ("register", False, by)
    assert message in failure
    assert rehearsal["resources"] == rehearsal["proofs"] == rehearsal["access"] == []


def test_a_stack_that_overrides_everything(prod: DeclaredStack) -> None:
    everything = {
        "retention": [{"tags": "v*", "keepNewest": 3}, {"any": True, "keepNewest": 9}],
        "immutableTags": ["v*"],
        "tagMutability": "MUTABLE_WITH_EXCLUSION",
        "tags": {"Team": "forms"},
        "kmsKey": "arn:aws:kms:eu-west-2:111122223333:key/1",
        "scanOnPush": False,
        "lambdaPull": True,
        "import": True,
    }
    stack = prod.changed(
        repositories={"everything": everything, "nothing": None, "a--b": {}},
        additionalPipelineRoles=["arn:aws:iam::444455556666:role/ci/push"],
        pullAccounts={"ci": "444455556666"},
        lambdaPullAccounts=["444455556666"],
        pullOrganization="o-exampleorgid",
        movableTags=["latest", "stable"],
        audit={},
    )
    rehearsal, failures = rehearse(stack)
    assert failures == []
    details = [act["detail"] for act in rehearsal["acts"] if act["act"] == "year"]
    assert [detail.partition(": ")[0] for detail in details] == ["a--b, nothing", "everything"]
    assert details[1].endswith("can be pulled: the image of latest, the image of stable")


def test_what_the_settings_leave_open_is_a_warning(prod: DeclaredStack) -> None:
    """No more than that: it is the team's to decide."""
    repositories = {
        "open": {"tagMutability": "MUTABLE"},
        "some": {"immutableTags": ["v*"], "retention": []},
        "kept": {"tagMutability": "IMMUTABLE_WITH_EXCLUSION"},
    }
    # An image keeps its candidate's tag when it becomes a release.
    retention = [{"tags": "v*-rc.*", "expireAfterDays": 30}, {"tags": "v*", "keepNewest": 20}]
    convention = [{"stage": "release", "tag": "v{semver}"}]
    changes = {"immutableTags": ["v*"], "tagConvention": convention, "retention": retention}
    mutable, excluded, unlimited, candidates = warnings_about(
        prod.changed(repositories=repositories, **changes)
    )
    assert mutable.startswith("Tags can be overwritten in open: ")
    assert "such as scratch, can be overwritten in some: with IMMUTABLE_WITH" in excluded
    assert unlimited == "Every image is kept in some: there is no retention rule."
    assert candidates.startswith("The retention rule of v*-rc.* may take releases: one image has")


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: file.name)
def test_an_example_is_rehearsed_with_the_teams_own_tags(tmp_path: Path, file: Path) -> None:
    for source in (ROOT / "Pulumi.yaml", ROOT / "__main__.py", file):
        shutil.copy(source, tmp_path)
    stack = declared(file.name.split(".")[1], tmp_path)
    rehearsal, failures = rehearse(stack)
    assert failures == []
    details = {act["act"]: act["detail"] for act in rehearsal["acts"]}
    if stack.name == "semver":
        assert details["promote"] == "the second build is v1.2.0; latest and stable put on it"
        assert details["resolve"] == "latest and stable resolved to v1.1.0"
