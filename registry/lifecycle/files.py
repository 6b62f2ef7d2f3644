"""Pure: the files that a report is made from, as the AWS CLI prints them."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from policies.fault import ABSENT, Fault, InvalidInputError, parse_json
from registry.lifecycle.document import Rule, rules_in
from registry.lifecycle.simulation import Image


@dataclass(frozen=True, kw_only=True)
class Listing:
    """The images of one repository."""

    images: tuple[Image, ...]
    repository: str = ""
    """Its name, where it is known."""


def read_policy(text: str) -> tuple[Rule, ...]:
    """The rules of a policy, or of what `aws ecr get-lifecycle-policy` prints.

    Raises InvalidInputError with everything for which AWS would refuse it.
    """
    document = parse_json(
        text, "policy", "write it as aws ecr get-lifecycle-policy has it, with --output json"
    )
    if isinstance(document, dict) and isinstance(document.get("lifecyclePolicyText"), str):
        return read_policy(document["lifecyclePolicyText"])
    return rules_in(document)


def read_images(text: str) -> Listing:
    """The images that `aws ecr describe-images` prints, in either version of the AWS CLI.

    It prints no index's children. Raises InvalidInputError with everything that cannot be read.
    """
    written = parse_json(
        text, "list of images", "write it as aws ecr describe-images has it, with --output json"
    )
    details = written.get("imageDetails") if isinstance(written, dict) else written
    if not isinstance(details, list):
        raise InvalidInputError(
            [
                Fault(
                    where=(),
                    value=written,
                    rule="the file of images is an object with imageDetails",
                    fix="print it with aws ecr describe-images --output json",
                )
            ]
        )
    faults: list[Fault] = []
    images: dict[str, Image] = {}
    names: set[str] = set()
    for position, detail in enumerate(details):
        found = list(_faults_in_detail(detail))
        if not found and detail["imageDigest"] in images:
            found = [
                Fault(
                    where=("imageDigest",),
                    value=detail["imageDigest"],
                    rule="this image stands there twice",
                    fix="print the list again",
                )
            ]
        if found:
            faults += (fault.under("imageDetails", position) for fault in found)
            continue
        images[detail["imageDigest"]] = image_of(detail)
        names.add(detail.get("repositoryName", ""))
    names.discard("")
    if len(names) > 1:
        faults.append(
            Fault(
                where=("imageDetails",),
                value=sorted(names),
                rule="these are the images of several repositories",
                fix="take one file for each: a policy counts in one repository",
            )
        )
    if faults:
        raise InvalidInputError(faults)
    return Listing(images=tuple(images.values()), repository="".join(names))


def image_of(detail: Mapping[str, Any]) -> Image:
    """An image as ECR describes it, in a file or in a response of boto3's."""
    return Image(
        digest=detail["imageDigest"],
        tags=tuple(detail.get("imageTags") or ()),
        pushed_at=moment(detail["imagePushedAt"]),
        size=detail.get("imageSizeInBytes", 0),
        media_type=detail.get("imageManifestMediaType", ""),
        archived=detail.get("imageStatus") == "ARCHIVED",
        archived_at=_moment_or_none(detail.get("lastArchivedAt")),
        activated_at=_moment_or_none(detail.get("lastActivatedAt")),
        pulled_at=_moment_or_none(detail.get("lastRecordedPullTime")),
        subject=detail.get("subjectManifestDigest"),
    )


def moment(written: Any) -> datetime:
    """A time as either version of the AWS CLI prints it, or as boto3 has it, in UTC.

    Version 1 prints seconds since 1970 unless it is told otherwise, version 2 prints ISO 8601.
    Raises ValueError for anything else, and for a time without an offset from UTC.
    """
    if isinstance(written, int | float) and not isinstance(written, bool):
        try:
            return datetime.fromtimestamp(written, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(str(error)) from None
    found = written if isinstance(written, datetime) else datetime.fromisoformat(str(written))
    if found.tzinfo is None:
        raise ValueError("a time needs an offset from UTC")
    return found.astimezone(UTC)


def _moment_or_none(written: Any) -> datetime | None:
    return None if written is None else moment(written)


_TIMES = ("imagePushedAt", "lastArchivedAt", "lastActivatedAt", "lastRecordedPullTime")


def _faults_in_detail(detail: Any) -> Iterator[Fault]:
    if not isinstance(detail, dict):
        yield Fault(
            where=(),
            value=detail,
            rule="an image is an object",
            fix="print it with aws ecr describe-images --output json",
        )
        return
    if not isinstance(detail.get("imageDigest"), str):
        yield Fault(
            where=("imageDigest",),
            value=detail.get("imageDigest", ABSENT),
            rule="each image has a digest",
            fix="print the list without a --query that leaves it out",
        )
    tags = detail.get("imageTags") or []
    if not (isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)):
        yield Fault(
            where=("imageTags",),
            value=tags,
            rule="the tags are a list of text",
            fix="print it again",
        )
    size = detail.get("imageSizeInBytes", 0)
    if not isinstance(size, int):
        yield Fault(
            where=("imageSizeInBytes",),
            value=size,
            rule="the size is a whole number",
            fix="print it again",
        )
    for key in _TIMES:
        written = detail.get(key)
        if written is None and key != "imagePushedAt":
            continue
        try:
            moment(written)
        except ValueError:
            yield Fault(
                where=(key,),
                value=detail.get(key, ABSENT),
                rule="this is a time with its offset from UTC, or the seconds since 1970",
                fix="print it as the AWS CLI does, such as 2026-01-31T12:00:00+00:00",
            )


def read_in_use(text: str) -> list[str]:
    """Digests and image references, one to a line or as a JSON list. Raises InvalidInputError."""
    if not text.lstrip().startswith("["):
        return [line.strip() for line in text.splitlines() if line.strip()]
    written = parse_json(
        text, "list of images in use", "write one digest or image reference to a line"
    )
    if not all(isinstance(it, str) for it in written):
        raise InvalidInputError(
            [
                Fault(
                    where=(),
                    value=written,
                    rule="images in use are digests and image references",
                    fix="write them as text",
                )
            ]
        )
    return list(written)


def reference(written: str) -> tuple[str, str, str]:
    """The repository's name, the tag and the digest of `[REGISTRY/]NAME[:TAG][@DIGEST]`.

    Each is empty where it is not said; but without tag and digest, the tag is `latest`, as it is
    for Docker. A digest by itself is taken too.
    """
    name, _, digest = written.rpartition("@") if "@" in written else (written, "", "")
    if not digest and name.startswith("sha256:"):
        return "", "", name
    path, _, last = name.rpartition("/")
    last, _, tag = last.partition(":")
    registry, _, rest = path.partition("/")
    if "." in registry or ":" in registry or registry == "localhost":
        path = rest
    return f"{path}/{last}" if path else last, tag or ("" if digest else "latest"), digest
