"""A whole gateway whose store is not there when it starts: its workers need no other start."""

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from scalix.launch.processes.runfile import read_run_file
from scalix.launch.processes.status import look
from tests.e2e.gateways import Gateway
from tests.e2e.scripted_provider import scripted
from tests.e2e.test_who_is_to_blame import proper
from tests.launch.running import eventually
from tests.store.servers import Server, free_ports, running


def test_workers_that_came_up_without_the_store_serve_when_it_comes(tmp_path: Path) -> None:
    server = Server(tmp_path / "server", free_ports(1)[0])
    with scripted(proper) as provider, ThreadPoolExecutor() as pool:
        extra = {"SCALIX_ENV": "staging", "REDIS_URL": server.url, "SCALIX_DRAIN_S": "0"}
        gateway = Gateway(tmp_path / "gateway", provider.url, extra=extra)
        started = pool.submit(gateway.start)

        def ready_worker() -> int | None:
            assert not started.done(), started.exception()
            run_file = read_run_file(gateway.state_dir)
            return next((worker.process.pid for worker in run_file.workers if worker.ready), None) if run_file else None

        try:
            worker = eventually(ready_worker, "a worker is up without the store", deadline_s=60)
            # Not by a command: the start is one, and has not ended.
            status = look(gateway.state_dir)
            assert status.state == "not ready"
            assert "store: unreachable" in status.detail
            assert "not ready until it is there" in gateway.log_text()
            with running(server):
                started.result(30)
                assert [process.pid for process in gateway.workers()] == [worker]
                body = {"model": "free-gemini-flash", "messages": [{"role": "user", "content": "Hello"}]}
                with gateway.client() as client:
                    assert client.post("/v1/chat/completions", json=body).status_code == 200
                gateway.stop()
        finally:
            gateway.stop()
