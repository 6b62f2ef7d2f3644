"""Pure: the images of a repository, and the file of them that the AWS CLI prints."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from container_images.aws.image import Image, image_of
from container_images.aws.reference import Reference
from container_images.policies.invalid_input import InvalidInputError, Problem, parse_json


@dataclass(frozen=True, kw_only=True)
class RepositoryImages:
    """All images of one repository. Its name, account and Region are empty where not known."""

    images: tuple[Image, ...]
    name: str = ""
    registry_id: str = ""
    region: str = ""
    unread: str = ""
    """Why it is not known what the indexes list, where that could not be read."""

    def is_named_by(self, reference: Reference) -> bool:
        """Whether a reference is to this repository. What either does not say is no difference."""
        return all(
            here == there or not here or not there
            for here, there in (
                (self.name, reference.name),
                (self.registry_id, reference.registry_id),
                (self.region, reference.region),
            )
        )


def read_images(text: str, repository: Reference | None = None) -> RepositoryImages:
    """The images that `aws ecr describe-images` prints, in either version of the AWS CLI.

    It does not print what an index lists. `repository` says which one the images must be of.
    Raises InvalidInputError with everything that cannot be read, and for a listing that is not
    whole: it would make images count as the newest that are not, and hide losses.
    """
    written = parse_json(
        text, "list of images", "write it as aws ecr describe-images has it, with --output json"
    )
    details = written.get("imageDetails") if isinstance(written, dict) else written
    if not isinstance(details, list):
        rule = "the file of images is an object with imageDetails"
        raise InvalidInputError([Problem(where=(), value=written, rule=rule, fix=_PRINT)])
    problems = [
        Problem(where=(key,), value=token, rule="the listing is not whole", fix=_PRINT_ALL)
        for key in ("nextToken", "NextToken")
        if isinstance(written, dict) and (token := written.get(key))
    ]
    images: dict[str, Image] = {}
    for position, detail in enumerate(details):
        where: tuple[str | int, ...] = ("imageDetails", position)
        try:
            image = _image(detail)
        except ValueError as error:
            rule = f"this is not an image with its digest and times ({error})"
            problems.append(Problem(where=where, value=detail, rule=rule, fix=_PRINT))
            continue
        if images.setdefault(image.digest, image) is not image:
            rule, where = "this image stands there twice", (*where, "imageDigest")
            problems.append(Problem(where=where, value=image.digest, rule=rule, fix=_PRINT))
    details = [detail for detail in details if isinstance(detail, dict)]
    owner = {
        key: sorted({str(detail[key]) for detail in details if detail.get(key)})
        for key in ("repositoryName", "registryId")
    }
    problems += _problems_with(owner, repository)
    if problems:
        raise InvalidInputError(problems)
    name, registry_id = ("".join(values) for values in owner.values())
    return RepositoryImages(
        images=tuple(images.values()),
        name=repository.name if repository else name,
        registry_id=(repository and repository.registry_id) or registry_id,
        region=(repository and repository.region) or "",
    )


_PRINT: Final = "print it with aws ecr describe-images --output json"
_PRINT_ALL: Final = f"{_PRINT}, without --max-items, --max-results and --no-paginate"


def _problems_with(
    owner: Mapping[str, list[str]], repository: Reference | None
) -> Iterator[Problem]:
    """What is wrong with the repositories and the accounts that the images are of."""
    meant = (repository.name, repository.registry_id) if repository else (None, None)
    for (key, values), expected in zip(owner.items(), meant, strict=True):
        if len(values) > 1:
            rule = "these are the images of several repositories"
            fix = "take one file for each: a policy counts in one repository"
            yield Problem(where=("imageDetails", key), value=values, rule=rule, fix=fix)
        elif values and expected and values != [expected]:
            rule, fix = f"these are not the images of {repository}", "take the file of that one"
            yield Problem(where=("imageDetails", key), value=values[0], rule=rule, fix=fix)


def _image(detail: Any) -> Image:
    """The image of an ImageDetail. Raises ValueError for anything else."""
    detail = detail if isinstance(detail, dict) else {}
    for key, kind in (("imageDigest", str), ("imageTags", list), ("imageSizeInBytes", int)):
        value = detail.get(key)
        if not isinstance(value, kind) and (value is not None or key == "imageDigest"):
            raise ValueError(f"{key} is {value!r}")
    if not all(isinstance(tag, str) for tag in detail.get("imageTags") or ()):
        raise ValueError("imageTags has what is no text")
    if "imagePushedAt" not in detail:
        raise ValueError("imagePushedAt is missing")
    return image_of(detail)
