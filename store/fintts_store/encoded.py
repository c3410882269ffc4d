"""What instances have encoded from recordings: the codes by part, and the data sets made of them.

Parts lie there as soon as they are encoded, under their SHA-256. A data set counts once its record
exists, which is created last and once: of two runs that encode the same, the second one takes the
first one's data set. What is read here is input from outside: it counts only if names, sizes and
digests agree.
"""

from collections import defaultdict
from dataclasses import dataclass

from fintts_store import layout
from fintts_store.errors import InvalidRecord, KeyExists, KeyNotFound
from fintts_store.runs.limits import RECORD_BYTES
from fintts_store.runs.run_record import EncodedRecord, RecordingsRef
from fintts_store.store import Store


@dataclass(frozen=True, slots=True)
class StoredPart:
    """The codes of a part, which no one has read yet."""

    key: str
    number: int
    sha256: str
    size_bytes: int


def stored_parts(store: Store, prefix: str) -> dict[int, list[StoredPart]]:
    """The parts below a prefix by their numbers; two versions of one may differ in a few codes."""
    found: defaultdict[int, list[StoredPart]] = defaultdict(list)
    for entry in store.list(prefix):
        part = layout.part_of(entry.key.removeprefix(prefix))
        if part is not None:
            found[part[0]].append(StoredPart(entry.key, *part, entry.size_bytes))
    return dict(found)


def find_encoded(store: Store, recordings: RecordingsRef) -> EncodedRecord | None:
    """The data set that these recordings were made into; None if there is none, or if its record or
    its file is not as it should be."""
    prefix, texts = recordings.encoded, recordings.texts.sha256
    key = layout.encoded_commit_key(prefix, texts)
    try:
        found = EncodedRecord.load(store.get(key, RECORD_BYTES), f"{store.url}/{key}")
    except (KeyNotFound, InvalidRecord):
        return None
    data = found.dataset
    is_theirs = (
        found.texts_sha256 == texts
        and found.codec == recordings.codec
        and data.utterances == recordings.utterances
        and data.key == layout.encoded_dataset_key(prefix, data.sha256)
    )
    return found if is_theirs and _is_there(store, data.key, data.size_bytes) else None


def commit_encoded(store: Store, recordings: RecordingsRef, record: EncodedRecord) -> EncodedRecord:
    """Records a data set whose file is in the store; returns the one that counts, which is another
    run's if that was first.

    Raises:
        StoreError: the store cannot be written.
    """
    key = layout.encoded_commit_key(recordings.encoded, recordings.texts.sha256)
    try:
        store.create(key, record.dump().encode())
    except KeyExists:
        first = find_encoded(store, recordings)
        if first is not None:
            return first
        store.put(key, record.dump().encode())  # what lies there is damaged
    return record


def _is_there(store: Store, key: str, size_bytes: int) -> bool:
    return any(each.key == key and each.size_bytes == size_bytes for each in store.list(key))
