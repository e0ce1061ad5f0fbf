"""Fixed limits on accounts, apps, sign-ins and guesses, as `fixed_limits.py` describes them."""

from typing import Final

__all__ = ["OF_SIGN_INS"]

OF_SIGN_INS: Final[dict[str, dict[str, str]]] = {
    "Accounts and credentials": {
        "characters of a name": "herod.pipeline.parameters.text_normalization:MAX_NAME",
        "characters of an email address, its domain in ASCII": "herod.pipeline.parameters.email_addresses:MAX_EMAIL",
        "characters of its domain, in ASCII": "herod.domain_names:MAX_DOMAIN",
        "characters of a part of its domain, in ASCII": "herod.domain_names:MAX_LABEL",
        "characters of either before normalization": "herod.pipeline.parameters.text_normalization:MAX_TYPED",
        "characters of a time": "herod_client.core.times:MAX_CHARS",
        "seconds after a sign-in in which the dashboard gives lasting access without another one": (
            "herod.pipeline.admission:FRESH_SECONDS"
        ),
        "seconds after a sign-in in which one changes ways to sign in, approves, and lets an app act as an admin": (
            "herod.identity.people.persons:RECENT_SECONDS"
        ),
        "seconds that an app's call waits for its person, and in which the app may repeat one that was approved": (
            "herod.pipeline.approvals:APPROVAL_SECONDS"
        ),
        "calls of one app for one account that wait, or were approved and not repeated yet": (
            "herod.pipeline.approvals:MAX_OPEN"
        ),
        "characters of a parameter of such a call that its page shows": "herod.pipeline.approvals:MAX_SHOWN",
        "seconds for which a form is kept that needed a new sign-in first": (
            "herod.dashboard.signing_in.unsent_forms:UNSENT_SECONDS"
        ),
        "bytes of its content": "herod.dashboard.signing_in.unsent_forms:MAX_KEPT_BYTES",
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
        "characters of a redirect URI": "herod.credentials.apps.redirect_uris:MAX_REDIRECT_CHARS",
        "redirect URIs of a registered app, and post-logout URIs": (
            "herod.operations.apps.registration_rules:MAX_ADDRESSES"
        ),
        "redirect URIs, grant types or response types that an app registers itself with": (
            "herod.operations.oauth.dynamic_registration:MAX_LISTED"
        ),
        "registrations of apps by themselves from one source, in an hour": "herod.throttle.rules:APP.limit",
        "the same from one range of sources": "herod.throttle.rules:APP_RANGE.limit",
        "bytes of the `client_id` of an app that registered itself": (
            "herod.credentials.apps.dynamic_client_ids:MAX_CLIENT_ID_BYTES"
        ),
        "rotations of a refresh token in a family": "herod.credentials.apps.refresh_tokens:MAX_NUMBER",
        "seconds from an app's request at `/authorize` to the answer": (
            "herod.operations.oauth.authorization.authorization_requests:REQUEST_SECONDS"
        ),
        "characters of such a request while the browser carries it": (
            "herod.operations.oauth.authorization.authorization_requests:MAX_REQUEST_CHARS"
        ),
        "seconds that an app stays connected": "herod.operations.oauth.consent.consent_choices:DELEGATION_SECONDS",
        "seconds that an authorization code is valid": (
            "herod.operations.oauth.authorization.authorization_codes:CODE_SECONDS"
        ),
        "codes of one connected app, used ones included; the oldest goes": (
            "herod.operations.oauth.authorization.authorization_codes:MAX_CODES"
        ),
        "sign-ins of one connected app whose tokens can be refreshed; the oldest ends": (
            "herod.operations.oauth.token_families:MAX_FAMILIES"
        ),
        "seconds without use after which a sign-in of an app ends": (
            "herod.operations.oauth.token_families:FAMILY_IDLE_SECONDS"
        ),
        "seconds after which it ends in any case": "herod.operations.oauth.token_families:FAMILY_SECONDS",
        "seconds for which a refresh token is good beside its successor": (
            "herod.operations.tokens.refresh_token_families:ROTATION_GRACE_SECONDS"
        ),
        "device codes that one source may ask for in an hour": "herod.throttle.rules:DEVICE.limit",
        "the same for one range of sources, in an hour": "herod.throttle.rules:DEVICE_RANGE.limit",
        "device codes at a time; the oldest of the source with the most goes": (
            "herod.operations.oauth.device.device_codes:MAX_DEVICE_CODES"
        ),
        "seconds that a device code is valid": "herod.operations.oauth.device.device_codes:DEVICE_CODE_SECONDS",
        "seconds after its end for which an app learns why it gets nothing": (
            "herod.operations.oauth.device.device_codes:KEPT_SECONDS"
        ),
        "seconds between an app's requests for its device code, at first": (
            "herod.identity.apps.device_polls:INTERVAL_SECONDS"
        ),
        "device codes whose last request is remembered": "herod.identity.apps.device_polls:MAX_POLLED",
        "unknown device codes from one source in five minutes": "herod.throttle.rules:DEVICE_MISS.limit",
        "wrong user codes typed by one account from one range of sources in five minutes": (
            "herod.throttle.rules:USER_CODE.limit"
        ),
        "characters of a user code as it is typed": "herod.operations.oauth.device.device_codes:MAX_TYPED",
        "characters of a request for a device while the browser carries it": (
            "herod.operations.oauth.device.device_consent:MAX_REQUEST_CHARS"
        ),
        "characters of an app's name on the consent page": "herod.dashboard.apps.app_names:MAX_SHOWN",
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
        "dashboard sessions whose last use is remembered": "herod.identity.people.session_activity:MAX_SESSIONS",
        "seconds for which a sign-in page remembers where the visitor wanted to go": (
            "herod.dashboard.signing_in.landing:LANDING_SECONDS"
        ),
        "characters of the address of a page that it leads to": (
            "herod.dashboard.signing_in.landing:MAX_LANDING_CHARACTERS"
        ),
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
        "seconds in which a passkey has to answer": "herod.credentials.factors.challenges:CHALLENGE_SECONDS",
        "bytes of a passkey's credential id": "herod.credentials.factors.passkeys:MAX_CREDENTIAL_BYTES",
        "bytes of a passkey's public key": "herod.credentials.factors.passkeys:MAX_KEY_BYTES",
        "bytes of each part of a browser's answer for a passkey": "herod.credentials.factors.passkeys:MAX_PART_BYTES",
        "digits of an authenticator app's code": "herod.credentials.factors.totp:TOTP_DIGITS",
        "seconds for which such a code is current; the one before and the one after are taken too": (
            "herod.credentials.factors.totp:STEP_SECONDS"
        ),
        "recovery codes": "herod.credentials.factors.recovery_codes:RECOVERY_CODES",
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
    },
}
