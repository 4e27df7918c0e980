"""The ledger's tools over a Redis Cluster, whose nodes each have a part of the shards."""

from pathlib import Path

from scalix.service.ledger.archive import Archive
from scalix.store.ledger.archive_files import ArchiveFiles
from scalix.store.ledger.redis_archive import RedisArchive
from scalix.store.ledger.redis_memory import RedisMemory
from tests.store.ledger_rig import TODAY, LedgerRig, parts
from tests.store.servers import Cluster, running
from tests.store.test_archive import policy_of


async def test_verify_repair_archive_and_the_memory_of_all_nodes(tmp_path: Path) -> None:
    with running(Cluster(tmp_path / "cluster")) as cluster:
        rig = LedgerRig(cluster.url, "scalix:")
        try:
            subjects = await rig.a_day(users=20, requests=4)
            assert (await rig.verify()).differences == []
            for subject in subjects:
                await rig.client.delete(rig.names(subject).summaries, rig.names(subject).hours)
            found = await rig.verify()
            assert (parts(found.differences), found.events) == ({"summaries", "hours"}, 80)
            assert (await rig.repair()).left == []
            assert (await rig.verify()).differences == []
            rig.clock.advance(hours=24 * 9)
            files = ArchiveFiles(tmp_path / "archive")
            archive = Archive(RedisArchive(rig.session), files, policy_of(), now_ms=rig.clock, host="here")
            (done,) = await archive.archive() or []
            assert (done.day, done.events, done.removed) == (TODAY, 80, 80)
            assert (await rig.check.verify(TODAY, archived=await archive.read(TODAY))).differences == []
            cluster.masters[1].admin.config_set("maxmemory", 2**40)
            cluster.masters[2].admin.config_set("maxmemory", cluster.masters[2].admin.info("memory")["used_memory"] * 2)
            fullest = await RedisMemory(rig.session).fullest()
            assert (fullest.is_configured, fullest.percent >= 45) == (True, True)
        finally:
            await rig.close()
