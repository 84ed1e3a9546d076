"""The `samenloop` command: it parses, calls one plain function per command and turns its errors into exit codes."""

from samenloop_deploy.cli.main import main

__all__ = ["main"]
