"""`hactl completion`: the script with which a shell completes hactl's commands, options and names."""

from __future__ import annotations

import click


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
@click.pass_context
def command(ctx: click.Context, shell: str) -> None:
    r"""Print the script that lets SHELL complete commands, options, nodes, health codes and faults.

    Node names come from the spec that the command would use; nothing is asked over the network.

    \b
    Examples:
      hactl completion bash >/etc/bash_completion.d/hactl
      hactl completion zsh >"${fpath[1]}/_hactl"
      hactl completion fish >~/.config/fish/completions/hactl.fish
    """
    from click.shell_completion import get_completion_class

    kind = get_completion_class(shell)
    if kind is None:
        raise click.BadParameter(shell)
    # The script alone; click's own `source` of bash also runs bash, to look how old it is.
    script = kind(ctx.find_root().command, {}, "hactl", "_HACTL_COMPLETE")
    click.echo(script.source_template % script.source_vars())
