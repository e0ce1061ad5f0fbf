"""`herod completion`: prints a shell completion script."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from herod_cli.click_base_classes import HerodCommand
from herod_cli.shared.output import print_lines

__all__ = ["completion"]

INSTALL: Final = {
    "bash": "herod completion bash > ~/.local/share/bash-completion/completions/herod",
    "zsh": "herod completion zsh > ~/.zfunc/_herod, with fpath+=~/.zfunc before compinit in ~/.zshrc",
    "fish": "herod completion fish > ~/.config/fish/completions/herod.fish",
}


@click.command(
    cls=HerodCommand,
    asks=False,
    prints=False,
    examples=[
        'eval "$(herod completion bash)"',
        INSTALL["bash"],
        "herod completion zsh > ~/.zfunc/_herod",
        INSTALL["fish"],
    ],
)
@click.argument("shell", type=click.Choice(list(INSTALL)))
def completion(shell: str) -> None:
    """Print a shell completion script.

    The last line of the script says where to install it.
    """
    kind = get_completion_class(shell)
    if kind is None:  # pragma: no cover - click supports all three
        raise click.UsageError(f"click cannot complete for {shell}.")
    script = kind(click.get_current_context().find_root().command, {}, "herod", "_HEROD_COMPLETE")
    # `source()` would run bash to check its version; a bash that is too old reports it when it loads the script.
    print_lines([(script.source_template % script.source_vars()).strip(), f"# Install: {INSTALL[shell]}"])
