"""`rom serve`: a model behind HTTP."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Annotated, Any

import typer

from rom.cli.launch import Verbose, guard
from rom.cli.options import CaseOption, ModelFile
from rom.cli.questions import open_model

app = typer.Typer()


@app.command("serve", epilog="Example: rom serve model.h5 --port 8000")
@guard
def serve_command(
    model: ModelFile,
    *,
    host: Annotated[
        str, typer.Option(help="An address of this machine; 0.0.0.0 lets others in, unasked.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="0 takes a free one.")] = 8000,
    case: CaseOption = None,
    verbose: Verbose = False,
) -> None:
    """Answers in JSON over HTTP, until it is interrupted.

    GET / says what the model asks; POST /predict answers {"mu": {"k": 2}, "fields": {"T": [0]}}.
    """
    from rom.deploy.service import model_server

    machine, _, _ = open_model(model, case)
    with model_server(machine, host, port) as server:
        for kind in (signal.SIGINT, signal.SIGTERM):
            signal.signal(kind, lambda *_: _stop(server))
        sys.stdout.write(f"{server.url} answers questions to {model}; Ctrl-C ends it\n")
        sys.stdout.flush()
        server.serve_forever()


def _stop(server: Any) -> None:
    """Ends the loop from outside of it."""
    threading.Thread(target=server.shutdown).start()
