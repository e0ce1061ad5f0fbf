"""Recreate the README's pictures: `python tools/screenshots.py [FOLDER]`, with Chromium installed.

Uses a temporary daemon with made-up people and keys. The pictures are small and show no real data.
"""

import base64
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from support.chromium import Person, Theme, chromium, furnished, person  # noqa: E402 - found below tests/

# Shown 800 pixels wide: the pages themselves are laid out for 1280.
SIZE = (1280, 800)
SCALE = 800 / 1280
MOST_BYTES = 60_000
PICTURES: tuple[tuple[str, Theme, str], ...] = (
    ("overview", "dark", "Overview"),
    ("keys", "light", "Keys"),
    ("explain", "dark", "Explain"),
)


def main(folder: Path) -> None:
    """Write the pictures into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as home,
        furnished(Path(home) / "herod", users=30, keys=30) as daemon,
        chromium() as browser,
    ):
        for name, theme, area in PICTURES:
            with person(browser, daemon, theme=theme, size=SIZE) as ada:
                ada.sign_in()
                ada.go(area)
                if area == "Explain":
                    _ask(ada)
                ada.page.wait_for_load_state("networkidle")
                path = folder / f"{name}.webp"
                path.write_bytes(_picture(ada))
                size = path.stat().st_size
                print(f"{path}: {size} bytes")
                if size > MOST_BYTES:
                    raise SystemExit(f"{path} is larger than {MOST_BYTES} bytes: lower the quality.")


def _ask(ada: Person) -> None:
    """Ask for the explanation of a denied operation."""
    ada.page.get_by_label("Who").fill("grace0@example.org")
    ada.page.get_by_label("What").select_option("operation:users.add")
    ada.button("Explain").click()
    ada.page.get_by_text("Denied").wait_for()


def _picture(ada: Person) -> bytes:
    """Capture the visible page, 800 pixels wide, as WebP."""
    session = ada.context.new_cdp_session(ada.page)
    clip = {"x": 0, "y": 0, "width": SIZE[0], "height": SIZE[1], "scale": SCALE}
    shot = session.send("Page.captureScreenshot", {"format": "webp", "quality": 80, "clip": clip})
    return base64.b64decode(shot["data"])


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "docs" / "images")
