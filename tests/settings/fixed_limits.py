"""Every fixed limit: its section and row in docs/limits.md, and the constant that holds its number.

A new limit is one line here and the same row in the page. Must never hold a number itself: `module:NAME` names the
constant, and what follows a dot is an attribute or an index of it; of a class it is that of its default instance.
"""

from importlib import import_module
from typing import Final

__all__ = ["FIXED", "NO_LIMITS", "number_of"]

FIXED: Final[dict[str, dict[str, str]]] = {
    "Quotas": {
        "records deleted in one transaction, with or without their owner": "herod.store.owned_records:DELETED_AT_ONCE",
        "principals whose issued credentials of the last minute are remembered": (
            "herod.pipeline.issue_rate:MAX_PRINCIPALS"
        ),
        "one in so many of an account's issued credentials is not for its keys": (
            "herod.pipeline.issue_rate:OWNERS_PART"
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
        "rows in a list of keys in the dashboard": "herod.dashboard.pages.keys:PAGE_ROWS",
        "the same of users": "herod.dashboard.pages.users:PAGE_ROWS",
        "the same of apps": "herod.dashboard.pages.apps:PAGE_ROWS",
        "lines of a form's field that are read": "herod.dashboard.app_forms:MAX_LINES",
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
    "Accounts and credentials": {
        "characters of a name": "herod.pipeline.text_normalization:MAX_NAME",
        "characters of an email address, its domain in ASCII": "herod.pipeline.email_addresses:MAX_EMAIL",
        "characters of its domain, in ASCII": "herod.domain_names:MAX_DOMAIN",
        "characters of a part of its domain, in ASCII": "herod.domain_names:MAX_LABEL",
        "characters of either before normalization": "herod.pipeline.text_normalization:MAX_TYPED",
        "characters of a time": "herod_client.core.times:MAX_CHARS",
        "seconds after a sign-in in which the dashboard gives lasting access without another one": (
            "herod.pipeline.admission:FRESH_SECONDS"
        ),
        "seconds after a sign-in in which one sets a password or client secret, approves and enrols": (
            "herod.identity.persons:RECENT_SECONDS"
        ),
        "seconds that an app's call waits for its person, and in which the app may repeat one that was approved": (
            "herod.pipeline.approvals:APPROVAL_SECONDS"
        ),
        "calls of one app for one account that wait, or were approved and not repeated yet": (
            "herod.pipeline.approvals:MAX_OPEN"
        ),
        "characters of a parameter of such a call that its page shows": "herod.pipeline.approvals:MAX_SHOWN",
        "seconds for which a form is kept that needed a new sign-in first": (
            "herod.dashboard.unsent_forms:UNSENT_SECONDS"
        ),
        "bytes of its content": "herod.dashboard.unsent_forms:MAX_KEPT_BYTES",
        "characters of a password, at least": "herod.credentials.passwords:MIN_CHARS",
        "characters of a password, at most": "herod.credentials.passwords:MAX_CHARS",
        "characters of it that are judged by how easy it is to guess": (
            "herod.credentials.guessable_passwords:MAX_CHARS_ESTIMATED"
        ),
        "ways to read its symbols as letters; with more, only its first 12 characters are judged": (
            "herod.credentials.guessable_passwords:MAX_READINGS"
        ),
        "characters up to which it, or another secret that people choose, is normalized": (
            "herod.credentials.secret_normal_form:MAX_CHARS_BEFORE_NFKC"
        ),
        "characters of an access token": "herod_client.core.access_tokens:MAX_TOKEN_CHARS",
        "depth of JSON in it": "herod_client.core.access_tokens:MAX_DEPTH",
        "characters of its `sub` or `jti`": "herod_client.core.access_tokens:MAX_ID_CHARS",
        "characters of its `resource`": "herod_client.core.resource_indicators:MAX_RESOURCE_CHARS",
        "seconds that another issuer's clock may be ahead": "herod_client.core.access_tokens:CLOCK_SKEW",
        "seconds that the former secret of a rotated key may stay valid": (
            "herod.operations.keys.rotate_disable_edit:MAX_OVERLAP"
        ),
        "characters of a resource's secret": "herod.operations.resources.owned_resources:MAX_SECRET",
        "attributes of a resource": "herod.operations.resources.owned_resources:MAX_ATTRIBUTES",
        "bytes of them, as JSON": "herod.operations.resources.owned_resources:MAX_ATTRIBUTE_BYTES",
        "bytes of HERO_SECRET, at least": "herod.settings.secret_settings:MIN_SECRET",
        "bytes of a legacy secret under which herod warns": "herod.settings.secret_settings:MIN_LEGACY",
    },
    "Apps": {
        "characters of a redirect URI": "herod.credentials.redirect_uris:MAX_REDIRECT_CHARS",
        "redirect URIs of a registered app, and post-logout URIs": (
            "herod.operations.apps.registration_rules:MAX_ADDRESSES"
        ),
        "redirect URIs, grant types or response types that an app registers itself with": (
            "herod.operations.oauth.dynamic_registration:MAX_LISTED"
        ),
        "registrations of apps by themselves from one source, in an hour": "herod.throttle.rules:APP.limit",
        "the same from one range of sources": "herod.throttle.rules:APP_RANGE.limit",
        "bytes of the `client_id` of an app that registered itself": (
            "herod.credentials.dynamic_client_ids:MAX_CLIENT_ID_BYTES"
        ),
        "rotations of a refresh token in a family": "herod.credentials.refresh_tokens:MAX_NUMBER",
        "seconds from an app's request at `/authorize` to the answer": (
            "herod.operations.oauth.authorization_requests:REQUEST_SECONDS"
        ),
        "characters of such a request while the browser carries it": (
            "herod.operations.oauth.authorization_requests:MAX_REQUEST_CHARS"
        ),
        "seconds since the sign-in of a person who lets an app act as an admin": (
            "herod.operations.oauth.consent_offers:ADMIN_SIGN_IN_SECONDS"
        ),
        "seconds that an app stays connected": ("herod.operations.oauth.consent_choices:DELEGATION_SECONDS"),
        "seconds that an authorization code is valid": ("herod.operations.oauth.authorization_codes:CODE_SECONDS"),
        "codes of one connected app, used ones included; the oldest goes": (
            "herod.operations.oauth.authorization_codes:MAX_CODES"
        ),
        "sign-ins of one connected app whose tokens can be refreshed; the oldest ends": (
            "herod.operations.oauth.token_families:MAX_FAMILIES"
        ),
        "seconds without use after which a sign-in of an app ends": (
            "herod.operations.oauth.token_families:FAMILY_IDLE_SECONDS"
        ),
        "seconds after which it ends in any case": ("herod.operations.oauth.token_families:FAMILY_SECONDS"),
        "seconds for which a refresh token is good beside its successor": (
            "herod.operations.tokens.refresh_token_families:ROTATION_GRACE_SECONDS"
        ),
        "device codes that one source may ask for in an hour": "herod.throttle.rules:DEVICE.limit",
        "the same for one range of sources, in an hour": "herod.throttle.rules:DEVICE_RANGE.limit",
        "device codes at a time; the oldest of the source with the most goes": (
            "herod.operations.oauth.device_codes:MAX_DEVICE_CODES"
        ),
        "seconds that a device code is valid": "herod.operations.oauth.device_codes:DEVICE_CODE_SECONDS",
        "seconds after its end for which an app learns why it gets nothing": (
            "herod.operations.oauth.device_codes:KEPT_SECONDS"
        ),
        "seconds between an app's requests for its device code, at first": (
            "herod.identity.device_polls:INTERVAL_SECONDS"
        ),
        "device codes whose last request is remembered": "herod.identity.device_polls:MAX_POLLED",
        "unknown device codes from one source in five minutes": "herod.throttle.rules:DEVICE_MISS.limit",
        "wrong user codes typed by one account from one range of sources in five minutes": (
            "herod.throttle.rules:USER_CODE.limit"
        ),
        "characters of a user code as it is typed": "herod.operations.oauth.device_codes:MAX_TYPED",
        "characters of a request for a device while the browser carries it": (
            "herod.operations.oauth.device_consent:MAX_REQUEST_CHARS"
        ),
        "characters of a resource that an app asks for": "herod.identity.app_resources:MAX_RESOURCE_CHARS",
        "characters of an app's name on the consent page": "herod.dashboard.app_names:MAX_SHOWN",
    },
    "Documents of apps": {
        "bytes of a document that describes an app": (
            "herod.pipeline.client_documents.document_parser:MAX_DOCUMENT_BYTES"
        ),
        "redirect URIs that are read of it": "herod.pipeline.client_documents.document_parser:MAX_DOCUMENT_REDIRECTS",
        "bytes of an answer before it": "herod.pipeline.client_documents.document_fetcher:MAX_HEAD_BYTES",
        "bytes read at a time": "herod.pipeline.client_documents.document_fetcher:PIECE_BYTES",
        "seconds for looking up the name, connecting and reading": (
            "herod.pipeline.client_documents.document_fetcher:FETCH_SECONDS"
        ),
        "documents fetched at a time": "herod.pipeline.client_documents.document_fetcher:FETCHES_AT_ONCE",
        "addresses of the host": "herod.pipeline.client_documents.document_fetcher:MAX_ADDRESSES",
        "of them that are tried": "herod.pipeline.client_documents.document_fetcher:TRIED_ADDRESSES",
        "documents fetched for one person in a minute": "herod.pipeline.client_documents.fetch_rate:FETCHES.limit",
        "persons for whom that is remembered": "herod.pipeline.client_documents.fetch_rate:MAX_FETCHING",
        "seconds that a document is used, at least": (
            "herod.pipeline.client_documents.document_fetcher:MIN_KEPT_SECONDS"
        ),
        "seconds that it is used, at most": "herod.pipeline.client_documents.document_fetcher:MAX_KEPT_SECONDS",
        "documents kept in memory": "herod.identity.client_documents.document_cache:MAX_DOCUMENTS",
        "bytes of all of these documents": "herod.identity.client_documents.document_cache:MAX_DOCUMENT_CACHE_BYTES",
    },
    "Sign-in and guessing": {
        "password hashes at a time": "herod.pipeline.process.worker_thread:MAX_WORKERS",
        "password hashes waiting": "herod.throttle.fair_turns:MAX_WAITING",
        "sources, or ranges of sources, that wait for one": "herod.throttle.fair_turns:MAX_WAITING_RANGES",
        "sources whose turns are remembered": "herod.throttle.fair_turns:MAX_REMEMBERED",
        "seconds that a dashboard session lasts": "herod.operations.sessions.session_lifecycle:SESSION_TTL",
        "dashboard sessions whose last use is remembered": "herod.identity.session_activity:MAX_SESSIONS",
        "seconds for which a sign-in page remembers where the visitor wanted to go": (
            "herod.dashboard.landing:LANDING_SECONDS"
        ),
        "characters of the address of a page that it leads to": "herod.dashboard.landing:MAX_LANDING_CHARACTERS",
        "seconds that an app's request to sign out is valid": "herod.operations.openid.app_sign_out:LOGOUT_SECONDS",
        "characters of its `state`": "herod.operations.openid.app_sign_out:MAX_STATE_CHARS",
        "characters of such a request on its way through the browser": (
            "herod.operations.openid.app_sign_out:MAX_SEALED_CHARS"
        ),
        "seconds that a code of `herod ui` is valid": "herod.operations.sessions.terminal_sign_in_codes:CODE_SECONDS",
        "seconds that a code for the first admin is valid": "herod.operations.accounts.first_admin:FIRST_CODE_SECONDS",
        "codes of one kind at a time": "herod.identity.one_time_codes:MAX_CODES",
        "codes of one principal at a time": "herod.identity.one_time_codes:MAX_CODES_OF_ONE",
        "bytes of memory for the data behind codes of one kind": "herod.identity.one_time_codes:MAX_CODE_BYTES",
        "seconds for which a wrong password or secret counts": "herod.throttle.rules:PAIR.window",
        "wrong passwords for one account from one source, before it is locked": "herod.throttle.rules:PAIR.limit",
        "the same from all of 127.0.0.0/8": "herod.throttle.rules:LOOPBACK.limit",
        "wrong passwords for one account, or from one source, before sign-ins there are delayed": (
            "herod.throttle.rules:DELAYS.0.0"
        ),
        "seconds of that delay, at most": "herod.throttle.rules:DELAYS.3.1",
        "wrong passwords for one account from one range of sources, before it is locked": (
            "herod.throttle.rules:RANGE.limit"
        ),
        "delayed sign-ins of one source at a time": "herod.throttle.rules:MAX_DELAYED_PER_SOURCE",
        "delayed sign-ins at a time": "herod.throttle.rules:MAX_DELAYED",
        "wrong legacy secrets from one source, before it is locked": "herod.throttle.rules:LEGACY.limit",
        "wrong legacy secrets from one range of sources, before it is locked": (
            "herod.throttle.rules:LEGACY_RANGE.limit"
        ),
        "wrong legacy secrets that one service key asks about from one source, before it is locked": (
            "herod.throttle.rules:SERVICE.limit"
        ),
        "wrong secrets for accounts with an imported client secret from one source, before it is locked": (
            "herod.throttle.rules:CLIENT.limit"
        ),
        "the same from one range of sources": "herod.throttle.rules:CLIENT_RANGE.limit",
        "requests of one principal from one source for resources that were not found, before it is locked": (
            "herod.throttle.rules:OWNERSHIP.limit"
        ),
        "seconds for which such a request counts": "herod.throttle.rules:OWNERSHIP.window",
        "registrations attempted from one source": "herod.throttle.rules:REGISTRATION.limit",
        "registrations attempted from one range of sources": "herod.throttle.rules:REGISTRATION_RANGE.limit",
        "seconds for which a registration counts": "herod.throttle.rules:REGISTRATION.window",
        "counts of guesses that are not written yet": "herod.throttle.limiter:MAX_UNWRITTEN",
        "connections at once to the relay of `herod ui`": "herod.loopback_relay:CONNECTIONS",
        "sessions that the relay ends with itself": "herod.loopback_relay:SESSIONS",
        "seconds that the relay waits for a request": "herod.loopback_relay:READ_SECONDS",
        "seconds that it waits for herod's answer": "herod.loopback_relay:ANSWER_SECONDS",
        "seconds for ending the sessions": "herod.loopback_relay:SIGN_OUT_SECONDS",
        "bytes that it passes on at a time": "herod.loopback_relay:PIECE_BYTES",
    },
    "Passkeys and second factors": {
        "seconds in which a passkey has to answer": "herod.credentials.challenges:CHALLENGE_SECONDS",
        "bytes of a passkey's credential id": "herod.credentials.passkeys:MAX_CREDENTIAL_BYTES",
        "bytes of a passkey's public key": "herod.credentials.passkeys:MAX_KEY_BYTES",
        "bytes of each part of a browser's answer for a passkey": "herod.credentials.passkeys:MAX_PART_BYTES",
        "digits of an authenticator app's code": "herod.credentials.totp:TOTP_DIGITS",
        "seconds for which such a code is current; the one before and the one after are taken too": (
            "herod.credentials.totp:STEP_SECONDS"
        ),
        "recovery codes": "herod.credentials.recovery_codes:RECOVERY_CODES",
        "characters of a code, however it is typed": "herod.operations.factors.second_factor_codes:MAX_CODE_CHARS",
        "wrong codes for one account from everywhere, before its codes are locked": "herod.throttle.rules:FACTOR.limit",
        "seconds for which a wrong code counts there": "herod.throttle.rules:FACTOR.window",
        "seconds between the password and the code of a browser's sign-in": (
            "herod.operations.factors.unfinished_sign_ins:SIGN_IN_SECONDS"
        ),
        "seconds for setting up an authenticator app": "herod.operations.factors.unfinished_sign_ins:SETUP_SECONDS",
        "characters of what a browser carries between those steps": (
            "herod.operations.factors.unfinished_sign_ins:MAX_SEALED_CHARS"
        ),
        "characters of a passkey's transports": "herod.operations.factors.own_passkeys:MAX_TRANSPORTS",
        "seconds that a sign-in may be old when one changes what one signs in with": (
            "herod.operations.factors.factor_state:FACTOR_SECONDS"
        ),
    },
    "Audit log and logs": {
        "kinds of denial with audit rows of their own, in one minute": "herod.pipeline.denial_queue:MAX_KINDS",
        "the same of one source": "herod.pipeline.denial_queue:MAX_KINDS_OF_SOURCE",
        "the same of one range of sources": "herod.pipeline.denial_queue:MAX_KINDS_OF_RANGE",
        "rows of denials in a minute that make room for others": "herod.pipeline.denial_queue:MAX_FORGOTTEN",
        "audit rows that one principal writes in an hour, except admins; further ones are combined": (
            "herod.pipeline.audit_recorder:ROWS_OF_PRINCIPAL"
        ),
        "the same of all principals of one source": "herod.pipeline.audit_recorder:ROWS_OF_SOURCE",
        "the same of all sources of one range": "herod.pipeline.audit_recorder:ROWS_OF_RANGE",
        "seconds for which further ones are combined": "herod.pipeline.audit_recorder:COARSE_SECONDS",
        "combined rows in that time that name a principal, of one source": (
            "herod.pipeline.audit_recorder:LINES_OF_SOURCE"
        ),
        "the same of all sources": "herod.pipeline.audit_recorder:LINES_OF_ALL",
        "kinds of audit row that are combined at a time": "herod.pipeline.audit_recorder:MAX_COUNTED",
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
        "connections of an `AsyncClient`": "herod_client.async_client:MAX_CONNECTIONS",
        "bytes of an answer's head": "herod_client.async_transport:MAX_HEAD",
        "bytes of an answer, unless it is saved to a file": "herod_client.sync_transport:MAX_ANSWER",
        "bytes read at a time": "herod_client.sync_transport:PIECE_BYTES",
        "the same by an `AsyncClient`": "herod_client.async_transport:PIECE_BYTES",
        "seconds between two attempts at a busy Unix socket": "herod_client.async_transport:FULL_BACKLOG_SECONDS",
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

# Constants with the name of a limit that limit nothing: sizes of formats, estimates, shares of a limit above.
NO_LIMITS: Final = frozenset(
    {
        "herod_client.core.public_jwks:P256_BYTES",
        "herod_client.core.signing_keys:ES256_SIGNATURE_BYTES",
        "herod.server.sockets.tcp_peer_uid:_ANSWER_BYTES",
        "herod.server.sockets.tcp_peer_uid:_MOST_INTERFACES",
        "herod.server.sockets.tcp_peer_uid:_MOST_STALE",
        "herod.settings.trusted_proxies:MAX_DIGITS",
        "herod.settings.trusted_proxies:MAX_UID",
        "herod.credentials.backup_encryption:CHECK_BYTES",
        "herod.credentials.backup_encryption:CHUNK_BYTES",
        "herod.credentials.backup_encryption:SALT_BYTES",
        "herod.credentials.backup_encryption:SEALED_CHUNK_BYTES",
        "herod.credentials.imported_secret_hashes:HASH_BYTES",
        "herod.credentials.imported_secret_hashes:ID_BYTES",
        "herod.credentials.imported_secret_hashes:_CARRIED_BYTES",
        "herod.credentials.challenges:BODY_BYTES",
        "herod.credentials.challenges:MAC_BYTES",
        "herod.credentials.challenges:RANDOM_BYTES",
        "herod.credentials.challenges:TIME_BYTES",
        "herod.credentials.passkeys:ID_BYTES",
        "herod.credentials.passwords:SALT_BYTES",
        "herod.credentials.passwords:TAG_BYTES",
        "herod.credentials.redirect_uris:MAX_HOST",
        "herod.credentials.redirect_uris:MAX_PORT",
        "herod.credentials.sealing:KEY_BYTES",
        "herod.credentials.sealing:NONCE_BYTES",
        "herod.credentials.sealing:TAG_BYTES",
        "herod.dashboard.landing:_TIME_BYTES",
        "herod.credentials.recovery_codes:CODE_CHARACTERS",
        "herod.credentials.totp:SECRET_BYTES",
        "herod.dashboard.pages.audit:KEY_CHARACTERS",
        "herod.dashboard.pages.audit:UUID_CHARACTERS",
        "herod.dashboard.static_files:_HASH_CHARACTERS",
        "herod.first_admin_code_file:PAUSE_SECONDS",
        "herod.first_admin_code_file:RENEWED_SECONDS",
        "herod.identity.session_secrets:COOKIE_CHARACTERS",
        "herod.identity.session_secrets:PROOF_CHARACTERS",
        "herod.identity.session_secrets:TICKET_CHARACTERS",
        "herod.identity.verified_token_cache:ENTRY_BYTES",
        "herod.identity.verified_token_cache:NAME_BYTES",
        "herod.maintenance.accounts_file_field_checks:MIN_SECRET",
        "herod.maintenance.accounts_file_parser:MAX_SHOWN",
        "herod.maintenance.import_accounts:MAX_SHOWN",
        "herod.maintenance.signing_keys_at_startup:CLOCK_ERROR_SECONDS",
        "herod.operations.audit.audit_log:HMAC_BYTES",
        "herod.operations.audit.audit_log:MAX_SEQ",
        "herod.operations.keys.list_filters:UNUSED_SECONDS",
        "herod.operations.peers.peer_rules:MAX_ID",
        "herod.credentials.refresh_tokens:NUMBER_CHARS",
        "herod.operations.system.admin_warnings:BACKUP_SECONDS",
        "herod.operations.system.admin_warnings:CERTIFICATE_SECONDS",
        "herod.operations.system.admin_warnings:LEGACY_SECONDS",
        "herod.operations.tokens.change_feed:RETRY_SECONDS",
        "herod.pipeline.approvals:_ID_CHARACTERS",
        "herod.server.sockets.listeners:_SUN_PATH_BYTES",
        "herod.server.sockets.listeners:_TEMPORARY_NAME_BYTES",
        "herod.server.sockets.peer_credentials:_GROUP_BYTES",
        "herod.server.sockets.unix_socket:_COOKIE_BYTES",
        "herod.server.systemd_notify:_PATIENCE_SECONDS",
        "herod.store.memory_store:KEPT_TOMBSTONES",
        "herod.store.record_cache:ABSENT_BYTES",
        "herod.store.record_cache:ITEM_BYTES",
        "herod.store.record_cache:RECORD_BYTES",
        "herod.store.sqlite.threaded_audit_scans:_MAX_SEQ",
        "herod.store.sqlite.disk.database_files:_LOCK_BYTES",
        "herod.store.sqlite.disk.file_header:HEADER_BYTES",
        "herod.throttle.fair_turns:PLAIN_TURN",
        "herod_client.addresses:MAX_SOCKET_PATH",
        "herod_client.async_verifier:RETRY_SECONDS",
        "herod_client.core.errors:MAX_QUOTED",
        "herod_client.core.key_format:CHECKSUM_CHARS",
        "herod_client.core.key_format:ID_CHARS",
        "herod_client.core.key_format:SECRET_BYTES",
        "herod_client.core.key_format:SECRET_CHARS",
        "herod_client.offline_token_verification:NAME_BYTES",
        "herod_client.offline_token_verification:SEEN_BYTES",
    }
)


def number_of(constant: str) -> float:
    """The number that `module:NAME` holds."""
    module, _, path = constant.partition(":")
    value: object = import_module(module)
    for step in path.split("."):
        if isinstance(value, type):
            value = value()
        value = value[int(step)] if isinstance(value, tuple) else getattr(value, step)
    assert isinstance(value, int | float), constant
    return value
