"""`python -m tests.clients.table` writes the table of docs/clients.md from the catalogue and the locks."""

from tests.clients.catalogue import CLIENTS, Client
from tests.clients.environments import ROOT

DOCUMENT = ROOT / "docs" / "clients.md"
BEGIN, END = "<!-- generated: begin -->", "<!-- generated: end -->"


def table() -> str:
    """All clients with version and checks, then how each is set up."""
    rows = [f"| {c.name} | `{c.package}` {c.version} | {', '.join(c.checks)} |" for c in CLIENTS]
    return "\n".join(
        ("| client | package | tried |", "|---|---|---|", *rows, "", *(line for c in CLIENTS for line in _set_up(c)))
    )


def _set_up(client: Client) -> tuple[str, ...]:
    shown = {"url": "http://localhost:4000", "key": "<your key>", "model": "scalix-engine", "home": "~", "bin": ""}
    lines = [f"{name}={text.format(**shown)}" for name, text in client.environment.items()]
    commands = [text.replace("{bin}/", "").format(**shown) for text in (client.command, client.task) if text]
    text = "\n".join((*lines, *commands)) if commands else client.set_up
    blocks = [f"**{client.name}**", ""]
    for name, content in client.files.items():
        blocks += [f"`~/{name}`:", "", "```", content.format(**shown).rstrip(), "```", ""]
    return (*blocks, "```", text, "```", "")


def main() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    before, after = text.partition(BEGIN)[0], text.partition(END)[2]
    DOCUMENT.write_text(f"{before}{BEGIN}\n{table()}\n{END}{after}", encoding="utf-8")


if __name__ == "__main__":
    main()
