"""Writes a month of believable data into an empty store, to look at: `make demo-data`.

Users who come, run into limits, upgrade and leave; keys, credits, audit entries; an afternoon on which a provider
fails. All of it goes through the gateway's own stores and scripts, by a clock that runs through the month, so that the
ledger is as it would be. The same seed makes the same month.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))

from scalix.api.errors import SetupError, StoreNotRunning  # noqa: E402
from scalix.api.place import Place, find_place  # noqa: E402
from scalix.domain.limits.calendar import DAY_MS  # noqa: E402
from scalix.domain.policy import Policy, Tier  # noqa: E402
from scalix.domain.prices.peak_prices import PPM  # noqa: E402
from scalix.launch.config.config_file import read_config  # noqa: E402
from scalix.launch.embedded.embedded_store import EmbeddedStore  # noqa: E402
from scalix.launch.problems import LaunchError  # noqa: E402
from scalix.launch.settings.environment import load_environment  # noqa: E402
from scalix.store.backup.redis_restore import RestoreStore  # noqa: E402
from scalix.store.base import StoreUnavailable  # noqa: E402
from scalix.store.connection.redis_client import connect  # noqa: E402
from scalix.store.connection.session import StoreSession  # noqa: E402
from scalix.store.keys import Keys  # noqa: E402
from tools.demo_month import Month, Written, write_month  # noqa: E402

USERS, SEED = 2_000, 1
_TIMEOUT_MS = 30_000
_PRO, _PREMIUM = 24, 14  # tenths of the cost that are charged
EXIT_REFUSED = 2


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code; what is wrong is one line on standard error."""
    parser = argparse.ArgumentParser(prog="demo-data", description="Write a month of data into an empty store.")
    parser.add_argument("--users", type=int, default=USERS, metavar="N", help=f"how many users (default {USERS})")
    parser.add_argument("--seed", type=int, default=SEED, metavar="N", help="another month for another number")
    options = parser.parse_args(arguments)
    begun_s = time.monotonic()
    try:
        if load_environment(ROOT, os.environ, None).scalix_env == "production":
            return _refuse("SCALIX_ENV is production, where data must not be made up. Use a store of development")
        place = find_place(root=ROOT)
        policy = _policy(place)
        with _store_url(place) as url:
            written = asyncio.run(_write(url, place.key_prefix, policy, options.users, options.seed))
    except (LaunchError, SetupError) as error:
        return _refuse(str(error))
    except StoreUnavailable as error:
        return _refuse(f"the store does not answer ({error})")
    if written is None:
        what = f"the store has keys with the prefix {place.key_prefix!r} already"
        return _refuse(f"{what}: set SCALIX_KEY_PREFIX to another one, such as demo:, here and for the gateway")
    print(
        f"{written.users:,} users, {written.requests:,} requests, {written.refused:,} refusals, {written.keys:,} keys, "
        f"{written.acts:,} audit entries under {place.key_prefix!r} in {time.monotonic() - begun_s:.0f} s"
    )
    return 0


def _policy(place: Place) -> Policy:
    # As a demo, every model is in service: no key of a provider is needed.
    policy = read_config(place.config_path, {**place.values, "SCALIX_DEMO_URL": "http://127.0.0.1:0"}, demo=True).policy
    return replace(policy, tiers={name: _with_margin(policy, tier) for name, tier in policy.tiers.items()})


def _with_margin(policy: Policy, tier: Tier) -> Tier:
    """The shipped config bills nothing beyond costs, as a flat price may be paid elsewhere. A month with a margin shows
    more."""
    if tier.name == policy.default_tier or tier.markup_ppm > PPM:
        return tier
    return replace(tier, markup_ppm=(_PREMIUM if tier.markup_ppm else _PRO) * PPM // 10)


@contextmanager
def _store_url(place: Place) -> Iterator[str]:
    """The store that the gateway has or would have; an embedded one that does not run is started for this."""
    try:
        url = place.store_url
    except StoreNotRunning:
        with EmbeddedStore(place.state_dir, output=subprocess.DEVNULL) as store:
            yield store.url
        return
    yield url


async def _write(url: str, prefix: str, policy: Policy, users: int, seed: int) -> Written | None:
    client = connect(url, timeout_ms=_TIMEOUT_MS)
    try:
        session = StoreSession(client, Keys(prefix), timeout_ms=_TIMEOUT_MS)
        if not await RestoreStore(session).is_empty():
            return None
        now_ms = await session.time_ms()
        month = Month(first_day=now_ms // DAY_MS - 29, until_ms=now_ms, users=users, seed=seed)
        return await write_month(client, session.names, policy, month)
    finally:
        await client.aclose()


def _refuse(why: str) -> int:
    print(f"demo-data: {why}.", file=sys.stderr)
    return EXIT_REFUSED


if __name__ == "__main__":
    sys.exit(main())
