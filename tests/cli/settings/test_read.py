"""Settings: precedence, places, and one clear sentence for everything that is wrong in them."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fintts_cli.errors import ConfigError
from fintts_cli.settings.model import ForecastConfig, LaunchConfig, Settings
from fintts_cli.settings.read import ReadSettings, known_keys, read_settings
from fintts_cli.workplace.state_folder import state_directory
from fintts_inputs.config import RunConfig


def read(
    folder: Path,
    text: str | None = None,
    options: dict[str, object] | None = None,
    environment: dict[str, str] | None = None,
) -> ReadSettings:
    if text is not None:
        (folder / "fintts.yaml").write_text(text)
    return read_settings(options or {}, environment=environment or {}, folder=folder)


def refused(folder: Path, text: str, **given: dict[str, str]) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        read(folder, text, environment=given.get("environment"))
    return caught.value


def test_settings_are_the_runs_and_the_laptops_and_the_forecast() -> None:
    expected = set(RunConfig.model_fields) | set(LaunchConfig.model_fields) | {"forecast"}
    assert set(Settings.model_fields) == expected
    assert {f"forecast.{name}" for name in ForecastConfig.model_fields} <= set(known_keys())


def test_defaults_are_those_of_the_reference_run(own_folder: Path) -> None:
    settings = read(own_folder).settings
    assert settings.training.batch_size == 8
    assert settings.gpus == "A100-80GB:1"
    assert settings.budget_usd is None


def test_an_option_wins_over_a_variable_over_the_file_over_the_user_file(
    own_folder: Path, tmp_path: Path
) -> None:
    user_file = tmp_path / "config" / "fintts" / "config.yaml"
    user_file.parent.mkdir(parents=True)
    user_file.write_text("training: {batch_size: 1, max_steps: 1, seed: 1, warmup_steps: 1}\n")
    project = "training: {batch_size: 2, max_steps: 2, seed: 2}\n"
    variables = {"FINTTS_TRAINING__BATCH_SIZE": "3", "FINTTS_TRAINING__MAX_STEPS": "3"}
    found = read(own_folder, project, {"training.batch_size": 4}, variables)
    training = found.settings.training
    assert (training.batch_size, training.max_steps, training.seed, training.warmup_steps) == (
        4,
        3,
        2,
        1,
    )
    assert found.origins["training.batch_size"] == "option"
    assert found.origins["training.max_steps"] == "FINTTS_TRAINING__MAX_STEPS"
    assert found.origins["training.seed"] == "fintts.yaml:1"
    assert found.origins["training.warmup_steps"] == "config.yaml:1"


def test_an_option_that_was_not_typed_leaves_the_file_alone(own_folder: Path) -> None:
    found = read(own_folder, "budget_usd: 7.10\n", {"budget_usd": None})
    assert found.settings.budget_usd == Decimal("7.1")


def test_the_file_is_found_upwards_and_its_paths_start_at_its_folder(own_folder: Path) -> None:
    below = own_folder / "a" / "b"
    below.mkdir(parents=True)
    (own_folder / "fintts.yaml").write_text("data: speech\nbase_model: /models/base\nstore: ../s\n")
    settings = read_settings({}, environment={}, folder=below).settings
    assert settings.data == own_folder / "speech"
    assert settings.base_model == Path("/models/base")
    assert settings.store == str(own_folder.parent / "s")


def test_paths_in_options_and_variables_start_at_the_current_folder(own_folder: Path) -> None:
    below = own_folder / "below"
    below.mkdir()
    (own_folder / "fintts.yaml").write_text("data: speech\n")
    found = read_settings(
        {"store": "runs"}, environment={"FINTTS_BASE_MODEL": "base"}, folder=below
    ).settings
    assert found.store == str(below / "runs")
    assert found.base_model == below / "base"


def test_a_store_that_is_no_folder_is_left_as_it_is(own_folder: Path) -> None:
    assert read(own_folder, "store: s3://bucket/prefix\n").settings.store == "s3://bucket/prefix"


def test_a_variable_names_another_file(own_folder: Path) -> None:
    (own_folder / "other.yaml").write_text("gpus: H100:1\n")
    found = read(own_folder, "gpus: A100-80GB\n", environment={"FINTTS_CONFIG": "other.yaml"})
    assert found.settings.gpus == "H100:1"


def test_a_list_in_a_variable_is_separated_by_commas(own_folder: Path) -> None:
    found = read(own_folder, environment={"FINTTS_LORA__TARGETS": "attention, mlp"})
    assert found.settings.lora.targets == ("attention", "mlp")


def test_a_misspelt_variable_is_warned_about(own_folder: Path) -> None:
    found = read(
        own_folder,
        environment={
            "FINTTS_BUDGET": "5",
            "FINTTS_STATE_DIR": "/x",
            "FINTTS_DEBUG": "1",
        },
    )
    assert found.warnings == [
        "FINTTS_BUDGET is not a setting and is ignored; did you mean FINTTS_BUDGET_USD?"
    ]


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("Local", "local"),
        ("LOCAL ", "local"),
        (" aws", "aws"),
        ("aws/us-east-1/us-east-1a", "aws/us-east-1/us-east-1a"),
        ("*/us-east-1", "*/us-east-1"),
        (
            "k8s/arn:aws:eks:eu-north-1:1:cluster/speech",
            "k8s/arn:aws:eks:eu-north-1:1:cluster/speech",
        ),
    ],
)
def test_a_place_is_what_was_meant(own_folder: Path, typed: str, meant: str) -> None:
    """`Local` for a cloud of that name would leave this machine."""
    assert read(own_folder, environment={"FINTTS_INFRA": typed}).settings.infra == meant


def test_any_is_no_cloud(own_folder: Path) -> None:
    with pytest.raises(ConfigError, match="leave infra out for any cloud"):
        read(own_folder, environment={"FINTTS_INFRA": "any"})


@pytest.mark.parametrize(
    ("text", "said", "hint"),
    [
        ("name: A b\n", "name should be 1 to 40 of the characters a to z, 0 to 9", "use a name"),
        (f"name: {'a' * 41}\n", "name should be 1 to 40 of the characters", "use a name"),
        ("budget_usd: 0\n", "budget_usd should be greater than 0", "an amount in dollars"),
        ("instance_role_arn: mine\n", "should be the ARN of a role", "arn:aws:iam::ACCOUNT"),
    ],
)
def test_a_rule_is_said_in_words_with_a_hint_for_its_key(
    own_folder: Path, text: str, said: str, hint: str
) -> None:
    error = refused(own_folder, text)
    assert said in error.message
    assert "pattern" not in error.message
    assert hint in error.hint


@pytest.mark.parametrize(
    "typed", ["aws/", "/us-east-1", "aws//a", "$5", "aws us-east-1", "aws,gcp", "aws/us-east-1/a/b"]
)
def test_what_is_no_place_is_refused_before_it_is_priced(own_folder: Path, typed: str) -> None:
    with pytest.raises(ConfigError, match=r"infra: .* is neither local nor a cloud as CLOUD"):
        read(own_folder, environment={"FINTTS_INFRA": typed})


def test_an_empty_file_and_an_empty_section_are_defaults(own_folder: Path) -> None:
    found = read(own_folder, "")
    assert found.settings == Settings()
    assert "sets nothing, so every setting has its default" in found.warnings[0]
    assert read(own_folder, "forecast:\ntraining:\n  # nothing\n").settings == Settings()


@pytest.mark.parametrize("source", ["option", "variable", "file"])
def test_a_malformed_address_is_no_folder(own_folder: Path, source: str) -> None:
    """A slash too few must not put a run's checkpoints into a folder called `s3:`."""
    (own_folder / "fintts.yaml").write_text("store: s3:/bucket\n" if source == "file" else "")
    environment = {"FINTTS_STORE": "s3:/bucket"} if source == "variable" else {}
    options = {"store": "s3:/bucket"} if source == "option" else {}
    found = read_settings(options, environment=environment, folder=own_folder)
    assert found.settings.store == "s3:/bucket"


@pytest.mark.parametrize(
    ("text", "sentence", "hint"),
    [
        (
            "training:\n  batchsize: 4\n",
            "fintts.yaml:2: unknown key training.batchsize",
            "batch_size",
        ),
        ("batch_size: 4\n", "fintts.yaml:1: unknown key batch_size", "training.batch_size"),
        ("Batch-Size: 4\n", "fintts.yaml:1: unknown key Batch-Size", "training.batch_size"),
        ("Training:\n  seed: 4\n", "fintts.yaml:1: unknown key Training", "mean training for"),
        ("nonsense: {}\n", "fintts.yaml:1: unknown key nonsense", "fintts init"),
        ("spot: true\non: 1\n", "fintts.yaml:2: unknown key on", ""),
        ("gpus: A100-80GBB\n", "gpus", "A100-80GB"),
        ("gpus: 24GB:2\n", "no accelerator named '24GB'", "did you mean 24GB+?"),
        ("gpus: A100-80GB:0\n", "the number of GPUs is 1 to 64", ""),
        ("gpus: A100-80GB:many\n", "the number of GPUs is 1 to 64", ""),
        ("gpus: 'A100-80GB,'\n", "a GPU name is missing next to a comma", ""),
        ("name: Not OK\n", "name should be 1 to 40 of", ""),
        (
            "early_stopping: {patience: 0}\n",
            "early_stopping.patience should be greater than or equal to 1, but is 0"
            " (fintts.yaml:1)",
            "fintts init",
        ),
        ("training:\n  max_steps: -5\n", "but is -5 (fintts.yaml:2)", ""),
        ("training: {warmup_steps: 1000000000000}\n", "less than or equal to 1000000000", ""),
        ("budget_usd: -1\n", "budget_usd should be greater than or equal to 0", ""),
        ("budget_usd: 0\n", "budget_usd should be greater than 0", ""),
        ("lora: {targets: [mlp, mlp]}\n", "lora: name each target once", ""),
        ("lora: {targets: [mlp, head]}\n", "lora.targets should be 'attention'", ""),
        ("validation: {fraction: 1.0}\n", "validation.fraction should be less than 1", ""),
    ],
)
def test_what_is_wrong_in_a_file_is_one_sentence_with_its_line(
    own_folder: Path, text: str, sentence: str, hint: str
) -> None:
    error = refused(own_folder, text)
    assert sentence in error.message
    assert "\n" not in error.message
    assert hint in error.hint
    assert error.exit_code == 2


def test_several_wrong_values_are_all_named(own_folder: Path) -> None:
    error = refused(own_folder, "lora: {rank: 0}\ntraining: {batch_size: 0}\n")
    assert "lora.rank" in error.message
    assert "training.batch_size" in error.message


def test_a_wrong_variable_is_named(own_folder: Path) -> None:
    error = refused(own_folder, "", environment={"FINTTS_TRAINING__MAX_STEPS": "many"})
    assert "but is `many`, a text (FINTTS_TRAINING__MAX_STEPS)" in error.message


@pytest.mark.parametrize("name", ["FINTTS_BUDGET_USD", "FINTTS_STORE", "FINTTS_CONFIG"])
@pytest.mark.parametrize("text", ["", " "])
def test_a_variable_that_is_set_to_nothing_is_refused(
    own_folder: Path, name: str, text: str
) -> None:
    """A budget that a script lost must not become no budget."""
    error = refused(own_folder, "spot: true\n", environment={name: text})
    assert error.message == f"{name} is set but empty"
    assert name in error.hint


def test_an_empty_state_folder_is_refused(
    own_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FINTTS_STATE_DIR", "")
    with pytest.raises(ConfigError, match="FINTTS_STATE_DIR is set but empty"):
        state_directory()


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("FINTTS_TRAINING__LEARNING_RATE", "yes", "`yes`, a text"),
        ("FINTTS_TRAINING__MAX_STEPS", "1_0", "`1_0`, a text"),
        ("FINTTS_TRAINING__MAX_STEPS", "１０", "`１０`, a text"),
        ("FINTTS_TRAINING__MAX_STEPS", "2.5", "which has a fraction"),
        ("FINTTS_TRAINING__LEARNING_RATE", "nan", "`nan`, a text"),
        ("FINTTS_TRAINING__LEARNING_RATE", "1e999", "not finite"),
        ("FINTTS_BUDGET_USD", "1_0.5", "`1_0.5`, a text"),
        ("FINTTS_BUDGET_USD", "null", "`null`, a text"),
        ("FINTTS_SPOT", "1", "`1`, a number"),
        ("FINTTS_LORA__TARGETS", "mlp,,heads", "has an empty item"),
        ("FINTTS_STORE", "a\nb", "a control character or a line break"),
        ("FINTTS_DATA", "\udce4", "not UTF-8"),
    ],
)
def test_a_variable_means_what_the_file_would(
    own_folder: Path, name: str, text: str, said: str
) -> None:
    error = refused(own_folder, "spot: true\n", environment={name: text})
    assert said in error.message
    assert f"({name})" in error.message


def test_numbers_and_truth_come_from_a_variable(own_folder: Path) -> None:
    variables = {
        "FINTTS_TRAINING__MAX_STEPS": "010",
        "FINTTS_TRAINING__LEARNING_RATE": "1e-3",
        "FINTTS_SPOT": "true",
        "FINTTS_BUDGET_USD": "7.10",
    }
    settings = read(own_folder, environment=variables).settings
    assert (settings.training.max_steps, settings.training.learning_rate) == (10, 0.001)
    assert (settings.spot, settings.budget_usd) == (True, Decimal("7.1"))


def test_a_file_that_is_not_there_is_named(own_folder: Path) -> None:
    with pytest.raises(
        ConfigError, match=r"the configuration file .*missing\.yaml does not exist"
    ) as caught:
        read_settings({}, config=Path("missing.yaml"), environment={}, folder=own_folder)
    assert "fintts init" in caught.value.hint


def test_a_file_that_is_no_text_is_named(own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_bytes(b"\xff\xfe\x00data")
    with pytest.raises(ConfigError, match="is text in UTF-16"):
        read(own_folder)


def test_a_run_needs_data_and_a_base_model(own_folder: Path) -> None:
    with pytest.raises(ConfigError, match="data and base_model are not set") as caught:
        read(own_folder).settings.run_config()
    assert "fintts init" in caught.value.hint
    config = read(own_folder, "data: d\nbase_model: m\nlora: {rank: 4}\n").settings.run_config()
    assert config.lora.rank == 4
    assert config.data == own_folder / "d"


def test_a_wrong_place_of_a_list_is_said_once(own_folder: Path) -> None:
    (own_folder / "fintts.yaml").write_text("lora: {targets: [attn]}\n")
    with pytest.raises(ConfigError) as caught:
        read_settings({}, environment={}, folder=own_folder)
    assert caught.value.message.startswith("lora.targets should be 'attention'")
    assert ";" not in caught.value.message


@pytest.mark.parametrize(
    ("written", "value"), [("auto", "auto"), ("true", True), ("no-such", None), ("maybe", None)]
)
def test_compile_takes_a_word_beside_true_and_false(
    own_folder: Path, written: str, value: object
) -> None:
    (own_folder / "fintts.yaml").write_text(f"training: {{compile: {written}}}\n")
    if value is not None:
        assert read_settings({}, folder=own_folder).settings.training.compile == value
        return
    sentence = r"training.compile takes true, false or auto, but"
    with pytest.raises(ConfigError, match=sentence) as caught:
        read_settings({}, folder=own_folder)
    assert caught.value.hint == "write true, false or auto"


def patterned(schema: dict[str, Any], prefix: str = "") -> Iterator[str]:
    """The keys below this part of a schema whose text has to match a pattern."""
    for name, found in schema.get("properties", {}).items():
        choices = [found, *found.get("anyOf", ())]
        if any("pattern" in choice for choice in choices):
            yield prefix + name
        for choice in choices:
            yield from patterned(SCHEMA["$defs"].get(choice.get("$ref", "")[8:], {}), f"{name}.")


SCHEMA = Settings.model_json_schema()


@pytest.mark.parametrize("key", list(patterned(SCHEMA)))
def test_a_text_of_another_shape_gets_a_sentence(own_folder: Path, key: str) -> None:
    section, _, name = key.rpartition(".")
    error = refused(own_folder, f"{section}: {{{name}: '?'}}\n" if section else f"{name}: '?'\n")
    assert error.message.startswith(f"{key} should be ")
    assert "pattern" not in error.message
    assert error.hint != "`fintts init` writes a file that explains every key"


def test_the_search_finds_texts_of_a_shape() -> None:
    assert {"name", "eval.language"} <= set(patterned(SCHEMA))
