"""Fixed limits on logs, the feed, caches, the store and the client library, as `fixed_limits.py` describes them."""

from typing import Final

__all__ = ["OF_STORED_DATA"]

OF_STORED_DATA: Final[dict[str, dict[str, str]]] = {
    "Audit log and logs": {
        "kinds of denial with audit rows of their own, in one minute": "herod.pipeline.auditing.denial_queue:MAX_KINDS",
        "the same of one source": "herod.pipeline.auditing.denial_queue:MAX_KINDS_OF_SOURCE",
        "the same of one range of sources": "herod.pipeline.auditing.denial_queue:MAX_KINDS_OF_RANGE",
        "rows of denials in a minute that make room for others": "herod.pipeline.auditing.denial_queue:MAX_FORGOTTEN",
        "audit rows that one principal writes in an hour, except admins; further ones are combined": (
            "herod.pipeline.auditing.audit_recorder:ROWS_OF_PRINCIPAL"
        ),
        "the same of all principals of one source": "herod.pipeline.auditing.audit_recorder:ROWS_OF_SOURCE",
        "the same of all sources of one range": "herod.pipeline.auditing.audit_recorder:ROWS_OF_RANGE",
        "seconds for which further ones are combined": "herod.pipeline.auditing.audit_recorder:COARSE_SECONDS",
        "combined rows in that time that name a principal, of one source": (
            "herod.pipeline.auditing.audit_recorder:LINES_OF_SOURCE"
        ),
        "the same of all sources": "herod.pipeline.auditing.audit_recorder:LINES_OF_ALL",
        "kinds of audit row that are combined at a time": "herod.pipeline.auditing.audit_recorder:MAX_COUNTED",
        "combined audit rows written in one transaction": "herod.pipeline.pipeline:EVENTS_AT_ONCE",
        "audit rows that retention removes in one transaction": "herod.operations.audit.retention:ROWS_AT_ONCE",
        "seconds between two attempts to write an audit file that fails": (
            "herod.audit_copies.copy_to_file:RETRY_SECONDS"
        ),
        "rows looked up in a row for the end of the audit file, before others are served": (
            "herod.audit_copies.copy_to_file:LOOKUPS_AT_ONCE"
        ),
        "bytes of it that are read at once": "herod.audit_copies.audit_file:READ_BYTES",
        "audit rows written to herod's log at once": "herod.audit_copies.copy_to_log:ROWS_AT_ONCE",
        "seconds of waiting for the log, when it has no room for them": "herod.audit_copies.copy_to_log:PAUSE_SECONDS",
        "seconds for the last audit rows to be copied when the daemon stops": (
            "herod.audit_copies.running_copies:LAST_SECONDS"
        ),
        "scans of the whole audit log at a time": "herod.store.sqlite.threaded_audit_scans:SCANS_AT_ONCE",
        "sources of one legacy secret that the audit log names in a day": (
            "herod.pipeline.process.legacy_secret_usage:MAX_SOURCES"
        ),
        "seconds after which uses of legacy secrets are written to the store": (
            "herod.pipeline.process.legacy_secret_usage:FLUSH_SECONDS"
        ),
        "log lines waiting to be written; further ones are dropped and counted": "herod.server.logs:_QUEUE_RECORDS",
        "characters of a message in a log line": "herod.server.logs:_MESSAGE_CHARACTERS",
        "characters of a traceback": "herod.server.logs:_TRACE_CHARACTERS",
        "characters of a path": "herod.server.logs:_PATH_CHARACTERS",
        "characters over which a segment of a path is cut": "herod.server.logs:_SEGMENT_CHARACTERS",
        "seconds for writing the rest of the log when the daemon stops": "herod.server.logs:_CLOSE_SECONDS",
    },
    "Change feed": {
        "requests at a time that wait for the change feed": "herod.pipeline.process.process_state:WAITING",
        "the same from one source": "herod.pipeline.process.process_state:WAITING_OF_SOURCE",
        "the same of one principal": "herod.pipeline.process.process_state:WAITING_OF_PRINCIPAL",
        "seconds that one of them waits, at most": "herod.operations.tokens.change_feed:MAX_WAIT_SECONDS",
        "seconds that a revocation is listed after its token expired": (
            "herod.operations.tokens.feed_entries:KEPT_SECONDS"
        ),
        "deleted records that the feed remembers": "herod.store.sqlite.sqlite_store:KEPT_TOMBSTONES",
        "parts of it kept for all readers until the next commit": "herod.store.sqlite.sqlite_store:KEPT_CHANGES",
        "earlier generations of a store that it remembers": "herod.store.integrity_head:MAX_ANCESTORS",
    },
    "Caches": {
        "records kept in memory": "herod.store.sqlite.sqlite_store:CACHED_RECORDS",
        "bytes of all of these records": "herod.store.record_cache:CACHED_BYTES",
        "sets of a process's groups whose peer rules are kept in memory": "herod.store.record_cache:CACHED_FINDS",
        "bytes of all of these rules": "herod.store.record_cache:CACHED_FINDS_BYTES",
        "characters of an id that is remembered as missing": "herod.store.record_cache:MAX_ID_CHARS",
        "grants kept in memory": "herod.identity.runtime_state:MAX_GRANTS",
        "bytes of all of these grants": "herod.identity.runtime_state:MAX_GRANT_BYTES",
        "verified tokens kept in memory": "herod.identity.verified_token_cache:MAX_VERIFIED",
        "bytes of all of these tokens": "herod.identity.verified_token_cache:MAX_VERIFIED_BYTES",
        "headers of tokens kept in memory": "herod_client.core.access_tokens:_MAX_KNOWN_HEADERS",
        "sets of scopes kept in memory": "herod_client.core.scope_graph:MAX_REMEMBERED",
        "characters of a required scope kept in memory": "herod_client.core.scope_graph:MAX_REMEMBERED_CHARS",
        "Host headers that were accepted, kept in memory": "herod.protocols.host_and_origin_guard:MAX_PASSED",
        "copies of a metadata document for different aliases kept in memory": (
            "herod.protocols.documents.oauth_metadata:MAX_COPIES"
        ),
        "prepared response headers kept in memory": "herod.server.response_writer:MAX_PREFIXES",
        "bytes of each of them": "herod.server.response_writer:MAX_PREFIX_BYTES",
        "heads of requests that a connection remembers": "herod.server.request_reader:_KEPT_HEADS",
        "bytes of each of them on the wire": "herod.server.request_reader:_KEPT_HEAD_BYTES",
        "headers in each of them": "herod.server.request_reader:_KEPT_HEAD_FIELDS",
        "credentials whose last use is not written yet": "herod.store.sqlite.sqlite_store:MAX_NOTED",
    },
    "Store": {
        "writes in one transaction": "herod.store.sqlite.group_commit:MAX_BATCH",
        "times of last use written in one transaction": "herod.store.sqlite.sqlite_store:USES_AT_ONCE",
        "expired records removed in one transaction": "herod.store.sqlite.sqlite_store:PURGED_AT_ONCE",
        "tombstones removed in one transaction": "herod.store.sqlite.sqlite_store:FORGOTTEN_AT_ONCE",
        "seconds until the deletion of a deleted account's records is tried again, if it failed": (
            "herod.lasting_work:RETRY_SECONDS"
        ),
        "seconds that an expired session or revocation is kept": "herod.store.store_interface:EXPIRED_KEPT_SECONDS",
        "seconds between two removals of what expired": "herod.lasting_work:PURGE_SECONDS",
        "seconds of them that count as elapsed, at most": "herod.pipeline.process.steady_clock:MAX_ELAPSED_SECONDS",
        "seconds that their clock moves in a second, at most": "herod.pipeline.process.steady_clock:RATE",
        "seconds that it moves before it is written": "herod.pipeline.process.steady_clock:WRITTEN_EVERY_SECONDS",
        "seconds after which times of last use and counts of guesses are written": "herod.lasting_work:FLUSH_SECONDS",
        "audit rows between two log lines with the head of the audit log": (
            "herod.store.sqlite.group_commit:LOG_HEAD_EVERY"
        ),
        "seconds between them, at most": "herod.lasting_work:AUDIT_HEAD_SECONDS",
        "pages of 4096 bytes in the write-ahead log before they are moved to the database": (
            "herod.store.sqlite.group_commit:CHECKPOINT_PAGES"
        ),
        "seconds after a refused change until herod tries by itself whether there is room again": (
            "herod.store.sqlite.group_commit:TRY_AGAIN_SECONDS"
        ),
        "seconds after which the service manager is told that its status line has changed": (
            "herod.lasting_work:STATUS_SECONDS"
        ),
        "milliseconds of waiting for another process's lock of the database": (
            "herod.store.sqlite.disk.open_database:BUSY_MILLISECONDS"
        ),
        "bytes of a database up to which all of it is checked at the start": (
            "herod.store.sqlite.disk.open_database:CHECKED_BYTES"
        ),
        "rows that an offline command works on at a time": "herod.store.sqlite.offline_transaction:ROWS_AT_ONCE",
        "the same when a store of an older format is converted": "herod.store.sqlite.disk.migrations:ROWS_AT_ONCE",
        "bytes of a file that is imported": "herod.maintenance.import_accounts:MAX_BYTES",
        "bytes of a settings, certificate or secret file": "herod.settings.setting_sources:MAX_FILE",
        "seconds that a reload may take": "herod.reload:READ_SECONDS",
        "symbolic links on the path of a file": "herod.path_walk:MOST_LINKS",
        "seconds that a pipe without a writer is waited for, where a file is read": "herod.input_files:OPENING_SECONDS",
        "seconds that the writer of such a pipe may send nothing": "herod.input_files:PIPE_SECONDS",
        "bytes of a certificate chain whose dates are read": "herod.server.sockets.tls:_MAX_FILE",
    },
    "Client library": {
        "connections of a `Client` or `AsyncClient`": "herod_client.client:MAX_CONNECTIONS",
        "bytes of an answer's head": "herod_client.response_parser:MAX_HEAD",
        "fields of an answer's head": "herod_client.response_parser:MAX_FIELDS",
        "bytes of the line that begins a chunk of an answer": "herod_client.response_parser:MAX_CHUNK_LINE",
        "bytes of an answer, unless it is saved to a file": "herod_client.http_exchange:MAX_ANSWER",
        "bytes read at a time": "herod_client.sync_transport:PIECE_BYTES",
        "the same by an `AsyncClient`": "herod_client.async_connection:PIECE_BYTES",
        "seconds between two attempts at a busy Unix socket": "herod_client.async_connection:FULL_BACKLOG_SECONDS",
        "seconds that a verifier waits for changes": "herod_client.async_verifier:MAX_WAIT",
        "seconds beyond that for the answer": "herod_client.async_verifier:ANSWER_SECONDS",
        "seconds that a verifier keeps signing keys": "herod_client.async_verifier:KEYS_KEPT",
        "signing keys of one issuer": "herod_client.jwks:MAX_KEYS",
        "bits of an RSA key, at least": "herod_client.core.signing_keys:LEAST_RSA_BITS",
        "bits of an RSA key, at most": "herod_client.core.signing_keys:MOST_RSA_BITS",
        "characters of a member of a JWK": "herod_client.core.public_jwks:MAX_MEMBER_CHARS",
        "seconds that it keeps a revocation beyond the lifetime of tokens": "herod_client.feed_mirror:KEPT_SECONDS",
        "tokens that a verifier remembers": "herod_client.offline_token_verification:MAX_SEEN",
        "bytes of all of these": "herod_client.offline_token_verification:MAX_SEEN_BYTES",
    },
}
