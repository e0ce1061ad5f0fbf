"""Apache's mod_auth_openidc (Debian's package) as a login in front of a page: sign in, refresh, sign out."""

import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx2
import pytest

from openid.conftest import Place
from support.person_at_forms import PersonAtForms, register_app
from support.real_daemon import free_port

MODULES: Final = Path("/usr/lib/apache2/modules")
START_SECONDS: Final = 20

needs_apache: Final = pytest.mark.skipif(
    shutil.which("apache2") is None or not (MODULES / "mod_auth_openidc.so").exists(),
    reason="Apache is missing: apt install apache2 libapache2-mod-auth-openidc",
)

CONFIGURATION: Final = """
ServerRoot "{folder}"
ServerName localhost
Listen 127.0.0.1:{port}
DefaultRuntimeDir "{folder}"
PidFile "{folder}/pid"
ErrorLog "{folder}/error.log"
LogLevel warn auth_openidc:info
{user}
LoadModule mpm_event_module {modules}/mod_mpm_event.so
LoadModule authn_core_module {modules}/mod_authn_core.so
LoadModule authz_core_module {modules}/mod_authz_core.so
LoadModule authz_user_module {modules}/mod_authz_user.so
LoadModule headers_module {modules}/mod_headers.so
LoadModule dir_module {modules}/mod_dir.so
LoadModule auth_openidc_module {modules}/mod_auth_openidc.so
DocumentRoot "{folder}/pages"
<Directory "{folder}/pages">
  Require all granted
</Directory>

OIDCProviderMetadataURL {issuer}/.well-known/openid-configuration
OIDCClientID {client_id}
OIDCClientSecret {secret}
OIDCRedirectURI http://localhost:{port}/private/callback
OIDCCryptoPassphrase of-the-test
OIDCScope "openid profile email groups offline_access"
OIDCPKCEMethod S256
OIDCRemoteUserClaim email
# Refreshed at every request: what is left of the token's ten minutes is always less than this.
OIDCRefreshAccessTokenBeforeExpiry 3000
OIDCCacheType file
OIDCCacheDir "{folder}/cache"

<Location "/private">
  AuthType openid-connect
  Require claim groups:write
  Header always set X-User "expr=%{{REMOTE_USER}}"
  Header always set X-Name "expr=%{{reqenv:OIDC_CLAIM_name}}"
  Header always set X-Token "expr=%{{reqenv:OIDC_access_token}}"
</Location>
"""


@contextmanager
def apache(place: Place, port: int, client_id: str, secret: str | None) -> Iterator[Path]:
    """Run Apache; its error log."""
    folder = Path(tempfile.mkdtemp(prefix="apache-"))
    folder.chmod(0o755)
    for name in ("cache", "pages/private"):
        (folder / name).mkdir(parents=True)
    (folder / "pages/private/index.html").write_text("the private page")
    (folder / "pages/bye").write_text("bye")
    user = ""
    if os.geteuid() == 0:
        user = "User www-data\nGroup www-data"
        os.chown(folder / "cache", pwd.getpwnam("www-data").pw_uid, -1)
    configuration = folder / "apache.conf"
    configuration.write_text(
        CONFIGURATION.format(
            folder=folder,
            port=port,
            user=user,
            modules=MODULES,
            issuer=place.daemon.public_url,
            client_id=client_id,
            secret=secret,
        )
    )
    environment = {name: value for name, value in os.environ.items() if not name.lower().endswith("_proxy")}
    process = subprocess.Popen(["apache2", "-f", str(configuration), "-DFOREGROUND"], env=environment)
    try:
        _wait(process, port, folder)
        yield folder / "error.log"
    finally:
        process.terminate()
        process.wait(timeout=30)
        shutil.rmtree(folder)


def _wait(process: "subprocess.Popen[bytes]", port: int, folder: Path) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        assert process.poll() is None, (folder / "error.log").read_text()
        try:
            httpx2.get(f"http://127.0.0.1:{port}/bye", trust_env=False)
        except httpx2.ConnectError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("Apache does not answer in time")


@needs_apache
@pytest.mark.parametrize("algorithm", ["RS256", "ES256"])
def test_a_login_in_front_of_a_page(place: Place, person: PersonAtForms, algorithm: str) -> None:
    """The page is shown to who signed in at herod, with their name; Apache refreshes, and signs out at herod too."""
    port = free_port()
    base = f"http://localhost:{port}"
    client_id, secret = register_app(
        place.daemon,
        name=f"Apache {algorithm}",
        redirect_uris=[f"{base}/private/callback"],
        post_logout_uris=[f"{base}/bye"],
        id_token_algorithm=algorithm,
    )
    with apache(place, port, client_id, secret) as log, httpx2.Client(trust_env=False) as browser:
        asked = browser.get(f"{base}/private/")
        assert asked.status_code == 302, log.read_text()
        back = browser.get(person.allow(asked.headers["location"]))
        assert (back.status_code, back.headers.get("location")) == (302, f"{base}/private/"), log.read_text()
        pages = [browser.get(f"{base}/private/") for _ in range(3)]
        for page in pages:
            assert (page.status_code, page.text) == (200, "the private page"), log.read_text()
            assert page.headers["x-user"] == "ada@example.org"
            assert page.headers["x-name"] == "Ada Lovelace"
        assert len({page.headers["x-token"] for page in pages}) > 1, log.read_text()
        out = browser.get(f"{base}/private/callback", params={"logout": f"{base}/bye"})
        assert out.status_code == 302
        assert out.headers["location"].startswith(f"{place.daemon.public_url}/logout?")
        assert person.sign_out(out.headers["location"], is_asked=False) == f"{base}/bye"
        assert browser.get(f"{base}/private/").status_code == 302
