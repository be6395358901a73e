"""The page behind nginx, below a path, under a public name: with the very lines that docs/hosting.md gives."""

import os
import re
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest
from browsing import FLAGS, LONG, leaves, newest_train_x, open_page, run_of, set_number, settings, wait_status
from playwright.sync_api import Browser, expect
from served import served

HOSTING = (Path(__file__).parent.parent / "docs" / "hosting.md").read_text(encoding="utf-8")
LINES = re.findall(r"```nginx\n(.+?)```", HOSTING, re.DOTALL)
NGINX = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}{os.pathsep}/usr/sbin{os.pathsep}/usr/local/sbin")
NAME = "teach.example.org"
CONFIG = """
daemon off; {user} pid {folder}/pid; error_log {folder}/errors; events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    server {{
        listen 127.0.0.1:{port};
        {lines}
    }}
}}
"""


def free_port() -> int:
    with socket.socket() as asked:
        asked.bind(("127.0.0.1", 0))
        port: int = asked.getsockname()[1]
        return port


@contextmanager
def nginx(folder: Path, port: int, page: str) -> Iterator[None]:
    """nginx with the document's lines, in front of a page at an address of this machine."""
    assert NGINX
    assert LINES[0].count("http://127.0.0.1:7860/") == 1
    lines = LINES[0].replace("http://127.0.0.1:7860/", page)
    user = "user root;" if os.geteuid() == 0 else ""  # Else its workers could not write to this folder.
    config = folder / "nginx.conf"
    config.write_text(CONFIG.format(user=user, folder=folder, port=port, lines=lines), encoding="utf-8")
    with subprocess.Popen([NGINX, "-p", folder, "-e", folder / "errors", "-c", config]) as running:
        try:
            end = time.monotonic() + 20
            while socket.socket().connect_ex(("127.0.0.1", port)):
                assert running.poll() is None, (folder / "errors").read_text()
                assert time.monotonic() < end
                time.sleep(0.1)
            yield
        finally:
            running.terminate()
            running.wait(20)


@pytest.mark.browser
@pytest.mark.skipif(NGINX is None, reason="nginx is not installed")
def test_behind_nginx_the_page_below_a_path_works_and_asks_for_nothing_outside_it(
    browser: Browser, browser_path: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = free_port()
    home = f"http://{NAME}:{port}/minigpt/"
    monkeypatch.setenv("GRADIO_ROOT_PATH", "/minigpt")
    monkeypatch.setenv("MINIGPT_ORIGINS", f"http://{NAME}:{port}")
    rules = f"--host-resolver-rules=MAP {NAME} 127.0.0.1"
    with served() as server, nginx(tmp_path, port, re.sub(r"(:\d+)/.*", r"\1/", server.url)):
        own = browser.browser_type.launch(executable_path=browser_path, args=[*FLAGS, rules])
        page, elsewhere, failed = own.new_page(), [], []
        page.on("request", lambda asked: elsewhere.append(asked.url) if leaves(asked.url, home) else None)
        page.on("response", lambda got: failed.append(f"{got.status} {got.url}") if got.status >= 400 else None)
        open_page(page, home)

        # More than the megabyte that nginx lets through by itself.
        long = tmp_path / "long.txt"
        long.write_text("the old king saw the small dog . the small dog ran . " * 24_000)
        with page.expect_response("**/upload*") as sent:
            page.set_input_files("input[type=file]", long)
        assert sent.value.ok, f"{sent.value.status} {sent.value.url}"
        expect(page.locator("#file-note")).to_contain_text("“long.txt”", timeout=LONG)
        page.fill("#text textarea", "the old king saw the small dog . the small dog ran . " * 12)
        expect(page.locator("#lesson input")).to_have_value("Your own text")
        settings(page, steps=20_000)
        set_number(page, "batch", 4)
        page.click("#train")
        run, drawn = run_of(page), set()
        end = time.monotonic() + LONG / 1000
        while len(drawn) < 4:  # The curve moves while it trains.
            assert time.monotonic() < end, f"the curve was drawn at {drawn}"
            drawn |= {newest_train_x(page)} - {-1}
            page.wait_for_timeout(100)
        page.click("#stop")
        wait_status(page, "Stopped")
        page.fill("#prompt textarea", "the old king")
        page.click("#generate")
        expect(page.locator("#continuation .t").first).to_be_visible(timeout=LONG)

        page.click("#link button")
        link = page.locator("#link input").input_value()
        assert link == f"{home}?run={run}"
        open_page(page, link)
        expect(page.locator("#status")).to_contain_text("Stopped", timeout=LONG)
        own.close()
        assert elsewhere == []
        assert failed == []

        with pytest.raises(HTTPError, match=r"403|421"):  # Under a name that nobody allowed.
            urlopen(Request(f"http://127.0.0.1:{port}/minigpt/", headers={"Host": "evil.example"}))
