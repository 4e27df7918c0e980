"""Where a gateway's files are unless a setting says otherwise, and the commands that messages name.

In a checkout of the project these are its own directory and its scripts. Installed by pip there is no such directory:
the files are in the one that the command was called in, and the command is `scalix`. Standard library only.
"""

from pathlib import Path

CODE = Path(__file__).resolve().parent.parent.parent
START_SCRIPT = "start_scalix_litellm.py"
IN_CHECKOUT = (CODE / START_SCRIPT).is_file()
HOME = CODE if IN_CHECKOUT else Path.cwd()
HOW_TO_START = "`make run` or `python start_scalix_litellm.py`" if IN_CHECKOUT else "`scalix start`"
EXAMPLES = ("litellm_proxy_config.yaml", "scalix_config.env.example")


def example(name: str) -> Path:
    """The file of `EXAMPLES` as it is shipped: beside the scripts, or within the installed package."""
    return CODE / name if IN_CHECKOUT else Path(__file__).resolve().parent / "shipped" / name
