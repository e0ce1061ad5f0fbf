"""Redirect URIs that lead elsewhere than they seem to: the tricks of public lists, combined.

`MALFORMED` must never be read; `FOREIGN` are proper URIs, and must never match those of `REGISTERED`.
"""

from itertools import product
from typing import Final

GOOD: Final = "app.example.org"
EVIL: Final = "evil.example"
REGISTERED: Final = (
    f"https://{GOOD}/callback",
    f"https://{GOOD}/with?tenant=1",
    "http://localhost:4711/callback",
    "http://127.0.0.1/callback",
    "http://[::1]:4711/callback",
    "com.example.app:/callback",
)
# What herod's pages have, in a daemon on port 3350.
OWN_ORIGINS: Final = frozenset({"http://localhost:3350", "http://127.0.0.1:3350", "http://[::1]:3350"})

# Other spellings of hosts, which some parser reads as the loopback address, as EVIL or as GOOD.
_HOSTS: Final = (
    "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0x7f.0.0.1", "0177.0.0.1", "017700000001",
    "127.0.0.01", "127.0.0.1.", "127.000.000.001", "0", "00.0.0.0", ".".join("0000"), "[::]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[0:0:0:0:0:0:0:1]", "[::0001]", "[::1%25lo]", "[::1%lo]", "[::1].", "[::1", "::1", "[0::1]",
    "[1::", "[::1]]", "[[::1]]", "[::127.0.0.1]", "[1::2::3]", "[12345::]", "[:]", "[fe80::1%eth0]", "①②⑦.⓪.⓪.①",
    "127。0。0。1", "localhost.", "LOCALHOST", "locaIhost:x", "ⓛocalhost", "loca\u200blhost", "loca%6chost",
    "localhost%00", "localhost%2f", "localhost%5c", "localhost%40", "localhost%23", "localhost%3f", "localhost%09",
    f"{GOOD}.", f"{GOOD}..", f".{GOOD}", f"{GOOD}%00.{EVIL}", f"{GOOD}%2f.{EVIL}", f"{GOOD}%5c.{EVIL}",
    f"{GOOD}%40{EVIL}", f"{GOOD}\\.{EVIL}", f"{GOOD}\\@{EVIL}", f"{EVIL}\\@{GOOD}", f"{GOOD}@{EVIL}",
    f"{GOOD}:443@{EVIL}", f":@{EVIL}", f"@{GOOD}", f"{GOOD}:x@{EVIL}", f"{GOOD}#@{EVIL}", f"{EVIL}#@{GOOD}",
    f"{EVIL}%23@{GOOD}", f"*.{GOOD}", "*", f"{GOOD.upper()}", "App.example.org", "app。example。org", "арр.example.org",
    "app.example.órg", "app.exam\u0301ple.org", f"{GOOD}:", f"{GOOD}:0", f"{GOOD}:00443", f"{GOOD}:65536",
    f"{GOOD}:99999", f"{GOOD}:x", f"{GOOD}:-1", f"{GOOD}:443:443", f"{GOOD} ", f" {GOOD}", f"{GOOD}\t", f"{GOOD}\n",
    f"{GOOD}\r", f"{GOOD}\0", f"{GOOD}\x7f", f"{GOOD},{EVIL}", f"{GOOD};{EVIL}", f"{GOOD}&{EVIL}", f"{GOOD}|{EVIL}",
    f"{GOOD}`", f"<{GOOD}>", f'{GOOD}"', "-app.example.org", "app-.example.org", "app..example.org",
    f"{'a' * 64}.example", ".".join(["a" * 60] * 5), "0xd8.0x3a.0xd6.0xce", "0330.072.0326.0316", "472.314.470.462",
    "0xd8.072.54990", "00330.3856078", "1.2.3", "1.2.3.4.5", "256.1.1.1",
)  # fmt: skip
_TAILS: Final = ("", "/", "/callback", "/%2f..", "//", "?x=1", "/callback?next=//evil.example")
_SCHEMES: Final = ("https://", "http://")
# Schemes and beginnings that browsers complete, or that they read otherwise than they look.
_BEGINNINGS: Final = (
    "//", "///", "////", "/\\", "\\\\", "\\/", "/", "", "https:", "https:/", "https:///", "https:////", "https:\\\\",
    "https:/\\", "https:\\/", "http:", "http:///", "HTTPS://", "Https://", " https://", "\thttps://", "\nhttps://",
    "https ://", "ht\ntps://", "ht%74ps://", "https%3a//", "https%3A%2F%2F", "https;//", "://", "http s://",
    "\0https://", "//https://", "/https://", "https://%09/", "https://%5c", "https://%0d%0a", "/%09/", "/%5c", "〱",
    "〵", "ｰ", "1https://", "-https://", "+https://", ".https://", "\ufeffhttps://", "\u202ehttps://",
)  # fmt: skip
_SCRIPTS: Final = tuple(
    f"{scheme}{rest}"
    for scheme, rest in product(
        (
            "javascript:", "JavaScript:", "java\nscript:", "java%0ascript:", "javascript\t:", " javascript:", "data:",
            "vbscript:", "file:", "blob:", "about:", "filesystem:", "view-source:", "ws:", "wss:", "ftp:", "mailto:",
            "tel:", "jar:", "intent:", "urn:", "chrome:", "chrome-extension:", "moz-extension:", "ms-settings:",
            "ldap:", "ssh:", "smb:", "sms:", "telnet:", "resource:", "feed:", "livescript:", "mhtml:",
        ),
        ("alert(1)", "//x/%0aalert(1)", f"//{GOOD}/callback", f"//{GOOD}/?a", "text/html,x", "ietf:wg:oauth:2.0:oob"),
    )
)  # fmt: skip
_PATHS: Final = (
    "/callback#", "/callback#code", "/callback#@evil.example", "#", "/#/", "/../callback", "/callback/..",
    "/./callback", "/callback/.", "/%2e%2e/callback", "/%2E%2E/callback", "/.%2e/callback", "/x/..%2fcallback",
    "/x%2f..%2fcallback", "/x/..%5ccallback", "/callback%2f..", "/callback%2f%2e%2e", "/callback%00",
    "/callback%0d%0aSet-Cookie:x", "/callback%09", "/callback%7f", "/callback%1f", "/call back", "/callback\\",
    "/\\evil.example", "/callback\t", "/callback\r\nX: y", "/callback|", "/callback*", "/*", "/callback/*",
    "/callback?*", "/callback%", "/callback%2", "/callback%zz", "/callback%u0041", "/cällback", "/callback\u202e",
    "/callback\u200b", "/callback<", "/callback>", '/callback"', "/callback`", "/callback{", "/callback}",
    "/callback^", "/callback\x7f", "/callback\ud800",
)  # fmt: skip
_QUERIES: Final = tuple(
    f"?{before}{name}{after}"
    for name, before, after in product(
        (
            "code", "state", "iss", "error", "error_description", "error_uri", "Code", "STATE", "c%6fde", "%63ode",
            "code[]", "code%5b%5d", "state[0]", "+code", "%20iss", "code%20", "i%73s",
        ),
        ("", "a=1&", "a=1;", "&&", "a?"),
        ("=x", "", "=", "&b=2"),
    )
)  # fmt: skip

MALFORMED: Final = tuple(
    dict.fromkeys(
        [
            "",
            ":",
            "https",
            "https:",
            "https://",
            "http://",
            "com.example.app:",
            "com.example.app://user@x/callback",
            f"https://{GOOD}/{'a' * 600}",
            *(f"{scheme}{host}{tail}" for scheme, host, tail in product(_SCHEMES, _HOSTS, _TAILS)),
            *(f"{start}{rest}" for start, rest in product(_BEGINNINGS, (EVIL, f"{GOOD}/callback", f"{GOOD}@{EVIL}/"))),
            *_SCRIPTS,
            *(f"{base}{path}" for base, path in product((f"https://{GOOD}", "http://localhost:4711", "x.y:"), _PATHS)),
            *(f"{base}{query}" for base, query in product((REGISTERED[0], "http://127.0.0.1/", "x.y:/z"), _QUERIES)),
        ]
    )
)
FOREIGN: Final = (
    f"https://{EVIL}/callback", f"https://{EVIL}/{GOOD}/callback", f"https://{EVIL}?{GOOD}/callback",
    f"https://{GOOD}.{EVIL}/callback", f"https://{EVIL}/@{GOOD}/callback", f"https://x{GOOD}/callback",
    f"https://x.{GOOD}/callback", "https://example.org/callback", "https://app-example.org/callback",
    f"https://{GOOD}/", f"https://{GOOD}", f"https://{GOOD}/callback/", f"https://{GOOD}//callback",
    f"https://{GOOD}/callback?", f"https://{GOOD}/callback?x=1", f"https://{GOOD}/callback/evil",
    f"https://{GOOD}/Callback", f"https://{GOOD}/callbac", f"https://{GOOD}/callback2", f"https://{GOOD}/callback%20",
    f"https://{GOOD}/%63allback", f"https://{GOOD}:443/callback", f"https://{GOOD}:8443/callback",
    f"https://{GOOD}:80/callback", f"http://{GOOD}/callback", f"http://{GOOD}:443/callback", f"https://{GOOD}/with",
    f"https://{GOOD}/with?tenant=2", f"https://{GOOD}/with?tenant=1&x=2", f"https://{GOOD}/with?x=2&tenant=1",
    f"https://{GOOD}/with?Tenant=1", "http://localhost/", "http://localhost:4711/", "http://localhost:4711/callback/",
    "http://localhost:4711/callback?x", "http://localhost:4711//callback", "http://localhost:4711/Callback",
    "https://localhost:4711/callback", "https://127.0.0.1/callback", "http://127.0.0.2/callback",
    "http://127.0.0.2:4711/callback", "http://app.localhost/callback", "http://localhost.evil.example/callback",
    "http://localhost.localdomain/callback", "http://127.0.0.1.evil.example/callback",
    "http://localhost-evil.example/callback", "http://[::2]/callback", "http://[fe80::1]/callback",
    "http://192.168.0.1/callback", "http://10.0.0.1:4711/callback", "http://169.254.169.254/callback",
    "https://xn--pp-8mc.example.org/callback", "com.example.app:/", "com.example.app:/callback/",
    "com.example.app:/callback?x=1", "com.example.app:callback", "com.example.app://callback",
    "com.example.app2:/callback", "com.example:/callback", "com.example.app.evil:/callback", "evil.app:/callback",
    "http://localhost:3350/callback", "http://127.0.0.1:3350/callback", "http://[::1]:3350/callback",
)  # fmt: skip
