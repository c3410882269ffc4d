"""The errors of the laptop's side, each with a hint and the contract's exit code.

CliError
├── CheckFailed       1   the run or the check failed
├── UsageProblem      2   the command cannot do what you typed
│   └── ConfigError       the configuration is missing, unreadable or impossible
└── CloudError        4   no offer, no credentials, no instance
"""

from fintts_store.output.redaction import without_secrets


class CliError(Exception):
    """`message` says in one sentence what went wrong, `hint` what to do about it.

    Secrets in them, for example from a library's message, are removed.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)
        self.exit_code = exit_code


class CheckFailed(CliError):
    """A check failed, or a run did."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=1)


class UsageProblem(CliError):
    """The command cannot do what the user typed."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=2)


class ConfigError(UsageProblem):
    """A setting is missing, unknown or out of range, or its file cannot be read."""


class CloudError(CliError):
    """The cloud, or another place to train, refused or does not know the run."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=4)


def refuse_empty(name: str, text: str) -> None:
    """Raises ConfigError for a variable that is set but empty."""
    if not text.strip():
        raise ConfigError(f"{name} is set but empty", f"give it a value, or `unset {name}`")
