"""The door: verbs, exit codes, errors in words."""

import io
import os
import sys
import traceback
from collections.abc import Callable
from typing import Annotated, Any

import typer

from gonogo import __version__
from gonogo.errors import GonogoError

USAGE, INTERNAL, INTERRUPTED = 2, 3, 130

app = typer.Typer(
    help="Is this PyTorch training run ready to launch? GO, NO-GO or HOLD, measured.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"gonogo {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Show it.")] = False,
) -> None:
    """Exit codes: 0 GO, 1 NO-GO, 2 usage or profile error, 3 internal error, 4 HOLD, 5 nothing selected."""


def main() -> None:
    """Run the command line; every error becomes a sentence and an exit code."""
    _open_standard_streams()
    if isinstance(sys.stdout, io.TextIOWrapper):  # what a locale cannot encode must not cost the answer
        sys.stdout.reconfigure(errors="replace")
    from gonogo.cli import env, explain, judge, new, plan, report, run, selftest, show, size, study, train, watch

    for verb in (
        run.run,
        watch.watch,
        size.size,
        plan.plan,
        show.show,
        explain.explain,
        judge.judge,
        report.report,
        selftest.selftest,
        study.study,
        train.train,
    ):
        # What follows the command to watch is its own, also where `--` was left out.
        settings = {"allow_interspersed_args": verb is not watch.watch}
        app.command("list" if verb is show.show else None, context_settings=settings)(verb)
    app.add_typer(new.app, name="new")
    app.command()(env.env)
    sys.exit(guarded(lambda: app(standalone_mode=False)))


def _open_standard_streams() -> None:
    """Descriptors 0 to 2 that were closed (`>&-`) lead nowhere; else the next file or pipe would become stdout."""
    while (descriptor := os.open(os.devnull, os.O_RDWR)) <= 2:
        pass
    os.close(descriptor)


def guarded(action: Callable[[], Any]) -> int:
    """The exit code of an action; nothing escapes as a traceback unless -v or GONOGO_DEBUG asks for it."""
    verbose = "-v" in sys.argv or bool(os.environ.get("GONOGO_DEBUG"))
    try:
        code = action()
        return code if isinstance(code, int) else 0
    except typer.Exit as done:
        return done.exit_code
    except GonogoError as error:
        return _failed(str(error), USAGE, verbose)
    except OSError as error:
        where = f"{error.filename}: " if error.filename else ""
        return _failed(f"{where}{error.strerror or error}; nothing that was measured before is lost", USAGE, verbose)
    except KeyboardInterrupt:
        return _failed("interrupted", INTERRUPTED, verbose)
    except Exception as error:
        if hasattr(error, "exit_code") and hasattr(error, "format_message"):  # a usage error of the parser
            return _failed(f"{error.format_message()} `gonogo --help` shows what there is.", USAGE, verbose)  # type: ignore[attr-defined]
        text = f"internal error, not your fault: {type(error).__name__}: {error}. Repeat with -v and report it."
        return _failed(text, INTERNAL, verbose)


def _failed(text: str, code: int, verbose: bool) -> int:
    from gonogo.core.redact import redact

    if verbose:
        traceback.print_exc()
    print(f"gonogo: {redact(text)}", file=sys.stderr)
    return code


if __name__ == "__main__":
    main()
