"""Fixed limits on connections, requests, answers and lists, as `fixed_limits.py` describes them."""

from typing import Final

__all__ = ["OF_REQUESTS"]

OF_REQUESTS: Final[dict[str, dict[str, str]]] = {
    "Quotas": {
        "records deleted in one transaction, with or without their owner": "herod.store.owned_records:DELETED_AT_ONCE",
        "principals whose issued credentials of the last minute are remembered": (
            "herod.pipeline.ceilings.issue_rate:MAX_PRINCIPALS"
        ),
        "one in so many of an account's issued credentials is not for its keys": (
            "herod.pipeline.ceilings.issue_rate:OWNERS_PART"
        ),
        "sessions of one group or legacy secret in all": "herod.operations.sessions.session_lifecycle:SHARED_SESSIONS",
        "keys of a deleted account that are counted for the answer": (
            "herod.operations.accounts.user_administration:MAX_COUNTED"
        ),
    },
    "Connections": {
        "connections of one address that wait in the kernel to be accepted": "herod.server.sockets.unix_socket:BACKLOG",
        "seconds of waiting for a request or its rest, after which a connection may be replaced": (
            "herod.server.connection_limits:Limits.evict_seconds"
        ),
        "seconds between two checks of all deadlines": "herod.server.connection_limits:Limits.sweep_seconds",
        "clients over `max_connections` that are answered 503 at a time; further ones are only closed": (
            "herod.server.connections:_TURNED_AWAY"
        ),
        "connections accepted in a row, before others are served": "herod.server.connections:_ACCEPT_BURST",
        "seconds without accepting, when the machine has no descriptors or memory left": (
            "herod.server.connections:_ACCEPT_PAUSE_SECONDS"
        ),
        "seconds between two log lines about that": "herod.server.connections:_COMPLAINT_SECONDS",
        "seconds until an address that is in use is tried again, the first time": (
            "herod.server.sockets.listener_set:FIRST_PAUSE_SECONDS"
        ),
        "and later, at most, doubled each time": "herod.server.sockets.listener_set:LONGEST_PAUSE_SECONDS",
        "file descriptors kept free of connections": "herod.server.connections:_SPARE_DESCRIPTORS",
        "bytes of the group ids that are read of a local process (256 groups)": (
            "herod.server.sockets.peer_credentials:_GROUPS_BUFFER"
        ),
        "sockets passed by systemd": "herod.settings.systemd_sockets_and_watchdog:_MOST_SOCKETS",
        "characters of a Unix socket's path": "herod.settings.bind_addresses:MAX_SOCKET_PATH",
    },
    "Requests": {
        "trusted proxies in a row, before the client of a request": "herod.protocols.request_source:MAX_PROXIES",
        "headers for an MCP tool's arguments that a page of another origin may send": (
            "herod.protocols.cross_origin:MAX_MCP_PARAMS"
        ),
        "seconds that a browser may remember what such a page may send": "herod.protocols.cross_origin:PREFLIGHT_AGE",
        "headers in a request": "herod.server.connection_limits:Limits.headers",
        "bytes of a request's body": "herod.protocols.http:MAX_BODY",
        "depth of JSON": "herod.protocols.strict_json:MAX_DEPTH",
        "numbers with exponents of three digits in it": "herod.protocols.strict_json:MAX_LARGE_NUMBERS",
        "fields in a form or a query": "herod.protocols.decode:_MAX_FIELDS",
        "items in a JSON-RPC batch": "herod.protocols.jsonrpc:MAX_BATCH",
        "characters of an `error_description`": "herod.protocols.challenges:MAX_DESCRIPTION_CHARS",
        "pipelined requests answered in a row, before others are served": "herod.server.connection:_TURN",
        "bytes read from a client at once": "herod.server.sockets.socket_byte_stream:_RECEIVE_BYTES",
        "bytes read from a client over TLS at once": "herod.server.sockets.tls:_READ_BYTES",
        "bytes of TLS messages in memory before they are sent": "herod.server.sockets.tls:_DRAINED_BYTES",
        "seconds that a refused client's input is still read": ("herod.server.connection_limits:Limits.linger_seconds"),
        "bytes of that input": "herod.server.connection_limits:Limits.linger_bytes",
        "characters of a cursor": "herod.store.page_cursors:MAX_CHARS",
        "characters of a cursor of the change feed": "herod.operations.tokens.change_feed:MAX_CURSOR_CHARS",
        "bytes of the kernel's receive buffer for a TCP client": (
            "herod.server.connection_limits:Limits.receive_buffer_bytes"
        ),
    },
    "Answers": {
        "bytes of an answer, unless it is a stream or a document": "herod.protocols.responses:MAX_ANSWER_BYTES",
        "bytes of the answer to a batch": "herod.protocols.jsonrpc:MAX_BATCH_BYTES",
        "bytes of it kept for the head and for items that are not run": "herod.protocols.jsonrpc:RESERVED_BATCH_BYTES",
        "bytes of the answers to unfinished batches of one source": (
            "herod.protocols.jsonrpc:MAX_UNFINISHED_BYTES_OF_SOURCE"
        ),
        "the same of all sources": "herod.protocols.jsonrpc:MAX_UNFINISHED_BYTES",
        "bytes of answers that a client has not read yet, on one connection": (
            "herod.server.connection_limits:Limits.unsent_bytes"
        ),
        "the same on all connections of one source": "herod.server.connection_limits:Limits.unsent_bytes_of_source",
        "the same on all connections": "herod.server.connection_limits:Limits.unsent_bytes_in_all",
        "bytes of an answer up to which it is not counted as unread": "herod.server.send_buffer_limits:SMALL_BYTES",
        "bytes of the kernel's send buffer for a TCP client": "herod.server.connection_limits:Limits.send_buffer_bytes",
        "bytes encrypted at a time for a client": "herod.server.sockets.tls:_SLICE_BYTES",
        "seconds that a page of the dashboard may take": "herod.server.dashboard_requests:PAGE_SECONDS",
        "seconds that the first page may take to load the application": (
            "herod.server.dashboard_requests:LOADING_SECONDS"
        ),
        "bytes of a page of the dashboard": "herod.server.dashboard_requests:PAGE_BYTES",
        "pages rendered at once": "herod.server.dashboard_requests:PAGES_AT_ONCE",
        "seconds that one step of a request may hold the event loop; longer ones are logged in debug mode": (
            "herod.event_loop_watch:LONG_STEP_SECONDS"
        ),
        "chunks of a backup, of 65536 bytes, that are read at a time": (
            "herod.store.sqlite.backup_snapshot:CHUNKS_AT_ONCE"
        ),
    },
    "Lists": {
        "entries in a page of a list": "herod.store.store_interface:MAX_PAGE",
        "accounts, or keys, that are searched for a name given in place of an id": (
            "herod.pipeline.record_references:MAX_SEARCHED"
        ),
        "characters of a time that a parameter takes": "herod_client.core.times:MAX_CHARS",
        "bytes of a page of a list, as JSON": "herod.pipeline.pagination:MAX_PAGE_BYTES",
        "bytes of them for what surrounds the entries": "herod.pipeline.pagination:FRAME_BYTES",
        "bytes of sealed records that are read for one page, not counting the last one": (
            "herod.store.store_interface:MAX_READ_BYTES"
        ),
        "networks in one list": "herod_client.core.grants:MAX_NETWORKS",
        "names in one scope": "herod_client.core.scope_graph:MAX_SCOPES",
        "characters of one scope": "herod_client.core.scope_graph:MAX_SCOPE_CHARS",
        "scopes": "herod_client.core.scope_graph:MAX_SCOPES",
        "rows in a list of keys in the dashboard": "herod.dashboard.pages.accounts.keys:PAGE_ROWS",
        "the same of users": "herod.dashboard.pages.accounts.users:PAGE_ROWS",
        "the same of apps": "herod.dashboard.pages.apps.apps:PAGE_ROWS",
        "lines of a form's field that are read": "herod.dashboard.apps.app_forms:MAX_LINES",
        "the same of audit rows": "herod.dashboard.pages.audit:ROWS",
        "bytes of the grants that `whoami` lists": "herod.operations.system.health_and_whoami:MAX_HELD_BYTES",
        "keys of its own that the overview shows to a non-admin": "herod.dashboard.pages.overview:OWN_KEYS",
        "records read for one survey of the whole store": "herod.pipeline.process.store_scan_cache:MAX_SURVEYED",
        "keys read for the attention list": "herod.operations.system.attention:MAX_KEYS",
        "apps, accounts, and delegations, of each, that are read for it": (
            "herod.operations.system.access_survey:MAX_RECORDS"
        ),
        "entries that a warning keeps of them": "herod.operations.system.access_survey:KEPT",
        "subjects that a warning names": "herod.operations.system.attention:NAMED",
        "audit rows read for the overview": "herod.operations.system.attention:MAX_AUDIT_ROWS",
        "of them at a time": "herod.operations.system.overview:AUDIT_PAGE",
        "groups of resources that are counted": "herod.operations.resources.resource_counts:MAX_GROUPS",
        "surveys of the whole store at a time": "herod.store.sqlite.threaded_record_scans:SURVEYS_AT_ONCE",
        "rows that a survey reads at a time": "herod.store.sqlite.sql_reader:SCAN_ROWS",
        "rows over which a survey's result is kept": "herod.pipeline.process.store_scan_cache:SHORT_ROWS",
        "seconds that it is kept": "herod.pipeline.process.store_scan_cache:KEPT_SECONDS",
    },
}
