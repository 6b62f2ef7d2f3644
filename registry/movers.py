"""Who could move a tag, delete an image or change the guard, by whatever way, and how."""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from registry.account import Account, Identity
from registry.chains import Chain, Chains, Network, Target, trusted
from registry.evaluation import EVERYTHING, Policy, Principal, fits, parse
from registry.proofs import CHANGE_GUARD, DELETE_IMAGES, MOVE_TAGS, Claim, Proof, alike, prove
from registry.ways import FEDERATED, SERVICE, Ways

if TYPE_CHECKING:
    from components.guard import Access

ABILITIES: Final[Mapping[str, tuple[str, ...]]] = {
    "moveTags": MOVE_TAGS,
    "deleteImages": DELETE_IMAGES,
    "changeGuard": CHANGE_GUARD,
}
"""What is asked of everybody, and the calls on a repository of which any one is enough."""


@dataclass(frozen=True, kw_only=True)
class Mover:
    """What somebody can do, by themselves or by becoming others."""

    principal: str
    chains: Mapping[str, Chain | None]
    """The shortest way to each ability, by its name; None where there is none."""


@dataclass(frozen=True, kw_only=True)
class Entrance:
    """Somebody outside of the account whom the trust policy of an able role lets in."""

    role: str
    trusts: str
    """A service, or a federated identity provider."""
    conditions: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class Findings:
    """Who could do what to one repository."""

    repository: str
    like: str
    """ARN of the repository that was evaluated. What was found is told of all that are like it."""
    movers: tuple[Mover, ...]
    """Every role and user, and those of other accounts that have or are given a say."""
    root: Mover
    is_home: bool
    """Whether the roles and users of the account that holds the repository are known."""
    missing: tuple[str, ...]
    """ARNs that its policy names, of roles and users that do not exist."""
    entrances: tuple[Entrance, ...]


@dataclass(frozen=True, kw_only=True)
class Repository:
    """A repository to ask about."""

    arn: str
    text: str
    """Its policy, as AWS has it."""

    @property
    def account(self) -> str:
        """The account that holds it."""
        return self.arn.split(":")[4]

    @property
    def policy(self) -> Policy:
        """What its policy says. Raises UnreadablePolicyError."""
        return parse(self.text)

    @property
    def listed(self) -> frozenset[str]:
        """The ARNs by which its policy tells its callers apart: those that its guard names."""
        return frozenset(
            value
            for statement in self.policy.statements
            for condition in statement.conditions
            if condition.key == _PRINCIPAL_ARN
            for value in condition.values
        )

    def exempted(self, action: str) -> list[str]:
        """The ARNs that its Denies of an action leave out."""
        return sorted(
            {
                value
                for statement in self.policy.about(action)
                for condition in statement.conditions
                if condition.key == _PRINCIPAL_ARN and "Not" in condition.operator
                for value in condition.values
                if not statement.allows
            }
        )


_PRINCIPAL_ARN: Final = "aws:principalarn"


def proofs(repository: Repository) -> list[Proof]:
    """What holds of everybody, whether listed or not: nobody but those whom the policy exempts."""
    access: Access = {
        "partition": repository.arn.split(":")[1],
        "region": repository.arn.split(":")[3],
        "account_id": repository.account,
        "pipeline_roles": repository.exempted("ecr:PutImage"),
        "administrator_roles": repository.exempted("ecr:SetRepositoryPolicy"),
        "pull_accounts": [],
        "pull_organization": "",
        "lambda_pull": False,
    }
    claims = [Claim.MOVED, Claim.ADMINISTERED, Claim.BOTH]
    # Of nobody everything is true.
    claims += [Claim.PUSHED] if access["pipeline_roles"] else []
    claims += [Claim.LOCKED_OUT] if access["administrator_roles"] else []
    return prove(alike([(repository.arn, repository.text, access)]), claims)


def findings(
    account: Account, repositories: Sequence[Repository], scps: tuple[Policy, ...] = ()
) -> list[Findings]:
    """Who could do what to each repository, and how.

    `scps` are service control policies, one for each level of the organization. Repositories for
    which no policy makes a difference are evaluated once.
    """
    listed = frozenset[str]().union(*(it.listed for it in repositories))
    ways = Ways(account, listed, scps)
    network = Network(ways.all)
    alike: dict[Any, Findings] = {}
    found = []
    for repository in repositories:
        key = _likeness(account, repository)
        if key not in alike:
            alike[key] = _findings(account, ways, network, repository, scps)
        found.append(_of(repository.arn, alike[key]))
    return found


def others(found: Iterable[Findings], only: Collection[str]) -> list[str]:
    """Who else could move a tag in any of the repositories."""
    able = {mover.principal for it in found for mover in it.movers if mover.chains["moveTags"]}
    return sorted(able.difference(only))


def _likeness(account: Account, repository: Repository) -> Any:
    """The same for repositories of which everything said of one can be said of the other."""
    patterns = {
        pattern
        for policy in (*account.policies, repository.policy)
        for statement in policy.statements
        for pattern in statement.resources
    }
    if any("${" in it for it in patterns):
        return repository.arn
    fitting = frozenset(it for it in patterns if fits(it, repository.arn))
    return repository.account, repository.policy, fitting


def _of(arn: str, found: Findings) -> Findings:
    """The same findings, said of another repository."""
    if arn == found.repository:
        return found

    def said_of(mover: Mover) -> Mover:
        chains = {
            ability: chain and (*chain[:-1], replace(chain[-1], resource=arn))
            for ability, chain in mover.chains.items()
        }
        return replace(mover, chains=chains)

    movers = tuple(said_of(it) for it in found.movers)
    return replace(found, repository=arn, movers=movers, root=said_of(found.root))


def _findings(
    account: Account,
    ways: Ways,
    network: Network,
    repository: Repository,
    scps: tuple[Policy, ...],
) -> Findings:
    partition = repository.arn.split(":")[1]
    root = Principal(
        arn=f"arn:{partition}:iam::{repository.account}:root",
        account=repository.account,
        named=f"arn:{partition}:iam::{repository.account}:root",
        policies=(EVERYTHING,),
        scps=scps,
    )
    own = list(ways.principals.values())
    outsiders = list(_outsiders(account, repository))
    target = Target(repository.arn, repository.policy, ABILITIES)
    chains = Chains(network, target, [*own, *outsiders, root])
    movers = {it: Mover(principal=it.shown, chains=chains.of(it)) for it in (*own, *outsiders)}
    homes = {it.account for it in account.identities}
    return Findings(
        repository=repository.arn,
        like=repository.arn,
        movers=tuple(
            mover
            for it, mover in movers.items()
            # Others' roles that are let in nowhere near are not worth a line.
            if it in own or it.arn in repository.listed or any(mover.chains.values())
        ),
        root=Mover(principal=root.shown, chains=chains.of(root)),
        is_home=repository.account in homes,
        missing=tuple(
            sorted(
                it
                for it in repository.listed
                if it not in ways.principals and it.split(":")[4] in homes and "*" not in it
            )
        ),
        entrances=tuple(
            entrance
            for it in account.identities
            if any(
                chain and len(chain) == 1
                for chain in movers[ways.principals[it.arn]].chains.values()
            )
            for entrance in _entrances(it)
        ),
    )


def _outsiders(account: Account, repository: Repository) -> Iterator[Principal]:
    """Those of other accounts whom a policy names, and federations that vouch for anybody.

    What their own accounts allow them is not known: so it is everything.
    """
    homes = {it.account for it in account.identities}
    policies = (repository.policy, *(it.trust for it in account.identities))
    named = repository.listed.union(*map(trusted, policies))
    foreign = {it: it.split(":")[4] for it in named if it.startswith("arn:") and ":iam::" in it}
    foreign = {arn: account_id for arn, account_id in foreign.items() if account_id not in homes}
    for arn, account_id in sorted(foreign.items()):
        yield Principal(arn=arn, account=account_id, named=arn, policies=(EVERYTHING,))
    partition = repository.arn.split(":")[1]
    for account_id in sorted(it for it in named if it.isdigit() and it not in homes):
        yield Principal(
            arn=f"arn:{partition}:iam::{account_id}:*",
            account=account_id,
            named="",
            policies=(EVERYTHING,),
            is_not=frozenset(foreign),
        )
    for name in sorted(it for it in named if it.startswith(FEDERATED)):
        yield Principal(arn="", account="", named=name)


def _entrances(it: Identity) -> Iterator[Entrance]:
    for statement in it.trust.statements:
        for name in statement.principals:
            if statement.allows and name.startswith((SERVICE, FEDERATED)):
                yield Entrance(
                    role=it.arn,
                    trusts=name.partition(":")[2],
                    conditions=tuple(
                        f"{key}: {', '.join(values)}" for _, key, values in statement.conditions
                    ),
                )
