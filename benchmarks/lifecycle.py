"""The time of a lifecycle report on as many images as a repository holds, one in ten in use."""

from datetime import UTC, datetime, timedelta
from hashlib import sha256
from time import process_time
from timeit import timeit

from rich.console import Console

from container_images.aws.image import Image
from container_images.aws.in_use import InUse
from container_images.aws.reference import parse
from container_images.lifecycle.document import rules_in
from container_images.lifecycle.listing import RepositoryImages, read_in_use
from container_images.lifecycle.report import examine
from tests.lifecycle.documents import ANY, count, older, policy, prefixed, tagged

NUMBER = 100_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
TEAMS = range(12)
SELECTIONS = (
    selection
    for team in TEAMS
    for selection in (
        tagged(f"prod-{team}-*") | count(50),
        tagged(f"*-{team}-*", "*a*b*") | count(100),
        tagged(f"stg-{team}*f*") | older(90),
        prefixed(f"pr-{team}", "pr-") | older(14),
    )
)
RULES = rules_in(policy(tagged("latest") | count(1), *SELECTIONS, ANY | count(1_000)))
"""As many as AWS allows, of each kind, with wildcards wherever they cost time."""


def main(console: Console) -> None:
    """Processor time."""
    images = RepositoryImages(images=[*map(_image, range(NUMBER))], reference=parse("app"))
    used = "\n".join(f"app@{image.digest}" for image in images.images[::10])

    def report() -> None:
        in_use = InUse(images={image: set() for image in read_in_use(used)})
        examine(RULES, images, NOW, in_use)

    seconds = timeit(report, timer=process_time, number=1)
    console.print(
        f"A lifecycle report on {NUMBER:,} images, {NUMBER // 10:,} in use, {len(RULES)} rules\n"
        f"  {seconds:.2f} s, target: at most 2.00"
    )


def _image(serial: int) -> Image:
    """One of a year's pushes, three tags to an image, every tenth without one."""
    digits = sha256(str(serial).encode()).hexdigest()
    team = int(digits[:2], 16) % len(TEAMS)
    stages = ("merged", "stg", "prod") if serial % 3 else ("pr", "dev", "pr")
    tags = [f"{stage}-{team}-{digits[:40]}-{serial}{at}" for at, stage in enumerate(stages)]
    pushed_at = NOW - timedelta(days=365 * serial / NUMBER)
    tagged = tuple(tags) if serial % 10 else ()
    return Image(digest=f"sha256:{digits}", pushed_at=pushed_at, tags=tagged, size=100_000_000)
