"""What a person does whom an app sends to herod: signs in, reads the page, allows."""

from support.chromium import ADMIN, PASSWORD, WAIT_MS, Person

__all__ = ["allow"]


def allow(someone: Person, url: str, *more: str) -> str:
    """Open the page that an app asked for, sign in if that is asked, and allow what is ticked, and `more` scopes.

    Returns:
        What the consent page said.
    """
    page = someone.page
    page.goto(url)
    page.get_by_role("button", name="Allow").or_(page.get_by_label("Email")).first.wait_for(timeout=WAIT_MS)
    if page.get_by_label("Email").count():
        page.get_by_label("Email").fill(ADMIN)
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Sign in", exact=True).first.click()
    allowing = page.get_by_role("button", name="Allow")
    allowing.wait_for(timeout=WAIT_MS)
    said = page.inner_text("main")
    for name in more:
        page.locator(f'input[name="scope:{name}"]').check(timeout=WAIT_MS)
    someone.picture("way-consent")
    allowing.click()
    page.wait_for_url(lambda now: "/ui/consent" not in now, timeout=WAIT_MS)
    return said
