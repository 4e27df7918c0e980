"""The operator's pages of what runs: models, config, audit, system."""

import json

from scalix.domain.ledger.ledger import Detail
from scalix.domain.limits.quota import Charge, Outcome
from scalix.launch.processes.runfile import ReloadEntry, RunFile
from scalix.service.clock import now_ms
from scalix.store.connection.session import StoreSession
from scalix.store.keys import Keys
from scalix.store.records.redis_instances import InstanceStore
from tests.edge.key_rig import act
from tests.edge.limits_rig import Instance
from tests.pages.rig import Browser, text_of


async def said(browser: Browser, path: str) -> str:
    answer = await browser.get(path)
    assert answer.status_code == 200, text_of(answer)
    return text_of(answer)


async def test_models_tell_their_state_and_what_they_have_done(instance: Instance, browser: Browser) -> None:
    assert (await instance.ask("ann")).status_code == 200
    failed = Charge(
        Outcome.PROVIDER_FAILED, 0, 0, 0, detail=Detail(failed_deployments=("free-model#2:litellm:timeout",))
    )
    instance.core.exchange.deployments.note(failed, now_ms(), {})
    await instance.core.exchange.deployments.flush()
    told = await said(browser, "/ui/models")
    for name in instance.core.policy.current.models:
        assert name in told
    assert "in service" in told
    figures = told.partition("What each deployment has done")[2]
    assert "free-model#2 litellm 1 1 100 %" in figures
    assert "openai 1 12 0" in figures
    assert "must be one of" in text_of(await browser.get("/ui/models?days=2"))


async def test_config_tells_what_is_in_force_and_what_a_reload_would_change(
    instance: Instance, browser: Browser, key_prefix: str
) -> None:
    policy = instance.core.policy.current
    told = await said(browser, "/ui/config")
    assert "requests an hour" in told
    for tier in policy.tiers:
        assert tier in told
    assert "What a reload would change" not in told  # nobody knows without a launcher
    run = RunFile("127.0.0.1", 4000, "gateway.log", unapplied=("changed: free",), left_out=("x: no key",))
    state_dir = instance.core.store.state_dir
    run.write(state_dir)
    other = InstanceStore(StoreSession(instance.core.store.client, Keys(key_prefix)))
    await other.state("b", json.dumps({"address": "gateway-b:4000", "config": "0ther"}), 60_000)
    told = await said(browser, "/ui/config")
    assert "changed: free" in told
    assert "x: no key" in told
    assert "gateway-b:4000 goes by another config, 0ther" in told
    RunFile("127.0.0.1", 4000, "gateway.log", reload=ReloadEntry(3)).write(state_dir)
    told = await said(browser, "/ui/config")
    assert "Nothing: the files are as they were read" in told
    assert "3 times since the start" in told


async def test_the_audit_log_is_read_page_by_page_and_by_what_is_asked_for(
    instance: Instance, browser: Browser
) -> None:
    for number in range(60):
        await act(instance, "/user/new", user_id=f"user-{number}")
    first = await browser.get("/ui/audit?act=user")
    assert "user:user-59" in first.text
    assert "user:user-3<" not in first.text
    following = next(line.split('"')[1] for line in first.text.split("<a href=")[1:] if 'rel="next"' in line)
    assert "user:user-3<" in (await browser.get(following.replace("&amp;", "&"))).text
    found = await said(browser, "/ui/audit?object=user:user-7")
    assert "user:user-7 " in found
    assert "user:user-8 " not in found
    assert "No entry fits" in await said(browser, "/ui/audit?act=nothing")


async def test_a_check_of_the_audit_log_finds_an_entry_that_was_removed(
    instance: Instance, browser: Browser, key_prefix: str
) -> None:
    for number in range(4):
        await act(instance, "/user/new", user_id=f"user-{number}")
    assert "No entry was removed or changed" in await said(browser, "/ui/audit/check")
    client, log = instance.core.store.client, Keys(key_prefix).audit_log()
    second = (await client.execute_command("XRANGE", log, "-", "+", "COUNT", 2))[1][0]
    await client.execute_command("XDEL", log, second)
    told = await said(browser, "/ui/audit/check")
    assert "entry 2 was removed" in told


async def test_the_system_tells_of_gateway_store_and_backup(instance: Instance, browser: Browser) -> None:
    told = await said(browser, "/ui/system")
    assert "started without the launcher" in told
    assert "Memory used" in told
    assert "None was made yet" in told
    RunFile("127.0.0.1", 4000, "/var/log/gateway.log", store="Valkey 8 at store:6379").write(
        instance.core.store.state_dir
    )
    told = await said(browser, "/ui/system")
    assert "Valkey 8 at store:6379" in told
    assert "http://127.0.0.1:4000" in told


async def test_what_somebody_else_has_written_is_text(instance: Instance, browser: Browser, key_prefix: str) -> None:
    odd = "<script>alert(1)</script>"
    await act(instance, "/user/new", user_id=odd)
    other = InstanceStore(StoreSession(instance.core.store.client, Keys(key_prefix)))
    await other.state("b", json.dumps({"address": odd, "config": odd}), 60_000)
    run = RunFile("127.0.0.1", 4000, odd, store=odd, unapplied=(odd,), left_out=(odd,))
    run.write(instance.core.store.state_dir)
    for path in ("/ui/audit", "/ui/models", "/ui/config", "/ui/system"):
        assert odd not in (await browser.get(path)).text
        assert ("&lt;script&gt;" in (await browser.get(path)).text) is (path != "/ui/models")
