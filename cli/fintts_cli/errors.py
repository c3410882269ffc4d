"""What can go wrong on the laptop's side, each with its mend and the exit code of the contract.

CliError
├── CheckFailed       1   the run or the check failed
├── UsageProblem      2   what was typed cannot be done
│   └── ConfigError       the configuration says something impossible
└── CloudError        4   no offer, no credentials, no instance
"""

from fintts_store.redaction import without_secrets


class CliError(Exception):
    """Says in `message` what went wrong, in one sentence, and in `hint` what to do about it.

    Secrets in them, such as a library's message may have, are taken out.
    """

    def __init__(self, message: str, hint: str = "", exit_code: int = 1) -> None:
        self.message = without_secrets(message)
        self.hint = without_secrets(hint)
        super().__init__(self.message)
        self.exit_code = exit_code


class CheckFailed(CliError):
    """Something was looked at and is not as it has to be."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=1)


class UsageProblem(CliError):
    """The command cannot do this as it was asked to."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=2)


class ConfigError(UsageProblem):
    """A setting is missing, unknown or out of range, or its file cannot be read."""


class CloudError(CliError):
    """The place where the task was to run refused, or does not know the run."""

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint, exit_code=4)


def refuse_empty(name: str, text: str) -> None:
    """Raises ConfigError for a variable that is set to nothing."""
    if not text.strip():
        raise ConfigError(f"{name} is set and empty", f"give it a value, or `unset {name}`")
