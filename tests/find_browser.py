"""Prints the path of a browser for the browser tests; fetches one where none is installed.

In order: the one that MINIGPT_BROWSER names; an installed Chromium or Chrome; Playwright's own, downloaded before or
now; Debian's package, where apt-get may install it. Only the path goes to standard output; progress goes to standard
error.
"""

import os
import platform
import shutil
import signal
import subprocess
import sys
from pathlib import Path

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
MAC_PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)
WINDOWS_PLACES = (r"Google\Chrome\Application\chrome.exe", r"Chromium\Application\chrome.exe")
WINDOWS_ROOTS = ("PROGRAMFILES", "PROGRAMFILES(X86)", "LOCALAPPDATA")

# A dead network ends Playwright's five attempts after 4 seconds each; a slow one gets five minutes.
SILENCE_MS = 4_000
DOWNLOAD_S = 300
APT_S = 600

NOT_FOUND = (
    "The browser tests need Chromium or Chrome, and none was found or could be fetched: install one, "
    "or name it with MINIGPT_BROWSER=/path/to/chrome."
)


class NoBrowserError(Exception):
    """No browser can be used; the message is for the person who asked for one."""


def starts(browser: Path) -> bool:
    """Whether it runs at all: Ubuntu's chromium-browser may be a note about snaps, a download may lack libraries."""
    if platform.system() == "Windows":  # There, chrome.exe --version opens a window.
        return browser.is_file()
    try:
        return subprocess.run([browser, "--version"], capture_output=True, timeout=30).returncode == 0
    except (OSError, subprocess.TimeoutExpired):
        return False


def named() -> Path | None:
    """The browser that MINIGPT_BROWSER names, if it names one. A wrong name is an error, never a reason to look on."""
    name = os.environ.get("MINIGPT_BROWSER")
    if not name:
        return None
    found = shutil.which(name)
    if found is None or not starts(Path(found)):
        raise NoBrowserError(f"MINIGPT_BROWSER names {name}, which is not a browser that starts here.")
    return Path(found)


def installed() -> Path | None:
    """A Chromium or Chrome that this machine already has."""
    places = [Path(found) for command in COMMANDS if (found := shutil.which(command))]
    if platform.system() == "Darwin":
        places += [Path(place) for place in MAC_PLACES]
    if platform.system() == "Windows":
        roots = [Path(os.environ[root]) for root in WINDOWS_ROOTS if root in os.environ]
        places += [root / place for root in roots for place in WINDOWS_PLACES]
    return next((place for place in places if starts(place)), None)


def playwrights_own() -> Path | None:
    """The Chromium that Playwright has downloaded for itself."""
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError:
        return None
    try:
        with sync_playwright() as playwright:
            browser = Path(playwright.chromium.executable_path)
    except Error:
        return None
    return browser if starts(browser) else None


def run(command: list[str], limit_s: float) -> bool:
    """Run a command with its output on standard error; past the limit, end it with all it started."""
    with subprocess.Popen(command, stdout=sys.stderr, stdin=subprocess.DEVNULL, start_new_session=True) as process:
        try:
            return process.wait(limit_s) == 0
        except subprocess.TimeoutExpired:
            if hasattr(os, "killpg"):
                os.killpg(process.pid, signal.SIGKILL)
            process.kill()
            return False


def download() -> Path | None:
    """Playwright's Chromium, downloaded now."""
    print("No Chromium or Chrome is installed. Asking Playwright to download one.", file=sys.stderr)
    os.environ.setdefault("PLAYWRIGHT_DOWNLOAD_CONNECTION_TIMEOUT", str(SILENCE_MS))
    run([sys.executable, "-m", "playwright", "install", "--no-shell", "chromium"], DOWNLOAD_S)
    return playwrights_own()


def from_apt() -> Path | None:
    """Debian's Chromium, installed now where that is possible. It brings fonts with it."""
    if shutil.which("apt-get") is None or os.geteuid() != 0:
        return None
    print("Asking apt-get to install Chromium.", file=sys.stderr)
    os.environ.setdefault("DEBIAN_FRONTEND", "noninteractive")
    run(["apt-get", "update"], APT_S)
    run(["apt-get", "install", "--yes", "--no-install-recommends", "chromium"], APT_S)
    return installed()


def find_browser() -> Path:
    """A browser that starts. Raises NoBrowserError, saying what to do, where there is none."""
    for look in (named, installed, playwrights_own, download, from_apt):
        if browser := look():
            return browser
    raise NoBrowserError(NOT_FOUND)


if __name__ == "__main__":
    try:
        print(find_browser())
    except NoBrowserError as error:
        sys.exit(str(error))
