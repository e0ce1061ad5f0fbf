"""Every field of an account or key is exported, or excluded on purpose."""

import pytest
import tomli_w

from herod.credentials.imported_secret_hashes import ImportedHash, hash_key_id
from herod.credentials.passwords import hash_password
from herod.maintenance.accounts_file_field_checks import hash_text
from herod.maintenance.accounts_file_parser import FORMAT, parse_entries
from herod.records import Account, ApiKey
from herod_client.core.scope_graph import ScopeGraph

KEY = "A" * 12
HASH_KEY = bytes(32)
HASH = hash_text(ImportedHash(hash_key_id(HASH_KEY), bytes(32), is_of_sha256=False))
SAMPLES = {
    "client_id": "ada", "id": KEY, "created_at": 1, "email": "ada@example.org", "name": "Ada", "scope": "read",
    "networks": ["*"], "enabled": True, "owner": "ada", "creator": "ada", "expires_at": 2**31,
    "secret_hash": HASH, "client_secret_hash": HASH, "password_hash": hash_password("correct horse battery"),
}  # fmt: skip


@pytest.mark.parametrize("record_type", [Account, ApiKey])
def test_every_field_is_named(record_type: type[Account | ApiKey]) -> None:
    """Each field has a column in the file, or None and the reason."""
    assert set(record_type.columns) == set(record_type.__struct_fields__)


@pytest.mark.parametrize(("record_type", "table"), [(Account, "users"), (ApiKey, "keys")])
def test_every_column_is_read(record_type: type[Account | ApiKey], table: str) -> None:
    """The import reads every column that the export writes."""
    columns = [column for column in record_type.columns.values() if column is not None]
    row = {column: SAMPLES[column] for column in columns}
    users = [{"client_id": "ada", "name": "Ada"}] if table == "keys" else []
    content = tomli_w.dumps(
        {"format": FORMAT, "hash_keys": [{"key": HASH_KEY.hex()}], "users": users, table: [row]}
    ).encode()
    assert parse_entries(content, ScopeGraph(), now=10).unread == ()
