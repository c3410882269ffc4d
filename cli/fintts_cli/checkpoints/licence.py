"""The licence of a run's base model, from the small files in the store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from fintts_inputs.base_model.families import parse_shape
from fintts_inputs.base_model.files import CONFIG, DOCUMENTS
from fintts_inputs.base_model.licence import NOT_KNOWN, licence_of
from fintts_inputs.base_model.reading import parse_json
from fintts_inputs.errors import BaseModelProblem
from fintts_store.errors import InvalidRecord, KeyNotFound
from fintts_store.runs.limits import DOCUMENT_BYTES

if TYPE_CHECKING:
    from fintts_inputs.base_model.licence import Licence
    from fintts_store.runs.run_record import RunRecord
    from fintts_store.store import Store


def licence_in_store(store: Store, record: RunRecord) -> Licence:
    """The licence of a run's base model; unknown if the store no longer has the model.

    Raises:
        StoreError: the store cannot be read.
    """
    reference = record.base_model
    names = {file.name for file in reference.files}
    try:
        documents = {
            name: store.get(reference.prefix + name, DOCUMENT_BYTES).decode(errors="replace")
            for name in DOCUMENTS
            if name in names
        }
        key = reference.prefix + CONFIG
        shape = parse_shape(parse_json(store.get(key, DOCUMENT_BYTES), key))
    except (KeyNotFound, InvalidRecord, BaseModelProblem):
        return NOT_KNOWN
    return licence_of(documents, shape)
