"""Backups of a store that is named through Sentinel: what is restored is what was there, also after a fail-over."""

from pathlib import Path

from tests.store.backup_rig import contents, parts_of, session_at
from tests.store.ledger_rig import LedgerRig
from tests.store.sentinels import Watched
from tests.store.servers import running
from tests.store.test_backup import SETTINGS, a_store_of_everything, kept


async def test_a_backup_through_sentinels_restores_to_the_last_figure_after_a_fail_over_too(
    tmp_path: Path, key_prefix: str
) -> None:
    (tmp_path / "servers").mkdir()
    with running(Watched(tmp_path / "servers")) as watched:
        rig = LedgerRig(watched.url, key_prefix)
        await a_store_of_everything(rig)
        before = kept(await contents(rig.session))
        await parts_of(rig.session, tmp_path).making.create(SETTINGS)
        await rig.close()
        watched.wait_until_replicated()
        master = watched.master()
        master.kill()
        watched.wait_for_another(master)
        for number, prefix in enumerate((f"{key_prefix}2:", f"{key_prefix}3:")):
            async with session_at(watched.url, prefix) as other:
                parts = parts_of(other, tmp_path, f"other-{number}")
                await parts.restoring.restore(None)
                assert kept(await contents(other)) == before
                await parts.making.create(SETTINGS)  # of the server that has taken over, for the next one
