"""URLs that a client may and may not have fetched for it."""

import tracemalloc
import unicodedata
from typing import Any

import pytest

from scalix.domain.errors import BadRequest
from scalix.domain.policy import Model
from scalix.edge.outbound_urls import check_embedded, check_outbound_urls

PRIVATE = [
    "http://127.0.0.1/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f000001/",
    "http://0x7f.0.0.1/",
    "http://0177.0.0.1/",
    "http://0/",
    "http://[::1]/",
    "http://[::]/",
    "http://[::ffff:127.0.0.1]/",
    "http://[::ffff:7f00:1]/",
    "http://[::127.0.0.1]/",
    "http://[64:ff9b::7f00:1]/",
    "http://[2002:7f00:1::]/",
    "http://[fe80::1%25eth0]/",
    "http://[fd00:ec2::254]/",
    "http://169.254.169.254/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://2852039166/",
    "http://168.63.129.16/",
    "http://100.100.100.200/",
    "http://10.0.0.1/",
    "http://172.16.0.1/",
    "http://192.168.1.1/",
    "http://224.0.0.1/",
    "http://255.255.255.255/",
    "http://localhost/",
    "http://LOCALHOST./",
    "http://foo.localhost/",
    "http://metadata.google.internal/",
    "http://redis/",
    "http://redis:6379/",
    "http://printer.local/",
    "http://kubernetes.default.svc/",
    "http://api.default.svc.cluster.local/",
    "http://\uff11\uff12\uff17.0.0.1/",
    "http://127\u30020\u30020\u30021/",
    "http://\u2460\u2461\u2466.0.0.1/",
    "http://loc\u00adalhost/",
    "http://example.com@127.0.0.1/",
    "http://127.0.0.1\\@example.com/",
    "http:\\\\127.0.0.1/",
    "http://127.0.0.%31/",
    " http://127.0.0.1/",
    "\thttp://127.0.0.1/",
    "ht\ntp://127.0.0.1/",
    "//127.0.0.1/x",
    "/etc/passwd",
    "file:///etc/passwd",
    "FILE:/etc/passwd",
    "gopher://127.0.0.1/",
    "ftp://example.com/",
    "gs://bucket/object",
    "http:///path",
    "http://",
    "https://[/",
    "https://exa mple.com/",
    "https://user:secret@example.com/",
    "https://example.com:99999/",
    "javascript:alert(1)",
    # What comes before or within an address, for as long as there is any, is skipped by some parser.
    " " * 64 + "http://169.254.169.254/",
    "\n" * 7_000 + "http://169.254.169.254/",
    "\u00a0" * 70 + "//169.254.169.254/",
    "\x00" * 70 + "/etc/passwd",
    " " * 65 + "//169.254.169.254/",
    "a" * 64 + "http://169.254.169.254/",
    "x,https://169.254.169.254/",
    "data:image/png;base64,https://169.254.169.254/",
    "data:https://169.254.169.254/,x",
    " data:image/png;base64,AAAA",
    "data:image/png;base64",
    "https://example.com/ ",
    "https://example.com/\n",
    "https://example.com/a\tb",
    "\u200bhttps://example.com/",
    "HtTpS://LocalHost/",
    "https:example.com/",
    "https:/example.com/",
    "https:///example.com/",
    "https://" + "a." * 127 + "com/",
    "https://" + "\ufdfa" * 250 + ".com/",
]
PUBLIC = [
    "https://example.com/cat.png",
    "http://upload.wikimedia.org/a/b.jpg?x=1&y=http://10.0.0.1",
    "https://8.8.8.8/x.png",
    "https://[2606:4700:4700::1111]/x.png",
    "https://b\u00fccher.example.com/x.png",
    "HTTPS://EXAMPLE.COM./x",
    "data:image/png;base64,iVBORw0KGgo=",
    "file-abc123",
    "iVBORw0KGgoAAAANSUhEUg==",
]


def shapes(url: str) -> list[dict[str, Any]]:
    """The ways to put a URL into a body."""
    return [
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": url}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": url}]}]},
        {"messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": url}}]}]},
        {"messages": [{"role": "user", "content": [{"type": "image", "source": {"type": "url", "url": url}}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_image", "image_url": url}]}]},
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": url}]}]},
        {"tools": [{"type": "mcp", "server_label": "x", "server_url": url}]},
        {"mcp_servers": [{"type": "url", "url": url}]},
        {"system": [[[{"source": {"url": url}}]]]},
    ]


@pytest.mark.parametrize("url", PRIVATE)
def test_a_url_that_is_not_public_is_refused_wherever_it_stands(url: str) -> None:
    for body in shapes(url):
        with pytest.raises(BadRequest) as caught:
            check_outbound_urls(body)
        assert caught.value.param


@pytest.mark.parametrize("url", PUBLIC)
def test_public_urls_data_and_file_ids_pass(url: str) -> None:
    for body in shapes(url):
        check_outbound_urls(body)


@pytest.mark.parametrize("url", [PRIVATE[0], " " * 64 + PRIVATE[0]])
def test_a_list_of_urls_is_judged_like_one(url: str) -> None:
    with pytest.raises(BadRequest):
        check_outbound_urls({"messages": [{"role": "user", "content": [{"image_url": ["data:,x", url]}]}]})


@pytest.mark.parametrize("letter", ["\u4e00", "\u0301", "\ufdfa", "a.", "xn--", "\u3002", "1.", "[", "%"])
def test_a_host_is_measured_before_it_is_decoded(letter: str, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    normalized = unicodedata.normalize

    def measured(form: str, text: str) -> str:
        seen.append(len(text))
        return normalized(form, text)  # type: ignore[arg-type]

    monkeypatch.setattr(unicodedata, "normalize", measured)
    with pytest.raises(BadRequest):
        check_outbound_urls(shapes("https://" + letter * (8_000 // len(letter)) + ".com/")[0])
    assert max(seen, default=0) <= 300


def test_text_and_schemas_may_speak_of_any_address() -> None:
    local = "http://localhost:3000/"
    check_outbound_urls(
        {
            "messages": [
                {"role": "user", "content": local},
                {"role": "user", "content": [{"type": "text", "text": local}]},
                {"role": "assistant", "content": [{"type": "tool_use", "name": "get", "input": {"url": local}}]},
                {"role": "assistant", "tool_calls": [{"function": {"name": "get", "arguments": local}}]},
            ],
            "tools": [
                {"type": "function", "function": {"name": "get", "parameters": {"properties": {"url": {"url": local}}}}}
            ],
        }
    )


def test_a_megabyte_of_data_is_judged_by_its_beginning() -> None:
    check_outbound_urls(shapes("data:image/png;base64," + "A" * 1_000_000)[0])
    check_outbound_urls(shapes("A" * 1_000_000)[0])
    with pytest.raises(BadRequest, match="longer"):
        check_outbound_urls(shapes("https://example.com/" + "a" * 1_000_000)[0])


def test_a_long_name_is_not_copied_for_every_value_under_it() -> None:
    # Given a name of a mebibyte over 9,000 objects, whose paths together would be 9 GiB
    body = {"messages": [{"k" * 2**20: [{"url": "file-x"} for _ in range(9_000)]}]}
    tracemalloc.start()
    # When the URLs are looked for
    check_outbound_urls(body)
    _, most_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # Then no more than a few copies of that name have been made
    assert most_bytes < 8 * 2**20


def test_who_may_name_every_file_may_embed_it_and_nothing_beside_it() -> None:
    models = [Model("m", "gemini/gemini-embedding-2-preview")]
    check_embedded(["files/abc-1", "a text"], models, may_use_all=True)
    for text in ("files/../cachedContents/abc", "gs://bucket/a.png", "files/abc?x=1"):
        with pytest.raises(BadRequest):
            check_embedded([text], models, may_use_all=True)


def test_of_models_that_may_serve_one_that_reads_objects_is_enough() -> None:
    text, other = Model("t", "openai/text-embedding-3-small"), Model("o", "vertex_ai/multimodalembedding")
    check_embedded("gs://bucket/a.png", [text], may_use_all=False)
    with pytest.raises(BadRequest):
        check_embedded("gs://bucket/a.png", [text, other], may_use_all=False)
