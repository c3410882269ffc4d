"""Limits on a record's size, numbers, moments and texts.

A record from the store is input from outside: one beyond these limits is damaged. They are far
above what fintts writes. `layout` gives each file's limit in bytes.
"""

from datetime import UTC, datetime

KIB = 1024
MIB = 1024 * KIB

RECORD_BYTES = 512 * KIB
"""run.json, a revision, status.json, result.json, a manifest and every other JSON record"""
METRICS_PART_BYTES = 4 * MIB
METRICS_BYTES = 32 * MIB
"""all parts of a run together"""
METRICS_ROWS = 50_000
"""a row takes 1 to 4 KB of memory"""
ROW_VALUES = 64
SAMPLE_BYTES = 32 * MIB
"""a WAV file: a minute at 192 kHz"""
SENTENCES = 40
SAMPLES = 20_000
"""of a run"""
LOG_BYTES = 4 * MIB
"""the end of each log"""
LOGS = 20
"""the newest"""
DOCUMENT_BYTES = 4 * MIB
"""a small text file of a base model, such as config.json, README.md or LICENSE"""
STATE_BYTES = 64 * MIB
"""trainer_state.json of a checkpoint, with the random state of every process"""
PACK_HEADER_BYTES = MIB
SETTINGS_BYTES = 256 * KIB
"""fintts.yaml, and a task's YAML"""
TOKENIZER_BYTES = 64 * MIB
"""tokenizer.json and other large JSON files of a base model on the disk"""

PAGE_BYTES = 16 * MIB
"""an S3 document, such as a page of a listing: 1,000 keys of 1,024 bytes, each byte as three
characters, with their attributes"""
KEYS = 500_000
"""of one listing; they take 150 MB of memory"""
EMPTY_PAGE_KEYS = 1_000
"""what a page without keys counts as"""

JSON_NODES = 5_000
"""values in a configuration or an estimate, at any depth"""
YAML_DEPTH = 32

STEPS = 999_999_999
"""a commit's name has nine digits for the step"""
CLAIMS = 999_999
LAUNCHES = 999_999
COUNT = 10**15
"""samples, frames, utterances"""
FILE_BYTES = 10**14
FILES = 10_000
"""of a base model, an adapter or a checkpoint"""
RENTALS = 200
LAUNCHES_READ = 1_000
"""of one run"""
MISSING_LAUNCHES = 100
"""below a valid one; some may have been deleted"""
SIGHTINGS = 500
"""of one launch; a spot run writes two per instance"""
KEPT_STEPS = 10_000
SECONDS = 1e9
RESERVE_SECONDS = 86_400
VALUE = 1e39
"""a loss; 32-bit floating-point numbers end below it"""
HOURLY_RATE_USD = 100_000
USD = 10**9
DECIMAL_DIGITS = 60
DECIMAL_EXPONENTS = range(-60, 20)

FIRST_MOMENT = datetime(1970, 1, 1, tzinfo=UTC)
LAST_MOMENT = datetime(2200, 1, 1, tzinfo=UTC)
"""far below Python's last moment, where adding days fails"""

NAME_CHARACTERS = 1_000
"""a version, a digest, a GPU, a place"""
MESSAGE_CHARACTERS = 2_000
"""a longer message is cut"""
