"""Pages while the store is away."""

from pathlib import Path

from tests.pages.rig import Browser, instance_at, operator, text_of
from tests.service.outage_rig import StoreProcess


async def test_without_the_store_a_page_says_so_and_a_session_outlasts_it(tmp_path: Path) -> None:
    store = StoreProcess(tmp_path)
    async with instance_at(store.url, "t:", tmp_path) as instance:
        browser = await operator(instance)
        store.kill()
        for path in ("/ui", "/ui/sessions", "/"):
            answer = await browser.get(path)
            assert (answer.status_code, answer.headers["retry-after"]) == (503, "5"), path
            assert "store is not available" in text_of(answer)
            assert "default-src 'none'" in answer.headers["content-security-policy"]
        assert (await Browser(instance).get("/")).status_code == 200
        assert (await Browser(instance).act("/ui/sign-in", fields={"credential": "sk-x"})).status_code in (401, 503)
        store.start_again()
        while (answer := await browser.get("/ui")).status_code == 503:
            await instance.core.exchange.watch.check()
        assert answer.url.path == "/ui"
        assert answer.status_code == 200
    store.embedded.stop()
